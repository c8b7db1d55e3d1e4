"""The page of `bulkload` and its three tabs: monitoring, comparison, analysis. Called by `app`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import streamlit as st

from tallymark.dashboard import bulkload_analysis, bulkload_comparison, bulkload_monitoring
from tallymark.dashboard.reading import Folder, Row
from tallymark.dashboard.showing import choose_folder, choose_run, outcome, problems_shown, tabs, when

SHOWN_RUNS = 200


def runs_of(folder: Folder, limit: int = SHOWN_RUNS) -> list[Row]:
    """Returns the newest runs, newest first, each summed up over its cells."""
    return folder.rows(
        "SELECT run_id, min(run_time) AS run_time, min(kind) AS kind, count(*) AS cells, "
        "sum(CASE WHEN status = 'OK' THEN 0 ELSE 1 END) AS failed, sum(rows) AS rows, "
        "max(rows_per_second) AS fastest FROM bulkload_cells GROUP BY run_id "
        f"ORDER BY run_time DESC, run_id DESC LIMIT {limit}",
        "bulkload_cells",
    )


def result(run: Row) -> str:
    """Returns whether all cells of a run succeeded."""
    return "FAILED" if run["failed"] == run["cells"] else "COMPLETED_WITH_FAILURES" if run["failed"] else "OK"


def _label(run: Row) -> str:
    return f"{when(run['run_time'])} {outcome(result(run))} {run['kind']} ({run['run_id']})"


def holds(folder: Folder) -> bool:
    """Tells whether a bulkload wrote here, or is just writing for the first time."""
    return folder.holds("bulkload_cells") or folder.has(bulkload_monitoring.PROGRESS)


def show(folders: Sequence[Folder], now: Callable[[], datetime]) -> None:
    """Shows the page."""
    st.title("Bulkload")
    with problems_shown():
        folder = choose_folder(folders, "bulkload", holds)
        if folder is None:
            return
        monitoring, comparison, analysis = tabs("Monitoring", "Comparison", "Analysis")
        if monitoring.open:
            with monitoring:
                bulkload_monitoring.show_live(folder, now)
        with next(tab for tab in (monitoring, comparison, analysis) if tab.open), problems_shown():
            runs = runs_of(folder)
            run = choose_run(runs, _label)
            if run is None:
                return
            if monitoring.open:
                bulkload_monitoring.show_run(folder, run["run_id"])
            elif comparison.open:
                bulkload_comparison.show(folder, run, runs)
            else:
                bulkload_analysis.show(folder, run["run_id"])
