"""A load on the driver: plans tasks for Spark, holds the ledger against the listing, writes the results."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from tallymark.bulkload.matrix import Cell
from tallymark.bulkload.result import LoadResult
from tallymark.bulkload.statistics import OK, summarise
from tallymark.bulkload.tables import BATCHES
from tallymark.config.bulkload import EXACTLY_ONCE, BulkloadConfig
from tallymark.errors import EXIT_DIFFERENT, EXIT_INCOMPLETE, EXIT_MATCH, AccountingError, ConfigError
from tallymark.io import delta
from tallymark.runs.bulkload import ledger
from tallymark.runs.bulkload.begun import Run, connections_allowed, server_facts
from tallymark.runs.bulkload.loading import Load, Share, load_units
from tallymark.runs.bulkload.outputs import PROGRESS, LiveProgress
from tallymark.runs.bulkload.sending import Connection
from tallymark.runs.bulkload.sessions import share
from tallymark.runs.bulkload.targets import Reading, Source, list_sources, pack, prepare, targets_of
from tallymark.runs.bulkload.watching import Watch

Poll = Callable[[], tuple[int, int, int]]
ShowProgress = Callable[[int, int, Poll], AbstractContextManager[object]]


def one_cell(cells: list[Cell]) -> Cell:
    """Returns the cell of a load.

    Raises:
        ConfigError: there are several, or its method may load a row twice.
    """
    if len(cells) != 1:
        raise ConfigError(
            f"--load takes one cell, not {len(cells)}: give one --method, one --batch-size and one --connections; "
            "--recommend names a good one"
        )
    if cells[0].method not in EXACTLY_ONCE:
        raise ConfigError(
            f"--method {cells[0].method} can load rows twice when Spark repeats a task, so it is only measured: "
            f"take one of {', '.join(EXACTLY_ONCE)}"
        )
    return cells[0]


def load(
    spark: SparkSession, config: BulkloadConfig, run: Run, connection: Connection, cell: Cell, show: ShowProgress
) -> LoadResult:
    """Loads every file into its table, exactly once for each name of a run.

    Raises:
        ConfigError: a table does not fit, there is no file, or the server allows fewer connections.
        IncompleteError: a task failed for good, such as without a server.
    """
    sources, unmatched = list_sources(config, run.store)
    _check_connections(connection, cell.connections)
    prepare(connection, targets_of(config))
    ledger.make_ledger(connection)
    run.make_tables()
    started = datetime.now(timezone.utc)
    clock = time.monotonic()
    with Watch(run.place.server, _application(run)) as watch:
        _run_tasks(spark, config, run, cell, sources, show)
    wall = time.monotonic() - clock
    result = _result(connection, run, config, sources, unmatched, wall)
    seen = watch.seen()
    row = run.cell_head("load") | server_facts(connection)
    row |= {"method": cell.method, "batch_size": cell.batch_size, "num_connections": cell.connections, "repeat": 1}
    row |= {
        "status": OK if result.exit_code != EXIT_INCOMPLETE else "FAILED",
        "error": "; ".join(result.incomplete.values()) or None,
        "rows": result.records.loaded,
        "start_time": started.isoformat(),
        "end_time": datetime.now(timezone.utc).isoformat(),
        "load_seconds": seen.seconds or wall,
        "wall_seconds": wall,
        "rows_per_second": result.records.loaded / (seen.seconds or wall),
        "effective_connections": seen.effective_connections,
        "mean_active": seen.mean_active,
        "top_waits": list(seen.waits.most_common(5)),
    }
    run.add_cell(row)
    run.pass_gate(spark, incomplete=result.exit_code == EXIT_INCOMPLETE)
    run.write_stats()
    known = dict.fromkeys(("sqlstate", "p50_seconds", "p95_seconds", "p99_seconds", "wal_bytes_per_row"))
    run.write_results(_chosen(result, cell, len(sources) + len(unmatched)), summarise([known | row]), _more(result))
    return result


def _application(run: Run) -> str:
    return f"tallymark-load-{run.run_id}"[:63]


def _check_connections(connection: Connection, wanted: int) -> None:
    allowed = connections_allowed(connection)
    if wanted > allowed:
        raise ConfigError(f"--connections {wanted}: the server has room for {allowed}; take fewer, or raise its limit")


def _run_tasks(
    spark: SparkSession, config: BulkloadConfig, run: Run, cell: Cell, sources: list[Source], show: ShowProgress
) -> None:
    packed = pack(sources, min(cell.connections, spark.sparkContext.defaultParallelism, len(sources)))
    shares = [Share(files, count) for files, count in zip(packed, share(cell.connections, len(packed)))]
    reading = Reading(run.store, config.nul, config.time_zone)
    task = Load(run.run_id, run.place.server, reading, cell, _application(run))
    tasks = spark.range(0, len(shares), 1, len(shares)).mapInArrow(load_units(task, shares), from_arrow_schema(BATCHES))
    size = sum(source.file.size for source in sources)
    fixed = {"run_id": run.run_id, "kind": "load", "method": cell.method, "batch_size": cell.batch_size}
    fixed |= {"num_connections": cell.connections, "total_files": len(sources)}
    with run.place.server.connect("tallymark-progress") as looking:

        def look() -> Mapping[str, Any]:
            known = ledger.loaded(looking, run.run_id)
            return {
                "current_file": known.current_file,
                "current_batch": known.units,
                "files_completed": known.files_done,
                "total_records_processed": known.records.read,
                "records": asdict(known.records),
                "errors": [error for _, error in known.files_failed],
            }

        def poll() -> tuple[int, int, int]:
            known = ledger.loaded(looking, run.run_id)
            return known.files_done, known.records.read, size * known.files_done // len(sources)

        progress = LiveProgress(run.store, run.file(PROGRESS), fixed, look, lambda: datetime.now(timezone.utc))
        with progress, show(len(sources), size, poll):
            delta.append_run(run.store, run.batches_table, run.run_id, tasks, BATCHES)


def _result(
    connection: Connection, run: Run, config: BulkloadConfig, sources: list[Source], unmatched: list[str], wall: float
) -> LoadResult:
    known = ledger.loaded(connection, run.run_id)
    records = known.records
    if not records.add_up:
        raise AccountingError(f"run {run.run_id}: {records} does not add up; nothing is reported")
    incomplete = {path: f"{path}: no pattern of tables meets it; add one, or exclude it" for path in unmatched}
    paths = [source.path for source in sources]
    missing = ledger.incomplete_files(connection, run.run_id, paths)
    incomplete |= {path: f"{path}: not every unit is loaded; run the same command again" for path in missing}
    incomplete |= {path: error for path, error in known.files_failed if path in set(paths)}
    too_many = 100 * records.rejected > config.max_rejected * records.read
    code = EXIT_INCOMPLETE if incomplete else EXIT_DIFFERENT if too_many else EXIT_MATCH
    reasons = ledger.reasons(connection, run.run_id)
    return LoadResult(run.run_id, records, len(sources), incomplete, reasons, wall, code)


def _chosen(result: LoadResult, cell: Cell, files: int) -> dict[str, Any]:
    failed = len(result.incomplete)
    return {
        "status": "completed" if not failed else "incomplete",
        "method": cell.method,
        "batch_size": cell.batch_size,
        "num_connections": cell.connections,
        "total_files": files,
        "successful": files - failed,
        "failed": failed,
        "total_records": result.records.read,
        "total_duration_seconds": result.seconds,
        "average_records_per_second": result.records.read / result.seconds if result.seconds else None,
        "completion_time": datetime.now(timezone.utc).isoformat(),
    }


def _more(result: LoadResult) -> dict[str, Any]:
    return {
        "kind": "load",
        "records": asdict(result.records),
        "rejected_by_reason": result.reasons,
        "errors": list(result.incomplete.values()),
        "exit_code": result.exit_code,
    }
