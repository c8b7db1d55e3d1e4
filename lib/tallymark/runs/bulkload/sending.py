"""Sends staged rows by one of the own methods, and says for each batch how long it took. Runs on the executors.

A batch is one statement; a transaction may hold several. The server's own count is held against what was sent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql

from tallymark.bulkload.encode import BINARY_HEADER, BINARY_TRAILER, copy_binary, copy_text
from tallymark.errors import AccountingError
from tallymark.io.postgres_tables import names
from tallymark.runs.bulkload.targets import Target

_BLOCK = 128 << 10  # psycopg: larger ones are slower
_MOST_PARAMETERS = 65_535  # of one statement, a limit of the protocol

Connection = psycopg.Connection[Any]


@dataclass
class Sent:
    """One batch; the time of the COMMIT belongs to the last batch of its transaction."""

    rows: int
    bytes: int
    started: float
    seconds: float
    backend_pid: int

    def row(self) -> dict[str, Any]:
        """Returns the columns of `tables.BATCHES` that are known here."""
        ended = self.started + self.seconds
        return {
            "records_count": self.rows,
            "bytes": self.bytes,
            "start_time": iso(self.started),
            "end_time": iso(ended),
            "total_duration_seconds": self.seconds,
            "records_per_second": self.rows / self.seconds if self.seconds else None,
            "backend_pid": self.backend_pid,
            "worker_pid": os.getpid(),
        }


@contextmanager
def commit_timed(connection: Connection, sent: list[Sent]) -> Iterator[None]:
    """Runs a transaction; the last batch in ``sent`` gets the time of its COMMIT."""
    with connection.transaction():
        yield
        clock = time.perf_counter()
    if sent:
        sent[-1].seconds += time.perf_counter() - clock


def iso(seconds: float) -> str:
    """Returns a time as text in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="microseconds")


def send(connection: Connection, target: Target, rows: pa.RecordBatch, method: str, batch_size: int) -> list[Sent]:
    """Sends all rows, ``batch_size`` at once.

    Raises:
        psycopg.Error: the server refused a batch; the caller's transaction is over.
        AccountingError: the server counted other than was sent.
    """
    return [
        _send_batch(connection, target, rows.slice(start, batch_size), _METHODS[method])
        for start in range(0, len(rows), batch_size)
    ]


_Send = Callable[[Connection, Target, pa.RecordBatch], tuple[int, int]]


def _send_batch(connection: Connection, target: Target, batch: pa.RecordBatch, send_rows: _Send) -> Sent:
    started, clock = time.time(), time.perf_counter()
    counted, size = send_rows(connection, target, batch)
    if counted != len(batch):
        raise AccountingError(f"the table {target.table} counted {counted} of {len(batch)} rows that were sent")
    return Sent(len(batch), size, started, time.perf_counter() - clock, connection.info.backend_pid)


def send_bytes(connection: Connection, target: Target, blocks: Iterator[bytes | memoryview], options: str = "") -> int:
    """Sends ready bytes by COPY; returns how many rows the server counted."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN" + options).format(target.table.identifier, names(target.column_names))
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for block in blocks:
                copy.write(block)
        return cursor.rowcount


def _copy_text(connection: Connection, target: Target, batch: pa.RecordBatch) -> tuple[int, int]:
    content = copy_text(batch)
    return send_bytes(connection, target, _blocks(content)), len(content)


def _copy_binary(connection: Connection, target: Target, batch: pa.RecordBatch) -> tuple[int, int]:
    content = copy_binary(batch, target.columns)

    def blocks() -> Iterator[bytes | memoryview]:
        yield BINARY_HEADER
        yield from _blocks(content)
        yield BINARY_TRAILER

    return send_bytes(connection, target, blocks(), " (FORMAT binary)"), len(content)


def _insert_multi(connection: Connection, target: Target, batch: pa.RecordBatch) -> tuple[int, int]:
    width = len(target.columns)
    into = sql.SQL("INSERT INTO {} ({}) VALUES ").format(target.table.identifier, names(target.column_names))
    # Where values are given, psycopg looks for placeholders in names too.
    text = into.as_string(connection).replace("%", "%%")
    row = f"({', '.join(['%s'] * width)})"
    counted = 0
    for start in range(0, len(batch), _MOST_PARAMETERS // width):
        part = batch.slice(start, _MOST_PARAMETERS // width)
        values = [value for values in zip(*(column.to_pylist() for column in part.columns)) for value in values]
        statement = (text + ", ".join([row] * len(part))).encode()
        counted += connection.execute(statement, values, prepare=False).rowcount
    return counted, batch.nbytes


def _blocks(content: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(content), _BLOCK):
        yield content[start : start + _BLOCK]


_METHODS: dict[str, _Send] = {"insert_multi": _insert_multi, "copy_text": _copy_text, "copy_binary": _copy_binary}
