"""People are told when the state of two places changes, not at each run, and never of a record unless they asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from hook_server import HookServer
from reconcile_runs import lines, put, reconciled
from tallymark.config.loading import load
from tallymark.config.reconcile import ReconcileConfig
from tallymark.errors import ConfigError, IncompleteError, LockedError
from tallymark.io.objects import ObjectStore
from tallymark.reconcile.evidence import Example
from tallymark.reconcile.history import RunPoint
from tallymark.reconcile.result import RunSummary, Totals, Verdict
from tallymark.runs.reconcile.announcing import tell_failure, tell_result
from tallymark.runs.reconcile.begun import begin

NOTIFY: dict[str, Any] = {"webhooks": [{"url_from": "env:HOOK", "shape": "json"}]}
EXAMPLE = Example("a.json", "changed", ("$.name",), '{"name":"s3cret"}', '{"name":"x"}', 1, None)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[HookServer]:
    with HookServer() as server:
        monkeypatch.setenv("HOOK", server.url)
        yield server


def config(folder: Path, **options: object) -> ReconcileConfig:
    for side in ("source", "backup"):
        (folder / side).mkdir(exist_ok=True)
    places = {name: str(folder / name) for name in ("source", "backup", "out")}
    return load(ReconcileConfig, None, {**places, "notify": NOTIFY, **options})


def point(exit_code: int | None, *, is_recheck: bool = False) -> RunPoint:
    verdict = {0: "MATCH", 1: "DIFFERENT", 3: "INCOMPLETE", None: None}[exit_code]
    return RunPoint("r", "2024", "a", "b", verdict, exit_code, None, 1, 1, 0, 0, 0, 1.0, 1, is_recheck)


def finished(verdict: Verdict, *earlier: RunPoint) -> RunSummary:
    totals = Totals(files=1, source_records=2, backup_records=2, matched_records=2, identical_records=2)
    if verdict is Verdict.DIFFERENT:
        totals = replace(totals, matched_records=1, identical_records=1, mismatched_records=1)
    now = datetime(2024, 5, 6, tzinfo=timezone.utc)
    return RunSummary(
        "now", now, "/s", "/b", "/o", {}, verdict, totals, {}, [], [], {}, [], 1, 1.0,
        trend=[*earlier, point(verdict.exit_code)],
    )  # fmt: skip


def titles(hook: HookServer) -> list[str]:
    return [message["title"] for _, message in hook.received]


@pytest.mark.parametrize(
    ("verdict", "earlier", "told"),
    [
        (Verdict.DIFFERENT, [], ["reconcile failed: DIFFERENT"]),
        (Verdict.DIFFERENT, [1, 0], ["reconcile failed: DIFFERENT"]),
        (Verdict.INCOMPLETE, [0], ["reconcile failed: INCOMPLETE"]),
        (Verdict.DIFFERENT, [0, 1], []),
        (Verdict.INCOMPLETE, [0, None], []),
        (Verdict.MATCH, [], []),
        (Verdict.MATCH, [1, 0], []),
        (Verdict.WITHIN_THRESHOLD, [0, 1], ["reconcile is well again: WITHIN THRESHOLD"]),
        (Verdict.PARTIAL_MATCH, [0, 3], ["reconcile is well again: PARTIAL MATCH"]),
        (Verdict.MATCH, [0, None], ["reconcile is well again: MATCH"]),
    ],
)
def test_a_change_of_state_is_told_and_nothing_else(
    hook: HookServer, tmp_path: Path, verdict: Verdict, earlier: list[int | None], told: list[str]
) -> None:
    tell_result(config(tmp_path), finished(verdict, *map(point, earlier)), [], {"report (HTML)": "/o/r.html"})

    assert titles(hook) == told


def test_a_recheck_is_neither_told_nor_what_the_next_run_compares_itself_with(hook: HookServer, tmp_path: Path) -> None:
    reports = {"report (HTML)": "/o/r.html"}
    failed, recheck = point(1), point(0, is_recheck=True)
    tell_result(config(tmp_path, only_failed_from="r"), finished(Verdict.MATCH, failed), [], reports)
    tell_result(config(tmp_path), finished(Verdict.DIFFERENT, failed, recheck), [], reports)
    assert titles(hook) == []

    tell_result(config(tmp_path), finished(Verdict.MATCH, failed, recheck), [], reports)
    assert titles(hook) == ["reconcile is well again: MATCH"]


def test_records_are_told_only_to_who_asked(hook: HookServer, tmp_path: Path) -> None:
    asked = config(tmp_path, notify=NOTIFY | {"include_records": True})
    for each in (config(tmp_path), asked):
        tell_result(each, finished(Verdict.DIFFERENT), [EXAMPLE], {"report (HTML)": "/o/r.html"})

    silent, open_one = (message for _, message in hook.received)
    assert "s3cret" not in str(silent)
    assert silent == {
        "job": "reconcile",
        "state": "failed",
        "title": "reconcile failed: DIFFERENT",
        "sentence": "DIFFERENT: 50.00 % of 2 records match; 1 changed",
        "facts": {"run": "now", "source": "/s", "backup": "/b", "report": "/o/r.html"},
        "records": [],
    }
    assert open_one["records"] == ['changed in a.json: source {"name":"s3cret"}, backup {"name":"x"}']


def test_a_run_that_an_error_ended_is_told_without_what_it_met(hook: HookServer, tmp_path: Path) -> None:
    """Only our own errors are known to quote no record; a lock or a wrong option is no failure of the places."""
    chosen, store = config(tmp_path), ObjectStore()
    for error in (LockedError("held"), ConfigError("wrong"), ValueError("s3cret"), IncompleteError("cannot list x")):
        tell_failure(chosen, store, begin(chosen), error)

    assert [message["sentence"] for _, message in hook.received] == [
        "stopped by an unexpected ValueError",
        "cannot list x",
    ]
    assert set(titles(hook)) == {"reconcile failed: it did not finish"}


def test_a_run_tells_of_its_failure_and_the_next_that_dies_of_nothing_new(
    spark: SparkSession, hook: HookServer, tmp_path: Path
) -> None:
    changed = {"a.json": lines(1, 2).replace(b'"d2"', b'"dX"')}
    failed = reconciled(spark, tmp_path, {"a.json": lines(1, 2)}, changed, notify=NOTIFY)
    assert titles(hook) == ["reconcile failed: DIFFERENT"]
    assert hook.received[0][1]["facts"]["report"] == failed.reports["report (HTML)"]

    put(tmp_path, {"file": b""})
    with pytest.raises(IncompleteError):
        reconciled(spark, tmp_path, {}, {}, notify=NOTIFY, report=str(tmp_path / "file/report.csv"))
    assert len(hook.received) == 1
