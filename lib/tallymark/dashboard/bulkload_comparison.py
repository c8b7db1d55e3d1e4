"""The tab Comparison: the cells of a run as a heat map per method, the providers, a run against a baseline.

A cell is the median of its repeats that succeeded; what was emulated always says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from tallymark.dashboard import charts
from tallymark.dashboard.reading import Folder, Row, text
from tallymark.dashboard.showing import amount, metrics, outcome, plain, show_table, when

_CELL = ("method", "batch_size", "num_connections")
_COLUMNS = 2
_ROOFLINE = "roofline"  # the fastest that the server takes ready bytes; no method to choose


def show(folder: Folder, run: Row, runs: Sequence[Row]) -> None:
    """Shows the tab for a run in the tables."""
    cells = _cells(folder, run["run_id"])
    ranked = [row for row in cells if row["method"] != _ROOFLINE and row["pace"] is not None]
    best = max(ranked, key=lambda row: float(row["pace"]), default=None)
    if best is None:
        st.warning("No cell of this run succeeded, so there is nothing to compare.")
    else:
        _show_best(best, cells)
    if any(row["measurement"] == "emulated" for row in cells):
        st.warning("These figures are emulated by a proxy; they are not those of a cloud.")
    _show_heat_maps(cells)
    _show_providers(folder)
    _show_against(folder, cells, [row for row in runs if row["run_id"] != run["run_id"]])


def _cells(folder: Folder, run_id: str) -> list[Row]:
    return folder.rows(
        "SELECT method, batch_size, num_connections, min(measurement) AS measurement, "
        "median(CASE WHEN status = 'OK' THEN rows_per_second END) AS pace, count(*) AS repeats, "
        "sum(CASE WHEN status = 'OK' THEN 0 ELSE 1 END) AS failed, max(effective_connections) AS connections_seen, "
        "median(CASE WHEN status = 'OK' THEN p95_seconds END) AS p95_seconds, "
        "median(CASE WHEN status = 'OK' THEN wal_bytes_per_row END) AS wal_bytes_per_row "
        f"FROM bulkload_cells WHERE run_id = {text(run_id)} GROUP BY method, batch_size, num_connections "
        "ORDER BY method, batch_size, num_connections",
        "bulkload_cells",
    )


def _show_best(best: Row, cells: list[Row]) -> None:
    roofline = next((row["pace"] for row in cells if row["method"] == _ROOFLINE and row["pace"]), None)
    metrics({
        "Best method": best["method"],
        "Batch size": best["batch_size"],
        "Connections": best["num_connections"],
        "Rows/s": round(best["pace"]),
        "Of the roofline": f"{100 * best['pace'] / roofline:.0f} %" if roofline else None,
    })  # fmt: skip


def _show_heat_maps(cells: list[Row]) -> None:
    methods = sorted({row["method"] for row in cells} - {_ROOFLINE})
    best = max((float(row["pace"]) for row in cells if row["pace"] and row["method"] in methods), default=1.0)
    places = st.columns(_COLUMNS)
    for number, method in enumerate(methods):
        of_method = [row for row in cells if row["method"] == method]
        connections = sorted({row["num_connections"] for row in of_method})
        sizes = sorted({row["batch_size"] for row in of_method})
        found = {(row["num_connections"], row["batch_size"]): row["pace"] for row in of_method}
        with places[number % _COLUMNS]:
            charts.heat_map(f"{method}: rows/s", connections, sizes, found, best)
    show_table(cells, "Cells of the run", "The run has no cell.")


def _show_providers(folder: Folder) -> None:
    rows = folder.rows(
        "SELECT provider, instance_type, measurement, method, max(pace) AS pace FROM (SELECT provider, instance_type, "
        "measurement, method, median(rows_per_second) AS pace FROM bulkload_cells WHERE kind = 'benchmark' "
        f"AND status = 'OK' AND method <> '{_ROOFLINE}' GROUP BY run_id, provider, instance_type, measurement, "
        "method, batch_size, num_connections) GROUP BY provider, instance_type, measurement, method "
        "ORDER BY 1, 2, 3, 4",
        "bulkload_cells",
    )
    if not rows:
        return
    found = {(_provider(row), row["method"]): row["pace"] for row in rows}
    providers = sorted({provider for provider, _ in found})
    methods = sorted({method for _, method in found})
    series = {method: [found.get((provider, method)) for provider in providers] for method in methods}
    charts.columns("Best cell by provider, all benchmarks", providers, series, "rows/s", mode="group")


def _provider(row: Row) -> str:
    return f"{row['provider']} {row['instance_type']} ({row['measurement']})"


def _show_against(folder: Folder, cells: list[Row], others: list[Row]) -> None:
    labels = {row["run_id"]: f"{when(row['run_time'])} {row['kind']} ({row['run_id']})" for row in others}
    chosen = st.selectbox("Compare with the baseline run", labels.keys(), format_func=labels.__getitem__, index=None)
    if chosen is None:
        return
    former = {tuple(row[name] for name in _CELL): row["pace"] for row in _cells(folder, chosen)}
    rows = []
    for row in cells:
        before = former.get(tuple(row[name] for name in _CELL))
        if before and row["pace"]:
            change = 100 * (row["pace"] / before - 1)
            word = outcome("OK") if change >= -5 else outcome("SLOWER")
            rows.append({name: row[name] for name in _CELL} | {
                "rows/s": round(row["pace"]), "baseline rows/s": round(before), "change %": round(change, 1), "": word,
            })  # fmt: skip
    if rows:
        st.caption(plain(f"{amount(len(rows))} cells were measured in both; SLOWER: more than 5 % below the baseline."))
    show_table(rows, "Cells of both runs", "The two runs have no cell in common that succeeded in both.")
