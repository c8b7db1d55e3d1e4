"""Tables of one line are read and continued by the other: Spark 3.5 with its Delta, then the local line, then 3.5.

It runs on the Python of Spark 3.5; the local line is started by ./spark-submit.sh.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from deltalake import DeltaTable
from pyspark.sql import SparkSession

import tallymark
from conftest import ROOT, Submit, start_environment

KEY = Fernet.generate_key().decode()


@pytest.fixture
def local_line(tmp_path: Path) -> Submit:
    """Starts ./spark-submit.sh on the local line."""
    return Submit(ROOT / "spark-submit.sh", tmp_path, start_environment(spark35=False))


def lines(*numbers: int) -> str:
    return "".join(f'{{"id":{number},"site":"north"}}\n' for number in numbers)


def put(folder: Path, name: str, source: str, backup: str) -> None:
    """Writes a pair as it lies there since a while: one written this moment is not yet remembered."""
    for side, text in (("source", source), ("backup", backup)):
        path = folder / side / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        os.utime(path, ns=(time.time_ns(), time.time_ns() - 10_000_000_000))


def protocols(out: Path) -> dict[str, tuple[int, int]]:
    tables = {path.name: DeltaTable(path).protocol() for path in (out / "delta").iterdir()}
    return {name: (found.min_reader_version, found.min_writer_version) for name, found in tables.items()}


def test_reconcile_remembers_what_the_other_line_has_compared(
    spark: SparkSession, local_line: Submit, tmp_path: Path
) -> None:
    """Each run gets a pair more, and reads the residue of those before: what is lost in one is found in the next."""
    places: dict[str, Any] = {name: str(tmp_path / name) for name in ("source", "backup", "out")}
    out = tmp_path / "out"
    put(tmp_path, "a.json", lines(1, 2, 3), lines(1, 2))
    first = tallymark.reconcile(spark, **places, run_id="first", key="id")
    put(tmp_path, "b.json", lines(4, 5), lines(4, 3))
    options = [word for name, value in places.items() for word in (f"--{name}", value)]
    second = local_line("reconcile", *options, "--run-id", "second", "--key", "id")
    put(tmp_path, "c.json", lines(6, 7), lines(6, 5))
    third = tallymark.reconcile(spark, **places, run_id="third", key="id")

    assert first.totals.missing_in_backup == 1
    assert second.code == 1, second.err
    assert "source 5 = matched 3 + changed 0 + moved out 1 + missing in backup 1" in second.out
    assert (third.totals.matched_records, third.totals.moved_out, third.totals.missing_in_backup) == (4, 2, 1)
    files = spark.read.format("delta").load(f"{out}/delta/files").select("run_id", "file_path", "proof").collect()
    assert {tuple(row) for row in files if row.proof == "remembered"} == {
        ("second", "a.json", "remembered"), ("third", "a.json", "remembered"), ("third", "b.json", "remembered"),
    }  # fmt: skip
    lost = spark.read.format("delta").load(f"{out}/delta/mismatches").select("run_id", "file_path", "json_content")
    assert sorted(tuple(row) for row in lost.collect()) == [
        ("first", "a.json", '{"id":3,"site":"north"}'),
        ("second", "b.json", '{"id":5,"site":"north"}'),
        ("third", "c.json", '{"id":7,"site":"north"}'),
    ]
    assert protocols(out) == dict.fromkeys(["files", "ledger", "ledger_residue", "mismatches", "runs"], (1, 2))


def test_ingest_and_quality_go_on_with_the_tables_of_the_other_line(
    spark: SparkSession, local_line: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLYMARK_FERNET_KEYS", KEY)
    out = tmp_path / "out"
    rule: dict[str, Any] = {"name": "first_hour", "type": "expect_column_values_to_be_in_set"}
    rule |= {"kwargs": {"column": "hour", "value_set": ["00"]}}
    (tmp_path / "rules.yaml").write_text(json.dumps({"table": "logs", "expectations": [rule]}))
    judge: dict[str, Any] = {"table": f"{out}/delta/logs", "rules": f"{tmp_path}/rules.yaml"}
    judge |= {"out": f"{tmp_path}/judged"}

    write_items(tmp_path / "in/a.json", 0, 10)
    first = tallymark.ingest(spark, input=f"{tmp_path}/in", out=str(out))
    tallymark.quality(spark, **judge, run_id="first")
    write_items(tmp_path / "in/b.json", 5, 20)
    second = local_line("ingest", "--input", f"{tmp_path}/in", "--out", str(out), TALLYMARK_FERNET_KEYS=KEY)
    options = [word for name, value in judge.items() for word in (f"--{name}", value)]
    judged = local_line("quality", *options, "--run-id", "second")
    write_items(tmp_path / "in/c.json", 15, 30)
    third = tallymark.ingest(spark, input=f"{tmp_path}/in", out=str(out))
    last = tallymark.quality(spark, **judge, run_id="third")

    assert (first.account.written, first.account.duplicates) == (10, 0)
    assert second.code == 0, second.err
    assert "extracted 25 = written 10 + duplicates 15 + quarantined 0" in second.out
    assert (third.account.written, third.account.duplicates) == (10, 30)
    assert "rows 20 = good 10 + quarantined 10" in judged.out
    assert (last.verdict.rows, last.verdict.good) == (30, 15)
    logs = spark.read.format("delta").load(f"{out}/delta/logs")
    assert sorted(row.record_id for row in logs.collect()) == sorted(f"r{number}" for number in range(30))
    good = [
        spark.read.format("delta").option("versionAsOf", version).load(f"{tmp_path}/judged/delta/good").count()
        for version in range(3)
    ]
    assert good == [5, 10, 15]
    assert protocols(out) == dict.fromkeys(["logs", "quarantine", "runs"], (1, 2))
    assert protocols(tmp_path / "judged") == dict.fromkeys(["good", "quarantined"], (1, 2))


def write_items(path: Path, start: int, end: int) -> None:
    """Writes an item for each number, which lies in hour 00 if it is even and in hour 01 if it is odd."""
    path.parent.mkdir(exist_ok=True)
    items = []
    for number in range(start, end):
        text = {
            "user_id": f"{number:064x}", "record_id": f"r{number}", "method": "GET", "url": "/a",
            "inDate": f"2026-03-17T0{number % 2}:00:00.{number:06}",
        }  # fmt: skip
        items.append({"data": Fernet(KEY).encrypt(json.dumps(text).encode()).decode()})
    path.write_text(json.dumps(items))
