"""One repeat of one cell, on the driver: empty tables, a checkpoint, sending, counting, and the row about it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from tallymark.bulkload.matrix import ROOFLINE, SPARK_METHODS, Cell
from tallymark.bulkload.statistics import FAILED, OK, percentile
from tallymark.bulkload.tables import BATCHES
from tallymark.errors import AccountingError, TallymarkError
from tallymark.io.jdbc import sqlstate_of_spark, write_rows
from tallymark.io.postgres import explained, sqlstate_of
from tallymark.io.postgres_tables import count_rows
from tallymark.runs.bulkload.begun import Run
from tallymark.runs.bulkload.measuring import ERROR, MEASURED, SQLSTATE, Measure, place_of, send_staged
from tallymark.runs.bulkload.sending import Connection, iso
from tallymark.runs.bulkload.sessions import share
from tallymark.runs.bulkload.staging import MOST_AT_ONCE, Staged
from tallymark.runs.bulkload.targets import Target
from tallymark.runs.bulkload.watching import Watch


@dataclass(frozen=True)
class Bench:
    """What all cells of a benchmark have in common; the tables are by those of the config."""

    spark: SparkSession
    run: Run
    connection: Connection
    cores: int
    copies: Mapping[Target, Target]
    bare: Mapping[Target, Target]
    staged: Mapping[Target, Staged]
    head: Mapping[str, Any]


class _CellError(Exception):
    """A task of ours could not go on: its cause and SQLSTATE."""


class _Figures:
    """What is added up over the tables of a cell."""

    def __init__(self) -> None:
        self.rows = self.wal = self.effective = 0
        self.load = self.wall = self.active = 0.0
        self.waits: Counter[str] = Counter()
        self.batches: list[dict[str, Any]] = []


def run_cell(bench: Bench, cell: Cell, repeat: int, read_seconds: float) -> dict[str, Any]:
    """Measures a cell once, adds its rows to the Delta tables and returns the row of CELLS."""
    figures = _Figures()
    started = time.time()
    state, error = None, None
    try:
        for target in bench.staged:
            _measure_table(bench, cell, repeat, target, figures)
    except _CellError as failed:
        error, state = failed.args
    except psycopg.Error as failed:
        error, state = str(explained(failed, f"measuring {cell}")), sqlstate_of(failed)
    except (PySparkException, Py4JJavaError) as failed:
        state, error = sqlstate_of_spark(failed)
    except TallymarkError as failed:
        error = str(failed)
    row = _row(bench, cell, repeat, figures, started)
    row |= {"status": FAILED if error else OK, "error": error, "sqlstate": state, "read_seconds": read_seconds}
    batches = [{name: batch[name] for name in BATCHES.names} for batch in figures.batches]
    bench.run.add_cell(row, pa.Table.from_pylist(batches, BATCHES))
    return row


def _measure_table(bench: Bench, cell: Cell, repeat: int, target: Target, figures: _Figures) -> None:
    copy = (bench.bare if cell.method == ROOFLINE else bench.copies)[target]
    _empty(bench.connection, copy)
    before = _wal(bench.connection)
    name = f"tallymark-{repeat}-{cell}-{bench.run.run_id}"[:63]
    clock = time.monotonic()
    with Watch(bench.run.place.server, name) as watch:
        server, at_once = bench.run.place.server, _rows_at_once(cell, bench.staged[target].count)
        batches = _send(bench, Measure(bench.run.run_id, repeat, server, copy, cell, name, at_once), target)
        wall = time.monotonic() - clock
    seen = watch.seen()
    counted, expected = count_rows(bench.connection, copy.table), bench.staged[target].count
    if counted != expected:
        raise AccountingError(f"the table {copy.table} has {counted} of {expected} rows after {cell}")
    figures.rows += counted
    figures.wal += _wal(bench.connection) - before
    figures.effective = max(figures.effective, seen.effective_connections)
    figures.load += min(seen.seconds or wall, wall)
    figures.wall += wall
    figures.active = max(figures.active, seen.mean_active)
    figures.waits.update(seen.waits)
    figures.batches += batches


def _empty(connection: Connection, target: Target) -> None:
    connection.execute(sql.SQL("TRUNCATE {}").format(target.table.identifier))
    # A managed server gives it to nobody: its checkpoints then fall on all cells alike.
    with suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute("CHECKPOINT")


def _wal(connection: Connection) -> int:
    row = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'").fetchone()
    return int(row[0]) if row else 0


def _rows_at_once(cell: Cell, rows: int) -> int:
    """Returns the rows of a transaction: whole batches, and few enough that each connection gets several."""
    return max(1, min(MOST_AT_ONCE, rows // (4 * cell.connections)) // cell.batch_size) * cell.batch_size


def _send(bench: Bench, measure: Measure, target: Target) -> list[dict[str, Any]]:
    cell = measure.cell
    if cell.method in SPARK_METHODS:
        started = time.time()
        rewrite = cell.method == "spark_jdbc_rewrite"
        frame = bench.staged[target].rows.coalesce(cell.connections)
        write_rows(
            frame, measure.server, measure.target.table, cell.batch_size, measure.application_name, rewrite=rewrite
        )
        return [_whole_table(measure, bench.staged[target].count, started)]
    shares = share(cell.connections, min(cell.connections, bench.cores))
    packed = bench.staged[target].packed
    frame = packed.coalesce(len(shares)).mapInArrow(send_staged(measure, shares), from_arrow_schema(MEASURED))
    rows = [row.asDict() for row in frame.collect()]  # a row a batch, not a record
    failed = next((row for row in rows if row[ERROR] is not None), None)
    if failed is not None:
        raise _CellError(failed[ERROR], failed[SQLSTATE])
    return rows


def _whole_table(measure: Measure, rows: int, started: float) -> dict[str, Any]:
    """Returns the one row about a table that Spark wrote: it says nothing of its batches."""
    seconds = time.time() - started
    known: dict[str, Any] = {"batch_number": 1, "records_count": rows, "cumulative_records": rows, "retries": 0}
    known |= {"start_time": iso(started), "end_time": iso(started + seconds), "total_duration_seconds": seconds}
    known |= {"records_per_second": rows / seconds}
    return dict.fromkeys(BATCHES.names) | place_of(measure) | known


def _row(bench: Bench, cell: Cell, repeat: int, figures: _Figures, started: float) -> dict[str, Any]:
    batches = [] if cell.method in SPARK_METHODS else figures.batches
    latencies = sorted(batch["total_duration_seconds"] for batch in batches)
    percentiles = {
        f"p{percent}_seconds": percentile(latencies, percent / 100) if latencies else None for percent in (50, 95, 99)
    }
    return {
        **bench.head,
        "method": cell.method,
        "batch_size": cell.batch_size,
        "num_connections": cell.connections,
        "repeat": repeat,
        "rows": figures.rows,
        "start_time": iso(started),
        "end_time": datetime.now(timezone.utc).isoformat(),
        "load_seconds": figures.load,
        "wall_seconds": figures.wall,
        "rows_per_second": figures.rows / figures.load if figures.load else None,
        **percentiles,
        "wal_bytes": figures.wal,
        "wal_bytes_per_row": figures.wal / figures.rows if figures.rows else None,
        "effective_connections": figures.effective,
        "mean_active": figures.active,
        "top_waits": list(figures.waits.most_common(5)),
    }
