"""The first page: the newest run of each job in each folder with its account, then recent runs. Called by `app`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from tallymark.dashboard import bulkload, export, ingest, reconcile
from tallymark.dashboard.reading import Folder, Row
from tallymark.dashboard.showing import amount, outcome, plain, problems_shown, show_table, when

_RECENT = 20


@dataclass(frozen=True)
class Job:
    """How the overview sees a job: ``mark`` is a table that only it writes."""

    name: str
    mark: str
    runs_of: Callable[[Folder, int], list[Row]]
    result: Callable[[Row], str]
    account: Callable[[Row], str]


def _reconciled(run: Row) -> str:
    if not run["verdict"]:
        return "it has not ended, or was stopped"
    found = (run["matched_records"] or 0) + (run["moved_out"] or 0)
    part = " (a re-check: only of files that had failed)" if reconcile.is_recheck(run) else ""
    return f"{amount(found)} of {amount(run['source_records'])} records of the source are in the backup{part}"


def _ingested(run: Row) -> str:
    parts = ", ".join(f"{amount(run[name])} {name}" for name in ("written", "duplicates", "quarantined"))
    return f"{amount(run['extracted'])} extracted: {parts}"


def _loaded(run: Row) -> str:
    return f"{run['kind']}: {amount(run['cells'])} cells, {amount(run['failed'])} failed, {amount(run['rows'])} rows"


def _exported(run: Row) -> str:
    wanted = "" if run["rows_in_snapshot"] is None else f" of {amount(run['rows_in_snapshot'])} in the snapshot"
    return f"{run['table']}: {amount(run['rows'])} rows{wanted}"


JOBS = (
    Job("reconcile", "files", reconcile.runs_of, reconcile.verdict, _reconciled),
    Job("ingest", "quarantine", ingest.runs_of, lambda run: str(run["status"]), _ingested),
    Job("bulkload", "bulkload_cells", bulkload.runs_of, bulkload.result, _loaded),
    Job("export", "export_runs", export.runs_of, export.result, _exported),
)


def show(folders: Sequence[Folder]) -> None:
    """Shows the page."""
    st.title("Overview")
    recent: list[Row] = []
    for job in JOBS:
        st.subheader(job.name.capitalize())
        found: list[Row] = []
        for folder in folders:
            with problems_shown():
                if folder.holds(job.mark):
                    found += [_line(job, folder, run) for run in job.runs_of(folder, _RECENT)]
        for line in _newest(found):
            st.markdown(plain(f"{line['outcome']}, {line['time']}, {line['folder']}: {line['account']}"))
        if not found:
            st.caption(f"No run to show. A first one: `./spark-submit.sh {job.name}`")
        recent += found
    if recent:
        st.subheader("Recent runs")
        recent.sort(key=lambda line: str(line["time"]), reverse=True)
        show_table(recent[:_RECENT], "Recent runs of all jobs", "")


def _line(job: Job, folder: Folder, run: Row) -> Row:
    return {
        "time": when(run["run_time"]),
        "job": job.name,
        "outcome": outcome(job.result(run)),
        "account": job.account(run),
        "folder": folder.uri,
        "run": run["run_id"],
    }


def _newest(lines: list[Row]) -> list[Row]:
    """Returns the first line of each folder; the runs come newest first."""
    first: dict[str, Row] = {}
    for line in lines:
        first.setdefault(line["folder"], line)
    return list(first.values())
