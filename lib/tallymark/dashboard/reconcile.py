"""The page of `reconcile`: a run with its verdict and equations, its files, the trend. Called by `app`.

Rows of files and mismatches count only where the run has a verdict, as the tables promise their readers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import streamlit as st

from tallymark.dashboard import charts, mismatches
from tallymark.dashboard.reading import Folder, Row, any_of, containing, names, newest, text
from tallymark.dashboard.showing import (
    banner,
    choose_folder,
    choose_run,
    equation,
    metrics,
    outcome,
    plain,
    problems_shown,
    show_table,
    size,
    tabs,
    when,
)
from tallymark.reconcile.tables import STATUS_ERROR
from tallymark.report.wording import counted, rate

SHOWN_RUNS = 200
SHOWN_FILES = 200
_TREND = 30
_RUN = (
    "run_id", "run_time", "status", "verdict", "source", "backup", "files", "files_matched", "files_error",
    "source_records", "backup_records", "matched_records", "mismatched_records", "missing_in_backup",
    "missing_in_source", "match_rate", "moved_out", "moved_in", "source_bytes", "backup_bytes", "warnings",
    "duration_seconds", "settings",
)  # fmt: skip
_FILE = (
    "file_path", "status", "mismatched_records", "missing_in_backup", "missing_in_source", "match_rate",
    "source_records", "backup_records", "matched_records", "moved_out", "moved_in", "proof",
)  # fmt: skip
_DIFFERENCES = "mismatched_records + missing_in_backup + missing_in_source"
_ORDERS = {
    "what needs attention": f"status = 'ERROR' DESC, {_DIFFERENCES} DESC, file_path",
    "lowest match rate": "match_rate ASC NULLS LAST, file_path",
    "most bytes": "greatest(source_bytes, backup_bytes) DESC, file_path",
    "path": "file_path",
}


def runs_of(folder: Folder, limit: int = SHOWN_RUNS) -> list[Row]:
    """Returns the newest runs, newest first."""
    return newest(folder, "runs", _RUN, limit)


def is_recheck(run: Row) -> bool:
    """Tells whether the run compared only what had failed in another one."""
    return json.loads(run["settings"] or "{}").get("only_failed_from") is not None


def verdict(run: Row) -> str:
    """Returns the verdict; a run without one was refused by its rules, was killed or still works."""
    return run["verdict"] or ("REFUSED" if run["status"] == "REFUSED" else "UNFINISHED")


def show(folders: Sequence[Folder]) -> None:
    """Shows the page."""
    st.title("Reconcile")
    folder = choose_folder(folders, "reconcile", lambda each: each.holds("files"))
    if folder is None:
        return
    with problems_shown():
        runs = runs_of(folder)
        run = choose_run(runs, lambda row: f"{when(row['run_time'])} {outcome(verdict(row))} ({row['run_id']})")
        if run is not None:
            _show_run(folder, run, runs)


def _show_run(folder: Folder, run: Row, runs: list[Row]) -> None:
    st.caption(plain(f"{run['source']} against {run['backup']}, {when(run['run_time'])} UTC"))
    if not run["verdict"]:
        why = "its rules refused it" if verdict(run) == "REFUSED" else "this run has not ended, or was stopped"
        banner(verdict(run), f"{why}. None of its rows count until it has a verdict.")
        return
    failed = f"; {counted(run['files_error'], 'file')} could not be compared" if run["files_error"] else ""
    banner(verdict(run), f"{rate(run['match_rate'])} of the records match{failed}")
    metrics({
        "Files": run["files"],
        "Files matched": run["files_matched"],
        "Records in source": run["source_records"],
        "Records in backup": run["backup_records"],
        "Bytes in source": size(run["source_bytes"]),
        "Seconds": run["duration_seconds"],
    })  # fmt: skip
    both = {"matched": run["matched_records"], "changed": run["mismatched_records"]}
    more = {"moved out": run["moved_out"], "missing in backup": run["missing_in_backup"]}
    equation("source", run["source_records"], {**both, **more})
    more = {"moved in": run["moved_in"], "missing in source": run["missing_in_source"]}
    equation("backup", run["backup_records"], {**both, **more})
    for warning in run["warnings"] or []:
        st.warning(plain(warning))
    files, records, trend = tabs("Files", "Mismatches", "Trend")
    if files.open:
        with files, problems_shown():
            _show_files(folder, run["run_id"])
    if records.open:
        with records, problems_shown():
            mismatches.show(folder, run["run_id"])
    if trend.open:
        with trend:
            _show_trend(run, runs)


def _show_files(folder: Folder, run_id: str) -> None:
    this_run = f"run_id = {text(run_id)}"
    counts = folder.rows(
        f"SELECT status, proof, count(*) AS files FROM files WHERE {this_run} GROUP BY status, proof", "files"
    )
    if STATUS_ERROR in _sums(counts, "status"):
        unread = f"{this_run} AND status = {text(STATUS_ERROR)} ORDER BY file_path LIMIT {SHOWN_FILES}"
        st.markdown("Files that could not be compared")
        errors = folder.rows(f"SELECT file_path, error FROM files WHERE {unread}", "files")
        show_table(errors, "Files that could not be compared", "")
    left, right = st.columns(2)
    with left:
        charts.bars("Files by status", _sums(counts, "status"), "files")
    with right:
        charts.bars("Files by proof", _sums(counts, "proof"), "files")
    left, middle, right = st.columns(3)
    statuses = left.multiselect("Status", sorted(_sums(counts, "status")), placeholder="all")
    part = middle.text_input("Path contains")
    order = right.selectbox("Order by", _ORDERS.keys())
    chosen = f"{this_run} AND {any_of('status', statuses)} AND {containing('file_path', part)}"
    rows = folder.rows(
        f"SELECT {names(_FILE)} FROM files WHERE {chosen} ORDER BY {_ORDERS[order]} LIMIT {SHOWN_FILES}", "files"
    )
    if len(rows) == SHOWN_FILES:
        st.caption(f"The first {SHOWN_FILES} files of this order; narrow the filter to see others.")
    show_table(rows, "Files of the run", "No file meets the filter.")


def _sums(counts: list[Row], column: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in counts:
        found[row[column] or "none"] = found.get(row[column] or "none", 0) + row["files"]
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _show_trend(run: Row, runs: list[Row]) -> None:
    places = (run["source"], run["backup"])
    whole = (row for row in reversed(runs) if row["verdict"] and not is_recheck(row))  # a part is no point of a trend
    same = [row for row in whole if (row["source"], row["backup"]) == places][-_TREND:]
    series = {
        "changed": [row["mismatched_records"] or 0 for row in same],
        "missing in backup": [row["missing_in_backup"] or 0 for row in same],
        "missing in source": [row["missing_in_source"] or 0 for row in same],
    }
    charts.columns("Differences by run", [when(row["run_time"]) for row in same], series, "records")
    columns = ("run_time", "verdict", "match_rate", "source_records", "backup_records", "files", "duration_seconds")
    show_table([{name: row[name] for name in columns} for row in reversed(same)], "Runs of these places", "")
