"""What a run tells: its verdict, its places, its page, and records only to who asked for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from hook_server import NOTIFY, HookServer
from reconcile_runs import lines, put, reconciled
from tallymark.config.loading import load
from tallymark.config.reconcile import ReconcileConfig
from tallymark.errors import IncompleteError
from tallymark.reconcile.evidence import Example
from tallymark.reconcile.result import RunSummary, Totals, Verdict
from tallymark.runs.reconcile.announcing import outcome
from tallymark.runs.telling import Outcome

EXAMPLE = Example("a.json", "changed", ("$.name",), '{"name":"s3cret"}', '{"name":"x"}', 1, None)


def told(verdict: Verdict, **notify: object) -> Outcome:
    totals = Totals(files=1, source_records=2, backup_records=2, matched_records=2, identical_records=2)
    if verdict is Verdict.DIFFERENT:
        totals = replace(totals, matched_records=1, identical_records=1, mismatched_records=1)
    now = datetime(2024, 5, 6, tzinfo=timezone.utc)
    summary = RunSummary("now", now, "/s", "/b", "/o", {}, verdict, totals, {}, [], [], {}, [], 1, 1.0)
    config = load(ReconcileConfig, None, {"source": "/s", "backup": "/b", "out": "/o", "notify": NOTIFY | notify})
    return outcome(config, summary, [EXAMPLE], {"report (HTML)": "/o/r.html"})


def titles(hook: HookServer) -> list[str]:
    return [message["title"] for _, message in hook.received]


@pytest.mark.parametrize(
    ("verdict", "passed", "word"),
    [
        (Verdict.MATCH, True, "MATCH"),
        (Verdict.WITHIN_THRESHOLD, True, "WITHIN THRESHOLD"),
        (Verdict.PARTIAL_MATCH, True, "PARTIAL MATCH"),
        (Verdict.DIFFERENT, False, "DIFFERENT"),
        (Verdict.INCOMPLETE, False, "INCOMPLETE"),
    ],
)
def test_a_run_passes_where_its_exit_code_is_zero(verdict: Verdict, passed: bool, word: str) -> None:
    assert (told(verdict).passed, told(verdict).word) == (passed, word)


def test_records_are_told_only_to_who_asked() -> None:
    silent, asked = told(Verdict.DIFFERENT), told(Verdict.DIFFERENT, include_records=True)

    assert silent == Outcome(
        False, "DIFFERENT", "DIFFERENT: 50.00 % of 2 records match; 1 changed", (("report", "/o/r.html"),)
    )
    assert asked.records == ('changed in a.json: source {"name":"s3cret"}, backup {"name":"x"}',)


def test_a_run_tells_of_its_failure_and_the_next_that_dies_of_nothing_new(
    spark: SparkSession, hook: HookServer, tmp_path: Path
) -> None:
    """Nor does a re-check, which speaks of a part."""
    changed = {"a.json": lines(1, 2).replace(b'"d2"', b'"dX"')}
    failed = reconciled(spark, tmp_path, {"a.json": lines(1, 2)}, changed, notify=NOTIFY)
    assert titles(hook) == ["reconcile failed: DIFFERENT"]
    assert hook.received[0][1]["facts"] == {
        "run": failed.summary.run_id,
        "source": str(tmp_path / "source"),
        "backup": str(tmp_path / "backup"),
        "report": failed.reports["report (HTML)"],
    }

    put(tmp_path, {"file": b""})
    with pytest.raises(IncompleteError):
        reconciled(spark, tmp_path, {}, {}, notify=NOTIFY, report=str(tmp_path / "file/report.csv"))
    good = {"a.json": lines(1, 2)}
    reconciled(spark, tmp_path, good, good, notify=NOTIFY, only_failed_from=failed.summary.run_id)
    assert len(hook.received) == 1

    reconciled(spark, tmp_path, good, good, notify=NOTIFY)
    assert titles(hook)[1:] == ["reconcile is well again: MATCH"]
