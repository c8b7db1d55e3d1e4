"""The tab Analysis: how long batches took, per table and per connection, what the server waited for, the raw rows."""

from __future__ import annotations

import csv
import io
from collections import Counter
from functools import partial

import streamlit as st

from tallymark.dashboard import charts
from tallymark.dashboard.reading import Folder, Row, any_of, text
from tallymark.dashboard.showing import harmless, show_table

SHOWN_BATCHES = 500
SAVED_BATCHES = 200_000
_BINS = 10  # of a factor of ten
_TABLE = "bulkload_batches"
_FIGURES = (
    "count(*) AS batches, sum(records_count) AS records, sum(retries) AS retries, "
    "approx_percentile_cont(total_duration_seconds, 0.5) AS p50_seconds, "
    "approx_percentile_cont(total_duration_seconds, 0.95) AS p95_seconds, "
    "approx_percentile_cont(total_duration_seconds, 0.99) AS p99_seconds"
)
_RAW = (
    "SELECT method, batch_size, num_connections, repeat, batch_number, table_name, file_path, records_count, "
    "start_time, end_time, total_duration_seconds, records_per_second, cumulative_records, bytes, retries, "
    "backend_pid, worker_pid FROM bulkload_batches WHERE {} ORDER BY start_time, backend_pid, batch_number LIMIT {}"
)


def show(folder: Folder, run_id: str) -> None:
    """Shows the tab for a run in the tables."""
    this_run = f"run_id = {text(run_id)}"
    methods = [
        row["method"]
        for row in folder.rows(f"SELECT DISTINCT method FROM bulkload_batches WHERE {this_run} ORDER BY 1", _TABLE)
    ]
    if not methods:
        st.info("Nothing to show: no batch of this run was committed.")
        return
    chosen = st.multiselect("Method", methods, placeholder="all")
    where = f"{this_run} AND {any_of('method', chosen)}"
    left, right = st.columns(2)
    with left:
        _show_latency(folder, where)
    with right:
        _show_waits(folder, where)
    st.markdown("Per table")
    show_table(_grouped(folder, where, "table_name"), "Batches per table", "No batch.")
    st.markdown("Per connection (of Spark's own writer only the worker is known)")
    connection = "coalesce(backend_pid, worker_pid)"
    show_table(_grouped(folder, where, connection, "connection"), "Batches per connection", "No batch.")
    _show_raw(folder, where, run_id)


def _show_latency(folder: Folder, where: str) -> None:
    rows = folder.rows(
        f"SELECT CAST(floor({_BINS} * log10(greatest(total_duration_seconds, 1e-6))) AS INT) AS bin, "
        f"count(*) AS batches FROM bulkload_batches WHERE {where} GROUP BY 1 ORDER BY 1",
        _TABLE,
    )
    counts = {row["bin"]: row["batches"] for row in rows}
    bins = range(min(counts), max(counts) + 1)
    labels = [f"{1000 * 10 ** (number / _BINS):,.3g} ms" for number in bins]
    charts.columns(
        "Latency of batches, from", labels, {"batches": [counts.get(number, 0) for number in bins]}, "batches"
    )


def _show_waits(folder: Folder, where: str) -> None:
    waits: Counter[str] = Counter()
    for row in folder.rows(f"SELECT top_waits FROM bulkload_cells WHERE {where}", "bulkload_cells"):
        waits.update(dict(row["top_waits"] or []))
    if waits:
        charts.bars("What the server's backends did", dict(waits.most_common(10)), "samples")


def _grouped(folder: Folder, where: str, column: str, name: str | None = None) -> list[Row]:
    return folder.rows(
        f'SELECT {column} AS "{name or column}", {_FIGURES}, sum(records_count) / '
        "greatest(sum(total_duration_seconds), 1e-9) AS rows_per_busy_second "
        f"FROM bulkload_batches WHERE {where} GROUP BY {column} ORDER BY records DESC LIMIT 100",
        _TABLE,
    )


def _show_raw(folder: Folder, where: str, run_id: str) -> None:
    st.markdown(f"Batches in the order of their start, at most {SHOWN_BATCHES}")
    show_table(folder.rows(_RAW.format(where, SHOWN_BATCHES), _TABLE), "Batches", "No batch.")
    st.download_button(
        f"Download as CSV (at most {SAVED_BATCHES:,} batches)",
        partial(_csv, folder, where),  # made when somebody asks for it
        file_name=f"batches-{run_id}.csv",
        mime="text/csv",
        on_click="ignore",
    )


def _csv(folder: Folder, where: str) -> bytes:
    rows = folder.rows_once(_RAW.format(where, SAVED_BATCHES), _TABLE)
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]) if rows else [])
    writer.writeheader()
    writer.writerows(map(harmless, rows))
    return file.getvalue().encode()
