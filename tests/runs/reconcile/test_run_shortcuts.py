"""No shortcut and no way of spreading the work changes a result: it is that of the plain definition."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import tallymark
from reconcile_runs import Objects, lines, reconciled
from tallymark.reconcile.canonical import record_hash
from tallymark.runs.reconcile import begun, run


def test_neither_a_second_run_nor_other_tasks_change_a_report(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E6: equal but for the run's id and times, also with one task for each pair."""
    source, backup = planted(9)
    summaries, tables = [], []
    for one_task_a_pair in (False, True):
        if one_task_a_pair:
            monkeypatch.setattr(run, "pack", lambda pairs, *_: [[pair] for pair in pairs])
        result = reconciled(spark, tmp_path, source, backup, ledger=False)
        folder = tmp_path / "out/runs" / result.summary.run_id
        report = (folder / "report.json").read_text().replace(result.summary.run_id, "")
        summaries.append(re.sub(r'"20[0-9-]+T[^"]*"|"duration_seconds": [0-9.]+', "", report))
        rows = [frame.drop("run_id", "run_time").collect() for frame in (result.files, result.mismatches)]
        tables.append([*rows, (folder / "repair/missing_in_backup.jsonl").read_bytes()])

    assert result.totals.missing_in_backup > 0
    assert summaries[0] == summaries[1]
    assert tables[0] == tables[1]


def planted(*seeds: int) -> tuple[Objects, Objects]:
    """Two prefixes with a folder for each seed."""
    source: Objects = {}
    backup: Objects = {}
    for seed in seeds:
        for side, objects in zip((source, backup), planted_folder(random.Random(seed))):
            side.update({f"{seed}/{name}": content for name, content in objects.items()})
    return source, backup


def planted_folder(rng: random.Random) -> tuple[Objects, Objects]:
    """Two folders with duplicates, moves, other spellings, changed fields, invalid records and lonely objects."""
    pool = [{"id": n, "v": rng.choice("abc"), "w": n % 3, "ok": True} for n in range(40)]
    source: dict[str, list[bytes]] = {f"{n}.json": [] for n in range(5)}
    backup: dict[str, list[bytes]] = {f"{n}.json": [] for n in range(1, 6)}
    for _ in range(rng.randrange(200)):
        item = rng.choice(pool)
        home = rng.randrange(5)
        source[f"{home}.json"].append(json.dumps(item).encode())
        copy = dict(reversed(item.items())) if rng.random() < 0.2 else item
        copy = copy | {"v": "z"} if rng.random() < 0.1 else copy
        if rng.random() < 0.9:
            place = home if home > 0 and rng.random() < 0.8 else rng.randrange(1, 6)
            backup[f"{place}.json"].append(json.dumps(copy).encode())
    for side in (source, backup):
        for records in side.values():
            records.extend(rng.choices([b"nonsense", b'{"a":1,"a":1}', b""], k=rng.randrange(3)))
            rng.shuffle(records)
    return tuple({name: b"\n".join(records) for name, records in side.items()} for side in (source, backup))  # type: ignore[return-value]


def plainly(source: Objects, backup: Objects) -> tuple[int, int, int, int, int]:
    left, right = (
        Counter(record_hash(line) for text in side.values() for line in text.split(b"\n") if line)
        for side in (source, backup)
    )
    met = (left & right).total()
    return left.total(), right.total(), met, left.total() - met, right.total() - met


@pytest.mark.parametrize(("seeds", "lonely_bytes"), [((0, 1), 1 << 30), ((2, 3), 0)])
def test_fast_equals_full_equals_the_plain_definition(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: tuple[int, int], lonely_bytes: int
) -> None:
    """With windows that overflow; with lonely objects as residue and as digests."""
    monkeypatch.setattr(begun, "_LONELY_BYTES", lonely_bytes)
    source, backup = planted(*seeds)
    fast = reconciled(spark, tmp_path, source, backup, chunk_size=7)
    full = reconciled(spark, tmp_path, source, backup, proof="full")
    swapped = tallymark.reconcile(
        spark,
        source=str(tmp_path / "backup"),
        backup=str(tmp_path / "source"),
        out=str(tmp_path / "out"),
    )
    found = [
        (
            of.totals.source_records,
            of.totals.backup_records,
            of.totals.matched_records + of.totals.moved_out,
            of.totals.mismatched_records + of.totals.missing_in_backup,
            of.totals.mismatched_records + of.totals.missing_in_source,
        )
        for of in (fast, full)
    ]
    decided = ["file_path", "source_records", "backup_records", "matched_records", "moved_out", "moved_in"]
    decided += ["invalid_source", "invalid_backup"]

    assert found == [plainly(source, backup)] * 2
    assert fast.files.select(decided).collect() == full.files.select(decided).collect()
    assert swapped.totals.matched_records == fast.totals.matched_records
    assert swapped.totals.moved_out == fast.totals.moved_out
    assert swapped.totals.source_records == fast.totals.backup_records
    assert swapped.totals.missing_in_source + swapped.totals.mismatched_records == found[0][3]


@pytest.mark.parametrize("lonely_bytes", [1 << 30, 0])
def test_a_run_takes_at_most_ten_spark_jobs_however_many_files(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lonely_bytes: int
) -> None:
    """With everything there is to do: changed, missing and moved records, digests, content to read again, a key."""
    monkeypatch.setattr(begun, "_LONELY_BYTES", lonely_bytes)
    source = {f"{n}.json": lines(*range(10 * n, 10 * n + 10)) for n in range(60)}
    backup = {f"{n}.json": lines(*range(10 * n + 1, 10 * n + 10)).replace(b"true", b"null", 1) for n in range(30)}
    backup |= {f"again-{n}.json": lines(*range(10 * n, 10 * n + 9)) for n in range(30, 60)}
    before = next_job(spark)
    result = reconciled(spark, tmp_path, source, backup, key="id", chunk_size=1)

    assert next_job(spark) - before <= 10
    assert (result.totals.moved_out, result.totals.mismatched_records) == (270, 30)


def next_job(spark: SparkSession) -> int:
    scheduler = spark.sparkContext._jsc.sc().dagScheduler()
    number = scheduler.nextJobId()
    return int(number if isinstance(number, int) else number.get())
