"""A benchmark on the driver: stages the records once, then measures every cell of the matrix, one after another.

Each cell starts from empty tables after a checkpoint and ends with counting them; one that fails is FAILED with its
SQLSTATE, is never ranked, and the others go on. The tables are the benchmark's own, in a schema of its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from pyspark.sql import SparkSession

from tallymark.bulkload.matrix import ROOFLINE, Cell, schedule
from tallymark.bulkload.result import BenchmarkResult, Counts
from tallymark.bulkload.statistics import cheapest, ranked, summarise
from tallymark.config.bulkload import BulkloadConfig
from tallymark.errors import EXIT_INCOMPLETE, EXIT_MATCH
from tallymark.runs.bulkload.begun import Run, connections_allowed, server_facts
from tallymark.runs.bulkload.cell import Bench, run_cell
from tallymark.runs.bulkload.outputs import PROGRESS, LiveProgress
from tallymark.runs.bulkload.sending import Connection
from tallymark.runs.bulkload.staging import Staged, stage_all
from tallymark.runs.bulkload.targets import bench_copies, list_sources, prepare, targets_of

_log = logging.getLogger(__name__)


def benchmark(
    spark: SparkSession, config: BulkloadConfig, run: Run, connection: Connection, wanted: list[Cell]
) -> BenchmarkResult:
    """Measures the cells and writes what was found.

    Raises:
        ConfigError: a table does not fit, or there is no file.
        IncompleteError: nothing could be staged, or the server was lost.
    """
    spark = spark.newSession()  # its settings are not the caller's
    sources, unmatched = list_sources(config, run.store)
    targets = targets_of(config)
    prepare(connection, targets)
    allowed, most = connections_allowed(connection), max(cell.connections for cell in wanted)
    if most > allowed:
        _log.warning("Cells with more than %d connections will fail: the server has no room for them.", allowed)
    run.make_tables()
    clock = time.monotonic()
    staged = stage_all(spark, config, run, targets, sources, most)
    read_seconds = time.monotonic() - clock
    copies = bench_copies(connection, targets)
    bare = bench_copies(connection, targets, bare=True)
    cores = spark.sparkContext.defaultParallelism
    measured = [*wanted, *([Cell(ROOFLINE, 1, cores)] if config.roofline else [])]
    bench = Bench(spark, run, connection, cores, copies, bare, staged, run.cell_head("benchmark") | _facts(connection))
    state = _State(len(sources), len(measured) * config.repeat)
    fixed = {"run_id": run.run_id, "kind": "benchmark"}
    rows: list[dict[str, Any]] = []
    with LiveProgress(run.store, run.file(PROGRESS), fixed, state.fields, lambda: datetime.now(timezone.utc)):
        for repeat, cell in schedule(measured, config.repeat, config.seed):
            state.begin(cell)
            rows.append(run_cell(bench, cell, repeat, read_seconds))
            state.end(rows[-1])
    for each in staged.values():
        each.forget()
    errors = [f"{path}: no pattern of tables meets it; add one, or exclude it" for path in unmatched]
    return _finish(spark, run, rows, staged, errors, len(sources) + len(unmatched))


def _facts(connection: Connection) -> dict[str, str]:
    import psycopg

    return server_facts(connection) | {"driver": f"psycopg {psycopg.__version__}, libpq {psycopg.pq.version()}"}


class _State:
    """What the progress file shows of a benchmark."""

    def __init__(self, files: int, cells: int) -> None:
        self._files, self._cells = files, cells
        self._done = self._records = 0
        self._cell: Cell | None = None
        self._errors: list[str] = []

    def begin(self, cell: Cell) -> None:
        self._cell = cell

    def end(self, row: Mapping[str, Any]) -> None:
        self._done += 1
        self._records += row["rows"] or 0
        if row["error"]:
            self._errors.append(f"{self._cell}: {row['error']}")

    def fields(self) -> dict[str, Any]:
        cell = self._cell
        return {
            "current_file": str(cell) if cell else None,
            "current_batch": self._done + 1,
            "files_completed": self._files * self._done,
            "total_files": self._files * self._cells,
            "cells_completed": self._done,
            "total_cells": self._cells,
            "total_records_processed": self._records,
            "method": cell.method if cell else None,
            "batch_size": cell.batch_size if cell else None,
            "num_connections": cell.connections if cell else None,
            "errors": self._errors,
        }


def _finish(
    spark: SparkSession,
    run: Run,
    rows: list[dict[str, Any]],
    staged: Mapping[Any, Staged],
    errors: list[str],
    files: int,
) -> BenchmarkResult:
    cells = summarise(rows)
    best = next(iter(ranked(cells)), None)
    rejected: dict[str, int] = {}
    for each in staged.values():
        errors += each.errors
        for reason, count in each.rejected.items():
            rejected[reason] = rejected.get(reason, 0) + count
    loaded = sum(each.count for each in staged.values())
    duplicates = sum(each.duplicates for each in staged.values())
    read = loaded + duplicates + sum(rejected.values())
    failed = any(cell.status != "OK" for cell in cells)
    chosen = {
        "status": "failed" if best is None else "completed_with_failures" if failed or errors else "completed",
        "method": best.cell.method if best else None,
        "batch_size": best.cell.batch_size if best else None,
        "num_connections": best.cell.connections if best else None,
        "total_files": files,
        "successful": files - len(errors),
        "failed": len(errors),
        "total_records": read,
        "total_duration_seconds": best.load_seconds if best else None,
        "average_records_per_second": best.rows_per_second if best else None,
        "completion_time": datetime.now(timezone.utc).isoformat(),
    }
    records = Counts(read, loaded, duplicates, sum(rejected.values()))
    more = {"kind": "benchmark", "records": asdict(records), "rejected_by_reason": rejected, "errors": errors}
    code = EXIT_INCOMPLETE if failed or errors else EXIT_MATCH
    run.pass_gate(spark, incomplete=code == EXIT_INCOMPLETE)
    run.write_stats()
    run.write_results(chosen, cells, more | {"exit_code": code})
    place = run.place
    return BenchmarkResult(
        run.run_id, cells, best, cheapest(cells), records, rejected, errors, place.provider, place.measurement, code
    )
