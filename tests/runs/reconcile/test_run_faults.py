"""What goes wrong in a run stays with its object; places that cannot be compared are refused."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

import tallymark
from reconcile_runs import counts, lines, reconciled, written
from table_nulls import undocumented_nulls
from tallymark.errors import ConfigError
from tallymark.reconcile.result import Verdict
from tallymark.runs.reconcile.distributed import Stages


def test_an_object_that_cannot_be_read_makes_the_run_incomplete_and_stops_no_other(
    spark: SparkSession, tmp_path: Path
) -> None:
    """C4 and C6: a cut gzip, a cut array, a binary file."""
    good = {"good.json": lines(1, 2)}
    cut = gzip.compress(lines(*range(5_000)))
    source = good | {"cut.json.gz": cut, "array.json": b'[{"a":1},{"a":2}]', "x.bin": bytes(range(256)) * 40}
    backup = good | {
        "cut.json.gz": cut[: len(cut) // 2],
        "array.json": b'[{"a":1},{"a":2',
        "x.bin": bytes(range(256)) * 41,
    }
    result = reconciled(spark, tmp_path, source, backup)
    rows = {row.file_path: row for row in written(result, "files")}

    assert {path: row.status for path, row in rows.items()} == {
        "array.json": "ERROR",
        "cut.json.gz": "ERROR",
        "good.json": "MATCH",
        "x.bin": "ERROR",
    }
    assert [rows[path].error.split(" on ")[0] for path in ("array.json", "cut.json.gz", "x.bin")] == [
        "CUT_ARRAY",
        "TRUNCATED_GZIP",
        "NOT_TEXT",
    ]
    assert rows["cut.json.gz"].source_records is None
    assert (result.verdict, result.exit_code) == (Verdict.INCOMPLETE, 3)
    assert written(result, "mismatches") == []
    assert undocumented_nulls(tmp_path / "out", "reconcile") == []


@pytest.mark.parametrize("place", ["source", "source/x", ".."])
def test_places_that_hold_each_other_are_refused(spark: SparkSession, tmp_path: Path, place: str) -> None:
    (tmp_path / "a/source/x").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"overlap|inside"):
        tallymark.reconcile(
            spark, source=str(tmp_path / "a/source"), backup=str(tmp_path / "a" / place), out=str(tmp_path / "out")
        )


def test_an_object_that_changes_before_its_leftovers_are_explained_is_an_error_and_keeps_its_counts(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content of many leftovers is read again; what was counted before stays true of what was listed."""
    explain = Stages.explain

    def overwrite_before(*arguments: Any) -> Any:
        (tmp_path / "source/lost.json").write_bytes(lines(1))
        return explain(*arguments)

    monkeypatch.setattr(Stages, "explain", overwrite_before)
    source = {"lost.json": lines(*range(60_000)), "moved.json": lines(99_999)}
    result = reconciled(spark, tmp_path, source, {"elsewhere.json": lines(5, 99_999)})
    rows = {row.file_path: row for row in written(result, "files")}

    assert rows["lost.json"].error.startswith("CHANGED_DURING_RUN")
    assert counts(rows["lost.json"]) == (60_000, 0, 0, 0, 1, 0, 59_999, 0)
    assert (rows["moved.json"].status, result.exit_code) == ("MISSING_IN_BACKUP", 3)
