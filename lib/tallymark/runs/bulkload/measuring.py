"""The tasks of a benchmark, on the executors: records become staged rows, and staged rows are sent for one cell.

Staged rows are read outside of the measured time. There is no ledger here: the table is counted afterwards, and no
batch is tried twice.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import pyarrow as pa

from tallymark.bulkload.columns import schema_of
from tallymark.bulkload.encode import copy_text
from tallymark.bulkload.matrix import ROOFLINE, Cell
from tallymark.bulkload.tables import BATCHES
from tallymark.errors import ObjectError, TallymarkError
from tallymark.io.postgres import Server, explained, sqlstate_of
from tallymark.runs.bulkload.loading import Batches, read_units
from tallymark.runs.bulkload.sending import Sent, commit_timed, send, send_bytes
from tallymark.runs.bulkload.sessions import Session, in_parallel, open_sessions
from tallymark.runs.bulkload.targets import Reading, Source, Target

ERROR, SQLSTATE, REASON = "cell_error", "cell_sqlstate", "tallymark_reason"
MEASURED = pa.schema([*BATCHES, (ERROR, pa.string()), (SQLSTATE, pa.string())])
"""Rows of `tables.BATCHES`, or one that says why the task could not go on."""
PACKED = pa.schema([("rows", pa.binary())])
_BLOCK = 128 << 10


@dataclass(frozen=True)
class Measure:
    """One repeat of a cell on one table; holds no secret."""

    run_id: str
    repeat: int
    server: Server
    target: Target
    cell: Cell
    application_name: str
    rows_at_once: int


def staged_schema(target: Target) -> pa.Schema:
    """Returns the columns of the table, and the reason where a record is no row."""
    return schema_of(target.columns).append(pa.field(REASON, pa.string()))


def stage(
    reading: Reading, target: Target, tasks: Sequence[Sequence[Source]]
) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    """Returns the function for `mapInArrow` over task numbers (column ``id``); it yields `staged_schema`."""
    schema = staged_schema(target)

    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        reader = reading.reader(target)
        for batch in batches:
            for number in batch.column("id").to_pylist():
                for source in tasks[number]:
                    try:
                        for unit in read_units(reading.store, source):
                            rows = reader.read_all(unit.records)
                            good = rows.batch.append_column(REASON, pa.nulls(len(rows.batch), pa.string()))
                            yield good.cast(schema)
                            yield _reasons([rejected.reason for rejected in rows.rejected], schema)
                    except ObjectError as broken:
                        yield _reasons([f"FILE {broken}"], schema)

    return run


def _reasons(reasons: list[str], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [pa.nulls(len(reasons), field.type) for field in schema][:-1]
    return pa.RecordBatch.from_arrays([*arrays, pa.array(reasons, pa.string())], schema=schema)


def pack_rows(batches: Batches) -> Iterator[pa.RecordBatch]:
    """Turns each batch of rows into one value (PACKED), so that the JVM hands it on without looking at the rows.

    A load does not send its rows through the JVM either: it reads the files itself.
    """
    for batch in batches:
        packed = pa.BufferOutputStream()
        with pa.ipc.new_stream(packed, batch.schema) as stream:
            stream.write_batch(batch)
        yield pa.RecordBatch.from_arrays([pa.array([packed.getvalue().to_pybytes()], pa.binary())], schema=PACKED)


def _unpacked(batches: Batches, at_once: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for packed in batch.column(0):
            for rows in pa.ipc.open_stream(packed.as_buffer()):
                yield from (rows.slice(start, at_once) for start in range(0, len(rows), at_once))


def send_staged(measure: Measure, shares: Sequence[int]) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    """Returns the function for `mapInArrow` over PACKED in ``len(shares)`` partitions; it yields MEASURED."""

    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        connections = shares[context.partitionId() if context else 0]
        staged = _unpacked(batches, measure.rows_at_once)
        rows = _roofline(measure, staged) if measure.cell.method == ROOFLINE else _own(measure, staged, connections)
        number = cumulative = 0
        try:
            for sent in rows:
                for one in sent:
                    number, cumulative = number + 1, cumulative + one.rows
                    counted = {"batch_number": number, "cumulative_records": cumulative, "retries": 0}
                    yield pa.RecordBatch.from_pylist([place_of(measure) | counted | one.row()], MEASURED)
        except psycopg.Error as error:
            failed = {ERROR: str(explained(error, f"loading {measure.target.table}")), SQLSTATE: sqlstate_of(error)}
            yield pa.RecordBatch.from_pylist([place_of(measure) | failed], MEASURED)
        except TallymarkError as error:
            yield pa.RecordBatch.from_pylist([place_of(measure) | {ERROR: str(error)}], MEASURED)

    return run


def _own(measure: Measure, batches: Iterable[pa.RecordBatch], connections: int) -> Iterator[list[Sent]]:
    with open_sessions(measure.server, measure.application_name, connections) as sessions:

        def work(session: Session, rows: pa.RecordBatch) -> list[Sent]:
            connection, sent = session.connection(), list[Sent]()
            with commit_timed(connection, sent):
                sent += send(connection, measure.target, rows, measure.cell.method, measure.cell.batch_size)
            return sent

        yield from in_parallel(batches, work, sessions, connections)


def _roofline(measure: Measure, batches: Iterable[pa.RecordBatch]) -> Iterator[list[Sent]]:
    """Makes the bytes first; only sending them is on the clock."""
    with tempfile.TemporaryFile(prefix="tallymark-") as ready:
        rows = 0
        for batch in batches:
            ready.write(copy_text(batch))
            rows += len(batch)
        size = ready.tell()
        ready.seek(0)

        def work(session: Session, _: None) -> list[Sent]:
            connection, sent = session.connection(), list[Sent]()
            started, clock = time.time(), time.perf_counter()
            with commit_timed(connection, sent):
                counted = send_bytes(connection, measure.target, iter(lambda: ready.read(_BLOCK), b""))
                seconds = time.perf_counter() - clock
                sent.append(Sent(counted, size, started, seconds, connection.info.backend_pid))
            return sent

        with open_sessions(measure.server, measure.application_name, 1) as sessions:
            yield from in_parallel([None], work, sessions, 1)


def place_of(measure: Measure) -> dict[str, Any]:
    """Returns the columns that say which cell and table it was."""
    cell = measure.cell
    return {
        "run_id": measure.run_id,
        "method": cell.method,
        "batch_size": cell.batch_size,
        "num_connections": cell.connections,
        "repeat": measure.repeat,
        "table_name": measure.target.label,
    }
