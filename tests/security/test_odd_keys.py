"""Keys that S3 takes and a careless reader of paths does not: each object is accounted for under its own name.

Nothing is written outside of the output folder, whatever a key says; a key is no path, no pattern, no option, no line.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from rich.console import Console

import tallymark
from bulkload_loads import PEOPLE, query
from reconcile_runs import written
from s3_server import Bucket
from tallymark.io.postgres import Server
from tallymark.report.bulkload import print_result
from tallymark.report.legible import one_line

KEYS = (
    "../escaped.json", "x/../../escaped.json", "a/%2e%2e/b.json", "%2e%2e.json", "tab\tend.json", "pipe|x.json",
    "/leading.json", "a//b.json", "-rf.json", "$(touch x).json", "`touch y`;.json", "'quo\"te.json", "[*?]{a}.json",
    "日本 ü é.json", "\x1b[2J.json", "=1+1.json", "hour=10/dt=x.json", ".hidden.json", "l" * 900 + ".json",
)  # fmt: skip
LONGEST = 1024  # bytes that a key has at most


def put(bucket: Bucket, folder: str, body: bytes) -> tuple[str, ...]:
    """Put an object of the body under each key, and one whose key is as long as can be; return the keys."""
    keys = (*KEYS, "é" * ((LONGEST - len(folder) - 6) // 2) + ".json")
    for key in keys:
        bucket.put(f"{folder}/{key}", body)
    return keys


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def outside(tmp_path: Path) -> Callable[[], list[Path]]:
    """What has come to lie outside of ``tmp_path/a/b/out``."""
    (tmp_path / "a/b").mkdir(parents=True)
    return lambda: sorted(path for path in files(tmp_path) if tmp_path / "a/b/out" not in path.parents)


def test_reconcile_accounts_for_every_key_and_writes_only_below_out(
    spark: SparkSession, bucket: Bucket, tmp_path: Path, outside: Callable[[], list[Path]]
) -> None:
    keys = put(bucket, "source", b'{"id":1}\n{"id":2}\n')
    for key in keys:
        bucket.put(f"backup/{key}", b'{"id":1}\n')
    out = tmp_path / "a/b/out"
    result = tallymark.reconcile(
        spark, source=f"{bucket.uri}/source", backup=f"{bucket.uri}/backup", out=str(out), run_id="odd"
    )

    assert {row.file_path for row in written(result, "files")} == set(keys)
    assert (result.totals.source_records, result.totals.missing_in_backup) == (2 * len(keys), len(keys))
    assert outside() == []
    repair = out / "runs/odd/repair"
    again = set((repair / "copy_again.txt").read_text().splitlines())
    left_out = {json.loads(line) for line in (repair / "copy_again_left_out.jsonl").read_text().splitlines()}
    assert left_out == {
        "../escaped.json", "x/../../escaped.json", "/leading.json", "a//b.json",
    }  # fmt: skip
    assert again == set(keys) - left_out


def test_ingest_puts_records_where_their_time_says_whatever_their_key_says(
    spark: SparkSession,
    bucket: Bucket,
    tmp_path: Path,
    outside: Callable[[], list[Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = Fernet.generate_key()
    monkeypatch.setenv("TALLYMARK_FERNET_KEYS", key.decode())
    text = {"user_id": "u", "method": "GET", "url": "/../../x", "inDate": "2026-03-17T10:00:00.000000"}
    token = Fernet(key).encrypt(str({**text, "record_id": "../../r"}).encode()).decode()
    keys = put(bucket, "in", json.dumps({"data": token}).encode())
    out = tmp_path / "a/b/out"
    bucket.put("in/cut\x1b[2J.json.gz", b"\x1f\x8b\x08")
    result = tallymark.ingest(spark, input=f"{bucket.uri}/in", out=str(out))

    assert (result.account.written, result.account.duplicates, result.exit_code) == (1, len(keys) - 1, 3)
    assert outside() == []
    assert [path.parent.relative_to(out) for path in out.rglob("*.gz")] == [Path("published/dt=2026-03-17/hour=10")]
    assert any("cut" in line for line in result.lines())
    assert all("\n" not in line and "\x1b" not in line for line in map(one_line, result.lines()))


def test_bulkload_loads_from_every_key_and_prints_none_that_steers_a_terminal(
    spark: SparkSession, bucket: Bucket, fresh_database: Server, tmp_path: Path, outside: Callable[[], list[Path]]
) -> None:
    keys = put(bucket, "in", b"")
    for number, key in enumerate(keys):
        bucket.put(f"in/{key}", json.dumps({"id": number, "name": key}).encode())
    bucket.put("in/\x1b[2J.gz", b"\x1f\x8b\x08")
    place: dict[str, Any] = {name: getattr(fresh_database, name) for name in ("host", "port", "user", "dbname")}
    out = tmp_path / "a/b/out"
    result = tallymark.bulkload(
        spark, input=f"{bucket.uri}/in", output_dir=str(out), tables=({**PEOPLE, "pattern": "*"},), load=True,
        method=("copy_text",), batch_size=(10,), connections=(1,), run_id="odd", **place,
    )  # fmt: skip
    console = Console(record=True, width=200, file=StringIO())
    print_result(result, str(out), console)

    assert result.records.loaded == len(keys)
    assert set(query(fresh_database, "SELECT name FROM people")) == {(key,) for key in keys}
    assert outside() == []
    assert "\x1b" not in console.export_text()


def test_a_name_with_a_newline_stays_one_name(spark: SparkSession, tmp_path: Path) -> None:
    """In folders, because the S3 server of the tests knows no such keys."""
    name = "new\nline|x.json"
    for side, records in (("source", 2), ("backup", 1)):
        (tmp_path / side).mkdir()
        (tmp_path / side / name).write_bytes(b'{"id":1}\n{"id":2}\n'[: 9 * records])
    tallymark.reconcile(
        spark, source=str(tmp_path / "source"), backup=str(tmp_path / "backup"), out=str(tmp_path / "out"), run_id="odd"
    )

    (row,) = DeltaTable(tmp_path / "out/delta/files").to_pyarrow_table().to_pylist()
    assert (row["file_path"], row["missing_in_backup"]) == (name, 1)
    repair = tmp_path / "out/runs/odd/repair"
    assert (repair / "copy_again.txt").read_bytes() == b""
    assert json.loads((repair / "copy_again_left_out.jsonl").read_text()) == name
