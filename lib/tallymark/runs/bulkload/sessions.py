"""Connections of one task, each used by one thread at a time, and work shared among them. Runs on the executors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import TypeVar

import psycopg

from tallymark.io.postgres import Server, is_transient
from tallymark.retry import RetryPolicy, call
from tallymark.runs.bulkload.sending import Connection

T = TypeVar("T")
R = TypeVar("R")

RETRY = RetryPolicy(attempts=5, base_seconds=0.2, cap_seconds=3.0)


class Session:
    """One connection, made anew where it broke; each one asks for the password again."""

    def __init__(self, server: Server, application_name: str) -> None:
        self._server = server
        self._name = application_name
        self._connection: Connection | None = None

    def connection(self) -> Connection:
        """Returns the connection, open.

        Raises:
            psycopg.OperationalError: the server cannot be reached, also after waiting.
        """
        if self._connection is None or self._connection.broken or self._connection.closed:
            self.close()
            self._connection = call(lambda: self._server.connect(self._name), RETRY, is_transient)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None


@contextmanager
def open_sessions(server: Server, application_name: str, count: int) -> Iterator[SimpleQueue[Session]]:
    """Opens ``count`` connections at once, and closes them at the end."""
    sessions = [Session(server, application_name) for _ in range(count)]
    free: SimpleQueue[Session] = SimpleQueue()
    try:
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(Session.connection, sessions))
        for session in sessions:
            free.put(session)
        yield free
    finally:
        for session in sessions:
            session.close()


def in_parallel(
    items: Iterable[T], work: Callable[[Session, T], R], sessions: SimpleQueue[Session], count: int
) -> Iterator[R]:
    """Yields what the work on each item gives, in any order; at most ``count`` items are held at once."""

    def with_session(item: T) -> R:
        session = sessions.get()
        try:
            return work(session, item)
        finally:
            sessions.put(session)

    with ThreadPoolExecutor(count) as pool:
        pending: set[Future[R]] = set()
        for item in items:
            if len(pending) >= count:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
            pending.add(pool.submit(with_session, item))
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


def share(connections: int, tasks: int) -> list[int]:
    """Shares connections among tasks as evenly as they go.

    >>> share(5, 2), share(1, 2)
    ([3, 2], [1])
    """
    each, more = divmod(connections, tasks)
    return [count for number in range(tasks) if (count := each + (number < more))]
