"""The page of `export`: a run with its equation, the pace and the memory of its chunks. Called by `app`.

Keys of rows are values of a table, so they are shown only when somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from tallymark.dashboard import charts
from tallymark.dashboard.reading import Folder, Row, names, newest, text
from tallymark.dashboard.showing import (
    amount,
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
    when,
)

SHOWN_RUNS = 200
_POINTS = 500
_SLOWEST = 50
_RUN = (
    "run_id", "run_time", "table", "place", "format", "cut_by", "consistency", "verified", "rows", "rows_in_snapshot",
    "bytes", "chunks", "retries", "refreshes", "resumes", "duration_seconds", "rows_per_second", "peak_memory_bytes",
    "longest_transaction_seconds", "oldest_xmin_age", "server_version", "tls", "warnings",
)  # fmt: skip
_CHUNK = ("number", "part", "rows", "rows_wanted", "bytes", "seconds", "attempts", "memory_bytes", "verified", "sha256")


def runs_of(folder: Folder, limit: int = SHOWN_RUNS) -> list[Row]:
    """Returns the newest runs, newest first."""
    return newest(folder, "export_runs", _RUN, limit)


def result(run: Row) -> str:
    """Returns what a run proved; all runs in the table ended."""
    if run["rows_in_snapshot"] is not None and run["rows_in_snapshot"] != run["rows"]:
        return "ROWS DIFFER"
    return "VERIFIED" if run["verified"] else "NOT VERIFIED"


def show(folders: Sequence[Folder]) -> None:
    """Shows the page."""
    st.title("Export")
    folder = choose_folder(folders, "export", lambda each: each.holds("export_runs"))
    if folder is None:
        return
    with problems_shown():
        runs = runs_of(folder)
        run = choose_run(runs, lambda row: f"{when(row['run_time'])} {outcome(result(row))} {row['table']}")
        if run is not None:
            _show_run(run)
            with problems_shown():
                _show_chunks(folder, run["run_id"])


def _show_run(run: Row) -> None:
    st.caption(plain(f"{run['table']} to {run['place']} as {run['format']}, {when(run['run_time'])} UTC"))
    sentences = {
        "VERIFIED": "every chunk was read again from the server and has the checksum of its file",
        "NOT VERIFIED": "the rows were counted; --verify compares checksums with the server too",
        "ROWS DIFFER": "the files do not hold the rows of the snapshot; export the table again",
    }
    banner(result(run), sentences[result(run)])
    metrics({
        "Rows": run["rows"],
        "Bytes": size(run["bytes"]),
        "Seconds": run["duration_seconds"],
        "Rows/s": run["rows_per_second"],
        "Peak memory": size(run["peak_memory_bytes"]),
        "Chunks": run["chunks"],
    })  # fmt: skip
    if run["rows_in_snapshot"] is None:
        st.warning(plain(f"Consistency {run['consistency']}: there was no one snapshot, so there is no equation."))
    else:
        equation("rows in the snapshot", run["rows_in_snapshot"], {"rows in the files": run["rows"]})
    facts = ("consistency", "cut_by", "retries", "refreshes", "resumes", "longest_transaction_seconds",
             "oldest_xmin_age", "server_version", "tls")  # fmt: skip
    st.caption(plain(", ".join(f"{name.replace('_', ' ')}: {amount(run[name])}" for name in facts)))
    for warning in run["warnings"] or []:
        st.warning(plain(warning))


def _show_chunks(folder: Folder, run_id: str) -> None:
    this_run = f"run_id = {text(run_id)}"
    # A long run is thinned to as many points as a chart can show, each the mean of its chunks.
    points = folder.rows(
        f"SELECT min(number) AS first, avg(seconds) AS seconds, avg(memory_bytes) / 1e6 AS memory, "
        f"sum(rows) / greatest(sum(seconds), 1e-9) AS pace FROM export_chunks WHERE {this_run} "
        f"GROUP BY (number * {_POINTS}) / (SELECT max(number) + 1 FROM export_chunks WHERE {this_run}) ORDER BY first",
        "export_chunks",
    )
    numbers = [row["first"] for row in points]
    left, middle, right = st.columns(3)
    with left:
        charts.lines("Time per chunk", numbers, {"seconds": [row["seconds"] for row in points]}, ("chunk", "seconds"))
    with middle:
        charts.lines("Pace", numbers, {"rows/s": [row["pace"] for row in points]}, ("chunk", "rows/s"))
    with right:
        charts.lines("Memory", numbers, {"MB": [row["memory"] for row in points]}, ("chunk", "MB"))
    keys = ("after", "up_to") if st.toggle("Show the keys at which chunks begin and end") else ()
    rows = folder.rows(
        f"SELECT {names((*_CHUNK, *keys))} FROM export_chunks WHERE {this_run} "
        f"ORDER BY seconds DESC, number LIMIT {_SLOWEST}",
        "export_chunks",
    )
    st.markdown(f"Slowest chunks, at most {_SLOWEST}")
    show_table(rows, "Slowest chunks", "The run has no chunk: the table was empty.")
