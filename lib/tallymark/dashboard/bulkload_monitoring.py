"""The tab Monitoring: the progress of the job that runs now, then the throughput and the failures of a run that ended.

A running job replaces `migration_progress.json` about once a second; the tables get its rows later.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

import streamlit as st

from tallymark.dashboard import charts
from tallymark.dashboard.reading import Folder, Row, text
from tallymark.dashboard.showing import banner, metrics, plain, problems_shown, show_table, when
from tallymark.report.wording import counted

PROGRESS = "migration_progress.json"
_EVERY = timedelta(seconds=2)
_SILENT = timedelta(seconds=30)
_KEPT = 900  # samples of a running job
_SENTENCES = {
    "running": "the job works",
    "completed": "the job ended",
    "interrupted": "somebody stopped the job; run it again, what was loaded is not loaded twice",
    "failed": "the job ended with an error; see migration.log",
}


@st.fragment(run_every=_EVERY)
def show_live(folder: Folder, now: Callable[[], datetime]) -> None:
    """Shows the progress, and reads it again by itself."""
    with problems_shown():
        _show_progress(folder.uri, folder.json(PROGRESS), now())


def _show_progress(place: str, progress: Row, now: datetime) -> None:
    status = str(progress.get("status"))
    silent = _silence(progress, now) if status == "running" else timedelta()
    if silent > _SILENT:
        st.warning(f"▲ No sign of life for {silent.total_seconds():,.0f} s: the job may have been killed.")
    else:
        banner(status.upper(), _SENTENCES.get(status, "the job did not know this status"))
    done, total = progress.get("files_completed") or 0, progress.get("total_files") or 0
    st.progress(min(1.0, done / total) if total else 0.0, text=f"{done:,} of {total:,} files")
    metrics({
        "Records": progress.get("total_records_processed"),
        "Batch size": progress.get("batch_size"),
        "Connections": progress.get("num_connections"),
        "Current batch": progress.get("current_batch"),
    })  # fmt: skip
    st.caption(plain(f"Now at {progress.get('current_file')}, last update {when(progress.get('last_update'))}"))
    samples = _sampled(place, progress)
    if status == "running" and len(samples) > 1:
        pairs = list(pairwise(samples))
        pace = [(new - old) / max((later - earlier).total_seconds(), 1e-9) for (earlier, old), (later, new) in pairs]
        charts.lines("Throughput now", [time for _, (time, _) in pairs], {"rows/s": pace}, ("", "rows/s"))
    for error in (progress.get("errors") or [])[:20]:
        st.error(plain(str(error)))


def _silence(progress: Row, now: datetime) -> timedelta:
    try:
        return now - datetime.fromisoformat(str(progress.get("last_update")))
    except (ValueError, TypeError):
        return timedelta()


def _sampled(place: str, progress: Row) -> list[tuple[datetime, int]]:
    """Returns what this browser tab has seen of the job so far: (time, records)."""
    seen: dict[object, list[tuple[datetime, int]]] = st.session_state.setdefault("progress", {})
    samples = seen.setdefault((place, progress.get("start_time")), [])
    try:
        time = datetime.fromisoformat(str(progress.get("last_update")))
    except ValueError:
        return samples
    if not samples or samples[-1][0] < time:
        samples.append((time, int(progress.get("total_records_processed") or 0)))
        del samples[:-_KEPT]
    return samples


def show_run(folder: Folder, run_id: str) -> None:
    """Shows the throughput over time and the failed cells of a run in the tables."""
    this_run = f"run_id = {text(run_id)}"
    failed = folder.rows(
        f"SELECT method, batch_size, num_connections, repeat, sqlstate, error FROM bulkload_cells "
        f"WHERE {this_run} AND status <> 'OK' ORDER BY start_time",
        "bulkload_cells",
    )
    if failed:
        st.error(f"✖ {counted(len(failed), 'cell')} failed; failed cells are never ranked.")
        show_table(failed, "Failed cells", "")
    with problems_shown():
        seconds = folder.rows(
            f"SELECT substr(end_time, 1, 19) AS second, sum(records_count) AS records FROM bulkload_batches "
            f"WHERE {this_run} GROUP BY 1 ORDER BY 1 LIMIT 20000",
            "bulkload_batches",
        )
        if seconds:
            pace = {"rows/s": [row["records"] for row in seconds]}
            charts.lines("Throughput of the run", [row["second"] for row in seconds], pace, ("", "rows/s"))
