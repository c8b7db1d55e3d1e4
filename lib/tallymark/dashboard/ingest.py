"""The page of `ingest`: a run with its equation and hours, the quarantine, the hours of `logs`. Called by `app`.

It shows counts and reasons. What a log record or a token holds is not read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import streamlit as st

from tallymark.dashboard import charts
from tallymark.dashboard.reading import Folder, Row, newest
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
    tabs,
    when,
)

SHOWN_RUNS = 200
_HOURS = 24 * 31
_RUN = (
    "run_id", "run_time", "status", "source", "since", "until", "watermark", "extracted", "written", "duplicates",
    "quarantined", "reasons", "hours", "errors", "published_objects", "seconds",
)  # fmt: skip
_SENTENCES = {
    "COMPLETE": "everything that was extracted is accounted for",
    "INCOMPLETE": "some objects could not be read to their end; they are named below",
    "REFUSED": "more records were bad than the budget allows: nothing was written",
}


def runs_of(folder: Folder, limit: int = SHOWN_RUNS) -> list[Row]:
    """Returns the newest runs, newest first."""
    return newest(folder, "runs", _RUN, limit)


def show(folders: Sequence[Folder]) -> None:
    """Shows the page."""
    st.title("Ingest")
    folder = choose_folder(folders, "ingest", lambda each: each.holds("quarantine"))
    if folder is None:
        return
    with problems_shown():
        run = choose_run(
            runs_of(folder), lambda row: f"{when(row['run_time'])} {outcome(row['status'])} ({row['run_id']})"
        )
        if run is not None:
            _show_run(run)
    quarantine, hours = tabs("Quarantine", "Hours of the table")
    if quarantine.open:
        with quarantine, problems_shown():
            _show_quarantine(folder)
    if hours.open:
        with hours, problems_shown():
            _show_hours(folder)


def _show_run(run: Row) -> None:
    window = f", window {run['since']} to {run['until']}" if run["since"] else ""
    st.caption(plain(f"{run['source']}{window}, {when(run['run_time'])} UTC"))
    banner(run["status"], _SENTENCES.get(run["status"], "the job did not know this status"))
    metrics({
        "Extracted": run["extracted"],
        "Written": run["written"],
        "Duplicates": run["duplicates"],
        "Quarantined": run["quarantined"],
        "Objects published": run["published_objects"],
        "Seconds": run["seconds"],
    })  # fmt: skip
    if run["status"] != "REFUSED":
        equation("extracted", run["extracted"], {name: run[name] for name in ("written", "duplicates", "quarantined")})
    if run["watermark"]:
        st.caption(plain(f"The next window starts at {run['watermark']}, less the overlap."))
    for place, reason, detail in json.loads(run["errors"] or "[]"):
        st.error(plain(f"{reason} on {place}: {detail}"))
    left, right = st.columns(2)
    reasons = json.loads(run["reasons"] or "{}")
    hours = json.loads(run["hours"] or "{}")
    with left:
        if reasons:
            ordered = sorted(reasons.items(), key=lambda item: -item[1])
            charts.bars("Quarantined by reason, this run", dict(ordered), "records")
    with right:
        if hours:
            parts = {name: [counts[name] for counts in hours.values()] for name in ("written", "duplicates")}
            charts.columns("Records by hour, this run", [_hour(place) for place in hours], parts, "records")


def _hour(place: str) -> str:
    return place.replace("dt=", "").replace("/hour=", " ") + "h"


def _show_quarantine(folder: Folder) -> None:
    rows = folder.rows(
        "SELECT stage, reason, count(*) AS records, count(DISTINCT source) AS objects, min(source) AS for_example "
        "FROM quarantine GROUP BY stage, reason ORDER BY records DESC, reason",
        "quarantine",
    )
    if rows:
        st.caption("Tokens of all runs that wait for a key or a repair: `./spark-submit.sh ingest --replay`.")
    show_table(rows, "Quarantined records by reason", "Nothing is in quarantine.")


def _show_hours(folder: Folder) -> None:
    rows = folder.rows(
        f'SELECT dt, "hour", count(*) AS records FROM logs GROUP BY dt, "hour" ORDER BY dt DESC, "hour" DESC '
        f"LIMIT {_HOURS}",
        "logs",
    )
    if not rows:
        st.caption("The table holds no record.")
        return
    rows.reverse()
    named = [f"{row['dt']} {row['hour']}h" for row in rows]
    charts.columns("Records in the table by hour", named, {"records": [row["records"] for row in rows]}, "records")
