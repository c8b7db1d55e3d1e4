"""The raw bytes of ``COPY ... TO STDOUT``, in blocks of whole rows.

psycopg hands out one Python object per row through several layers; here a row costs one call of libpq and a place in a
list. The statement goes by the extended protocol, which takes one statement only. Knows no business.
"""

from __future__ import annotations

import select
from collections.abc import Generator, Iterator
from itertools import repeat
from typing import Any

import psycopg
from psycopg import pq

BLOCK = 1 << 17
Block = bytes | bytearray | memoryview


class CopyOut:
    """One COPY: iterate its blocks, then ask for ``rows``.

    Args:
        header: whether the statement asks for one, which comes as a row but is none.
        patience: seconds that the server may be silent; a network that only drops packets says nothing either.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], statement: bytes, patience: float, *, header: bool = False
    ) -> None:
        self._connection = connection
        self._statement = statement
        self._patience_ms = int(patience * 1000)
        self.rows = -1 if header else 0

    def __iter__(self) -> Iterator[Block]:
        """Yields blocks of whole rows, which end at the same rows whatever the network brought at once.

        Raises:
            psycopg.Error: as of any statement; so also where the connection broke, or rows got lost on the way.
        """
        connection = self._connection.pgconn
        poll = select.poll()
        connection.send_query_params(self._statement, None)
        poll.register(connection.socket, select.POLLIN | select.POLLOUT)
        while connection.flush():
            poll.poll(self._patience_ms)
        poll.register(connection.socket, select.POLLIN)
        if self._result(poll).status != pq.ExecStatus.COPY_OUT:
            raise psycopg.ProgrammingError("the statement is no COPY TO STDOUT")
        yield from self._blocks(poll)
        self._check_end(self._result(poll))

    def _blocks(self, poll: select.poll) -> Iterator[Block]:
        block, rows = bytearray(), list[Block]()
        # What happens once for each row is this loop's head and `append`: it decides how fast an export is.
        for length, row in map(self._connection.pgconn.get_copy_data, repeat(1)):
            if length > 0:
                rows.append(row)
                continue
            # All that libpq had read is in `rows`: some KB, which the processor's cache still holds.
            self.rows += len(rows)
            read = b"".join(rows)
            if len(block) + len(read) < BLOCK:
                block += read
            else:
                block = yield from _cut(block, rows)
            rows.clear()
            if length < 0:
                break
            self._wait(poll)
        if block:
            yield block

    def _result(self, poll: select.poll) -> pq.abc.PGresult:
        connection = self._connection.pgconn
        while connection.is_busy():
            self._wait(poll)
        result = connection.get_result()
        if result is None:
            raise psycopg.OperationalError("the connection ended without a result")
        if result.status in (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE):
            raise psycopg.errors.error_from_result(result, encoding="utf-8")
        return result

    def _check_end(self, result: pq.abc.PGresult) -> None:
        tag = (result.command_status or b"").decode()
        if tag != f"COPY {self.rows}":
            raise psycopg.OperationalError(f"the server says {tag!r}, but {self.rows} rows came")
        while self._connection.pgconn.get_result() is not None:
            pass

    def _wait(self, poll: select.poll) -> None:
        if not poll.poll(self._patience_ms):
            raise psycopg.OperationalError("the server has been silent for too long")
        self._connection.pgconn.consume_input()


def _cut(block: bytearray, rows: list[Block]) -> Generator[Block, None, bytearray]:
    """Yields what is full, a row beyond `BLOCK` alone; returns the begin of the next block."""
    for row in rows:
        if len(row) >= BLOCK and block:
            yield block
            block = bytearray()
        if len(row) >= BLOCK:
            yield row
            continue
        block += row
        if len(block) >= BLOCK:
            yield block
            block = bytearray()
    return block
