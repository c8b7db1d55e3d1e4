"""A run that compares a part says so everywhere, and never that all of it matches; limits below a path; the plan."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from reconcile_runs import counts, lines, put, reconciled, written
from tallymark.config.loading import load
from tallymark.config.reconcile import ReconcileConfig
from tallymark.errors import ConfigError
from tallymark.reconcile.forecast import Work
from tallymark.reconcile.result import Verdict
from tallymark.runs.reconcile.dry_run import plan
from tallymark.runs.reconcile.history import history

SOURCE = {
    "good.json": lines(1, 2),
    "bad.json": lines(3, 4, 5),
    "gone.json": lines(6),
    "from.json": lines(7, 8),
    "to.json": lines(9),
}
BACKUP = {
    "good.json": lines(1, 2),
    "bad.json": lines(3, 4, 5).replace(b'd5"', b'dX"'),
    "from.json": lines(7),
    "to.json": lines(9, 8),
}
"""One file matches, one has a changed record, one is missing, and a record has moved between two that match else."""


def config(folder: Path, **options: object) -> ReconcileConfig:
    places = {name: str(folder / name) for name in ("source", "backup", "out")}
    return load(ReconcileConfig, None, places | options)


def statuses(result: Any) -> dict[str, str]:
    return {row.file_path: row.status for row in written(result, "files")}


def test_a_recheck_compares_what_failed_and_finds_moved_records_again(spark: SparkSession, tmp_path: Path) -> None:
    first = reconciled(spark, tmp_path, SOURCE, BACKUP, run_id="first")
    assert counts(first.totals.__dict__) == (9, 8, 6, 1, 1, 1, 1, 0)
    put(tmp_path / "backup", {"bad.json": SOURCE["bad.json"], "gone.json": SOURCE["gone.json"]})
    put(tmp_path / "backup", {"good.json": lines(1)})  # what the re-check does not look at
    again = reconciled(spark, tmp_path, {}, {}, only_failed_from="first", run_id="again")
    whole = reconciled(spark, tmp_path, {}, {}, run_id="whole")

    assert statuses(again) == dict.fromkeys(("bad.json", "gone.json", "from.json", "to.json"), "MATCH")
    assert counts(again.totals.__dict__) == (7, 7, 6, 0, 1, 1, 0, 0)
    assert (again.verdict, again.exit_code) == (Verdict.PARTIAL_MATCH, 0)
    assert again.summary.scope.compared == 4
    assert again.summary.scope.listed == 5
    assert whole.verdict is Verdict.DIFFERENT
    told = json.loads((tmp_path / "out/runs/again/report.json").read_text())
    assert told["sentence"] == (
        "PARTIAL MATCH (4 of 5 files compared; 1 did not fail in run first): "
        "all 7 records of these match (1 record found in another file)"
    )
    assert "Only a part: 4 of 5 files compared" in (tmp_path / "out/runs/again/report.html").read_text()
    row = spark.read.format("delta").load(str(tmp_path / "out/delta/runs")).where("run_id = 'again'").collect()[0]
    assert (row.verdict, row.files, row.files_left_out) == ("PARTIAL_MATCH", 4, 1)
    assert [(run.run_id, run.is_recheck) for run in history(config(tmp_path, history=True))] == [
        ("first", False), ("again", True), ("whole", False),
    ]  # fmt: skip
    assert (tmp_path / "out/report.html").read_bytes() == (tmp_path / "out/runs/whole/report.html").read_bytes()


def test_a_recheck_needs_a_finished_run_of_these_places(spark: SparkSession, tmp_path: Path) -> None:
    reconciled(spark, tmp_path, {"a.json": lines(1)}, {"a.json": lines(1)}, run_id="first")

    for run_id, cause in (("other", "is not in the table runs"), ("first", "give this one another name")):
        with pytest.raises(ConfigError, match=cause):
            reconciled(spark, tmp_path, {}, {}, only_failed_from=run_id, run_id="first")
    (tmp_path / "else").mkdir()
    with pytest.raises(ConfigError, match="is one of other places"):
        plan(config(tmp_path, source=str(tmp_path / "else"), only_failed_from="first"))


def test_young_objects_are_left_alone_counted_and_shown(spark: SparkSession, tmp_path: Path) -> None:
    """A copy under way is neither missing nor matched."""
    source = {"old.json": lines(1), "copied-now.json": lines(2), "not-yet.json": lines(3)}
    put(tmp_path / "source", source)
    put(tmp_path / "backup", {"old.json": lines(1), "copied-now.json": b""})
    hours_ago = time.time() - 7_200
    for old in ("source/old.json", "backup/old.json", "source/copied-now.json"):
        os.utime(tmp_path / old, (hours_ago, hours_ago))
    result = reconciled(spark, tmp_path, {}, {}, min_age="1h")

    assert statuses(result) == {"old.json": "MATCH", "copied-now.json": "LEFT_ALONE", "not-yet.json": "LEFT_ALONE"}
    assert (result.verdict, result.exit_code) == (Verdict.PARTIAL_MATCH, 0)
    assert (result.totals.files, result.totals.files_left_alone, result.totals.source_records) == (3, 2, 1)
    report = tmp_path / "out/runs" / result.summary.run_id / "report.json"
    assert json.loads(report.read_text())["sentence"] == (
        "PARTIAL MATCH (1 of 3 files compared; 2 are younger than 1h): all 1 record of these match"
    )
    left = [row for row in written(result, "files") if row.status == "LEFT_ALONE"]
    assert {row.source_records for row in left} == {None}
    assert result.totals.bytes_not_read == sum(map(len, (source["copied-now.json"], source["not-yet.json"])))


def test_a_limit_below_a_path_makes_a_run_differ_that_the_threshold_would_pass(
    spark: SparkSession, tmp_path: Path
) -> None:
    source = {"north/a.json": lines(*range(100)), "south/a.json": lines(*range(100, 200)), "south/b.json": lines(200)}
    backup = {"north/a.json": lines(*range(99)), "south/a.json": lines(*range(100, 200))}
    limits = {
        "north/": {"match_rate": "99", "mismatches": 1},
        "south/": {"match_rate": "99.1", "missing_files": 0},
        "west/": {"mismatches": 0},
    }
    result = reconciled(spark, tmp_path, source, backup, threshold="98", limits=limits)

    assert result.verdict is Verdict.DIFFERENT
    assert [(each.prefix, each.limit, each.allowed, each.found) for each in result.summary.breaches] == [
        ("south/", "match_rate", "99.1 %", "99.0099 %"),
        ("south/", "missing_files", "0", "1"),
    ]
    assert result.summary.warnings == ["LIMITS: no file was compared below west/"]
    del limits["south/"]
    assert reconciled(spark, tmp_path, {}, {}, threshold="98", limits=limits).verdict is Verdict.WITHIN_THRESHOLD


def test_the_plan_says_what_a_run_would_read_and_reads_nothing(spark: SparkSession, tmp_path: Path) -> None:
    put(tmp_path / "source", SOURCE)
    put(tmp_path / "backup", BACKUP)
    before = plan(config(tmp_path))
    size = {name: sum(map(len, (SOURCE[name], BACKUP.get(name, b"")))) for name in SOURCE}
    compared = size["from.json"] + size["to.json"]
    identical = size["good.json"] + size["bad.json"]

    assert before.work == {
        "identical": Work(2, identical, identical),
        "compare": Work(2, compared, compared),
        "lonely": Work(1, size["gone.json"], size["gone.json"]),
    }
    assert before.estimate is None
    assert not (tmp_path / "out").exists()

    time.sleep(0.05)  # longer than the tick of file times below which the ledger trusts none
    run = reconciled(spark, tmp_path, {}, {})
    put(tmp_path / "source", {"new.json": lines(10)})
    after = plan(config(tmp_path))

    assert after.work["remembered"].pairs == 5
    assert after.to_read == len(lines(10))
    assert after.estimate is not None
    assert after.estimate.by.run_id == run.summary.run_id
    assert after.estimate.is_bound
