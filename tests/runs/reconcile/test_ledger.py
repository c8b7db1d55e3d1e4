"""The ledger: what did not change is not read again, and the result is as if it had been."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

import tallymark
from reconcile_runs import written
from tallymark.runs.reconcile import begun
from tallymark.runs.reconcile import run as reconciling
from tallymark.runs.reconcile.run import ReconcileResult, Session


def lines(*numbers: int) -> bytes:
    return b"".join(b'{"id":%d,"device":"d%d","site":"north","ok":true}\n' % (n, n) for n in numbers)


def put(folder: Path, **objects: bytes) -> None:
    """Writes files as they lie there since a while: one written this moment is not yet remembered."""
    folder.mkdir(exist_ok=True)
    for name, content in objects.items():
        path = folder / f"{name}.json"
        path.write_bytes(content)
        os.utime(path, ns=(time.time_ns(), time.time_ns() - 10_000_000_000))


def run(spark: SparkSession | Session, folder: Path, **options: Any) -> ReconcileResult:
    places = {name: str(folder / name) for name in ("source", "backup", "out")}
    result: ReconcileResult = tallymark.reconcile(spark, **places | options)
    return result


def rows(result: ReconcileResult) -> list[list[dict[str, Any]]]:
    tables = (written(result, table) for table in ("files", "mismatches"))
    return [[row.asDict() | dict.fromkeys(("run_id", "run_time", "proof")) for row in table] for table in tables]


def proofs(result: ReconcileResult) -> dict[str, str]:
    return {row.file_path.removesuffix(".json"): row.proof for row in written(result, "files")}


def forget_contents(folder: Path) -> None:
    """Overwrites the content in place and puts the time back: only who reads it sees it."""
    for path in folder.rglob("*.json"):
        status = path.stat()
        with path.open("r+b") as file:
            file.write(b"#" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture
def month(tmp_path: Path) -> Path:
    """Every kind of result: equal, changed, missing, moved between pairs and to a lonely object, invalid."""
    put(
        tmp_path / "source",
        equal=lines(1, 2),
        changed=lines(3, 4),
        lost=lines(5, 6, 7),
        gone=lines(8),
        mixed=b'{"a":1}\n{"a":1,"a":1}\n',
    )
    put(
        tmp_path / "backup",
        equal=lines(1, 2),
        changed=lines(3) + lines(4).replace(b"true", b"null"),
        lost=lines(5),
        found=lines(6),
        mixed=b'{"a": 1}\n{"a":1,"a":1}\n',
    )
    return tmp_path


def test_the_second_run_reads_nothing_and_says_the_same(spark: SparkSession, month: Path) -> None:
    first = run(spark, month)
    forget_contents(month / "source")
    forget_contents(month / "backup")
    second = run(spark, month)

    third = run(spark, month)

    for later in (second, third):
        assert set(proofs(later).values()) == {"remembered"}
        assert rows(later) == rows(first)
        assert later.verdict == first.verdict
        assert later.totals.moved_out == 1


@pytest.mark.parametrize("lonely_bytes", [1 << 30, 0])
def test_nothing_is_settled_again_where_nothing_changed(
    spark: SparkSession, month: Path, monkeypatch: pytest.MonkeyPatch, lonely_bytes: int
) -> None:
    """Also where records of lonely objects have met as digests, which no pair can remember for itself."""
    monkeypatch.setattr(begun, "_LONELY_BYTES", lonely_bytes)
    first = run(spark, month)
    monkeypatch.setattr(reconciling, "_compare", None)
    second = run(spark, month, threshold=10)

    assert rows(second) == rows(first)
    assert (first.exit_code, second.exit_code) == (1, 0)


def test_mismatches_that_somebody_deleted_are_found_again(spark: SparkSession, month: Path) -> None:
    """Not all of them: then the files are complete, and only the counts of the former run tell."""
    first = rows(run(spark, month))
    DeltaTable(month / "out/delta/mismatches").delete("bucket_type = 'changed'")

    assert rows(run(spark, month)) == first


def test_without_the_ledger_everything_is_read_again(spark: SparkSession, month: Path) -> None:
    first = run(spark, month)
    again = run(spark, month, ledger=False)
    full = run(spark, month, proof="full")

    assert proofs(again) == proofs(first)
    assert set(proofs(full).values()) == {"full"}
    assert rows(again) == rows(first)


def test_a_move_is_no_move_any_more_once_the_other_file_changes(spark: SparkSession, month: Path) -> None:
    """The record of `lost` was found in `found`; now it is missing, though `lost` itself has not changed."""
    run(spark, month)
    put(month / "backup", found=lines(9))
    second = run(spark, month)
    plain = run(spark, month, ledger=False)

    assert proofs(second)["lost"] == "remembered"
    assert proofs(second)["found"] == "lonely"
    assert rows(second) == rows(plain)
    assert (second.totals.moved_out, second.totals.missing_in_backup) == (0, 3)


def test_what_was_missing_is_moved_once_another_file_brings_it(spark: SparkSession, month: Path) -> None:
    run(spark, month)
    put(month / "backup", more=lines(7, 8))
    second = run(spark, month)
    plain = run(spark, month, ledger=False)

    assert (proofs(second)["lost"], proofs(second)["gone"]) == ("remembered", "remembered")
    assert rows(second) == rows(plain)
    assert (second.totals.moved_out, second.totals.missing_in_backup) == (3, 0)


def test_other_settings_are_compared_anew(spark: SparkSession, month: Path) -> None:
    """What the ledger has under one of them is nothing to the others."""
    run(spark, month)
    options: list[dict[str, Any]] = [{"ignore": "$.ok"}, {"key": "id"}, {"numbers": "lexical"}, {"format": "jsonl"}]
    for option in options:
        other = run(spark, month, **option)
        again = run(spark, month, **option)

        assert "remembered" not in proofs(other).values()
        assert set(proofs(again).values()) == {"remembered"}
        assert rows(again) == rows(other)


def test_where_nothing_changed_no_spark_is_started(spark: SparkSession, month: Path) -> None:
    """Until something has: the session is asked for once, and the rest of the run is as ever."""
    started = []

    def start() -> SparkSession:
        started.append(True)
        return spark

    first = run(start, month)
    second = run(start, month)
    assert len(started) == 1
    assert set(proofs(second).values()) == {"remembered"}
    assert rows(second) == rows(first)
    assert (month / "out/report.html").read_text().count(second.summary.run_id) > 0

    put(month / "backup", lost=lines(5, 7))
    third = run(start, month)
    assert len(started) == 2
    assert third.totals.missing_in_backup == second.totals.missing_in_backup - 1


def test_a_run_of_the_same_name_remembers_itself_and_replaces_itself(spark: SparkSession, month: Path) -> None:
    first = rows(run(spark, month, run_id="month"))
    put(month / "backup", found=lines(6, 10))
    run(spark, month, run_id="month")
    put(month / "backup", found=lines(6))
    third = run(spark, month, run_id="month")

    assert rows(third) == first
    assert proofs(third)["lost"] == "remembered"


def test_a_file_that_looks_different_is_read_again(spark: SparkSession, tmp_path: Path) -> None:
    for side in ("source", "backup"):
        put(tmp_path / side, size=lines(1), time=lines(2), inode=lines(3), same=lines(4))
    run(spark, tmp_path)
    for change, content in (("size", lines(1, 5)), ("time", lines(6)), ("inode", lines(7))):
        path = tmp_path / f"backup/{change}.json"
        status = path.stat()
        if change == "inode":
            path.rename(tmp_path / "old")
        path.write_bytes(content)
        moved = 1_000 if change == "time" else 0
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + moved))
    second = run(spark, tmp_path)

    assert proofs(second) == {"size": "compare", "time": "compare", "inode": "compare", "same": "remembered"}
    assert {row.file_path: row.missing_in_source for row in written(second, "files")} == {
        "inode.json": 1,
        "same.json": 0,
        "size.json": 1,
        "time.json": 1,
    }


def test_a_file_written_this_moment_is_not_remembered(spark: SparkSession, tmp_path: Path) -> None:
    """A second write within one tick of the file system's clock would leave size, time and inode alike."""
    put(tmp_path / "source", a=lines(1))
    put(tmp_path / "backup", a=lines(1))
    os.utime(tmp_path / "backup/a.json", ns=(time.time_ns(), time.time_ns() + 3_600_000_000_000))
    run(spark, tmp_path)

    assert proofs(run(spark, tmp_path)) == {"a": "identical"}


def test_a_pair_in_error_is_not_remembered(spark: SparkSession, tmp_path: Path) -> None:
    put(tmp_path / "source", a=lines(1), b=b"[1")
    put(tmp_path / "backup", a=lines(1), b=b"[1,")
    first = run(spark, tmp_path)
    second = run(spark, tmp_path)

    assert first.exit_code == second.exit_code == 3
    assert proofs(second) == {"a": "remembered", "b": "compare"}


def test_masked_values_do_not_reach_the_ledger(spark: SparkSession, month: Path) -> None:
    first = run(spark, month, mask="$.device")
    second = run(spark, month, mask="$.device")
    written = [path for path in (month / "out").rglob("*") if path.is_file()]

    assert rows(second) == rows(first)
    assert not [path for path in written if b'"d7"' in path.read_bytes()]
