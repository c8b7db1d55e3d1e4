"""Connections of one export: each in the run's snapshot or in a transaction per chunk, tried again when they break.

Called by the planner and by the workers of `tallymark.runs.export.run`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from tallymark.errors import IncompleteError, TallymarkError
from tallymark.io.postgres import Server, explained, is_transient
from tallymark.io.snapshot_keeper import SnapshotLostError, is_lost
from tallymark.retry import Attempts, RetryPolicy

T = TypeVar("T")
Connection = psycopg.Connection[Any]
_log = logging.getLogger(__name__)

# What decides how values are written, so that equal values are equal bytes; and what must not end or filter a read.
_SETTINGS = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "extra_float_digits": "1",
    "idle_in_transaction_session_timeout": "0",
    "max_parallel_workers_per_gather": "0",  # the branches of a UNION ALL keep their order
    "row_security": "off",  # rows that a policy hides are an error, not a smaller file
    "synchronize_seqscans": "off",
    "transaction_timeout": "0",
}


@dataclass
class Counts:
    """What happened to the connections of a run."""

    retries: int = 0
    refreshes: int = 0
    longest_transaction: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *, retries: int = 0, refreshes: int = 0, transaction: float = 0.0) -> None:
        with self.lock:
            self.retries += retries
            self.refreshes += refreshes
            self.longest_transaction = max(self.longest_transaction, transaction)


@dataclass
class _Session:
    connection: Connection
    began: float
    uses: int = 0


class Sessions:
    """The connections of a run; each serves one action at a time, an idle one is taken first.

    Args:
        snapshot: its name; None: each action has a transaction, and so a snapshot, of its own.
        statement_timeout: seconds; 0 for no limit.
        refresh_every: actions after which a connection is closed and made anew, with the secret of then.
        policy: how often a transient failure of one action may follow another.
    """

    def __init__(
        self,
        server: Server,
        application_name: str,
        *,
        snapshot: str | None,
        statement_timeout: int,
        refresh_every: int,
        policy: RetryPolicy,
        counts: Counts,
    ) -> None:
        self._server = server
        self._application_name = application_name
        self._snapshot = snapshot
        self._settings = {**_SETTINGS, "statement_timeout": f"{statement_timeout}s"}
        self._refresh_every = refresh_every
        self._policy = policy
        self._counts = counts
        self._idle: list[_Session] = []
        self._lock = threading.Lock()

    def run(self, action: Callable[[Connection], T], doing: str) -> tuple[T, int]:
        """Returns what the action returns, and the number of attempts that it took.

        Raises:
            SnapshotLostError: the snapshot is gone.
            TallymarkError: it failed for good; the message says what was being done.
        """
        attempts, failures = Attempts(self._policy, is_transient), 0
        while True:
            session = None
            try:
                session = self._take()
                result = action(session.connection)
            except psycopg.Error as error:
                if session is not None:
                    self._close(session)
                failures += 1
                self._fail(attempts, error, doing)
            except BaseException:  # Ctrl-C too: no connection is left open
                if session is not None:
                    self._close(session)
                raise
            else:
                self._give_back(session)
                return result, failures + 1

    def close(self) -> None:
        """Closes the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            self._close(session)

    def _fail(self, attempts: Attempts, error: psycopg.Error, doing: str) -> None:
        # A connection that broke takes the idle ones with it, most likely.
        self.close()
        try:
            attempts.failed(error)
        except psycopg.Error:
            raise _final(error, doing) from None
        self._counts.add(retries=1)
        _log.warning("%s: trying again after: %s", doing, explained(error, "it failed"))

    def _take(self) -> _Session:
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session is not None and session.uses >= self._refresh_every:
            self._close(session)
            self._counts.add(refreshes=1)
            session = None
        if session is None:
            session = _Session(self._server.connect(self._application_name), time.monotonic())
            if self._snapshot is not None:
                try:
                    self._begin(session)
                except BaseException:  # Ctrl-C too: no connection is left open
                    session.connection.close()
                    raise
        if self._snapshot is None:
            self._begin(session)
        session.uses += 1
        return session

    def _begin(self, session: _Session) -> None:
        session.began = time.monotonic()
        session.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if self._snapshot is not None:
            self._enter(session.connection, self._snapshot)
        names, values = list(self._settings), list(self._settings.values())
        session.connection.execute(
            # A setting that this version does not know is left out.
            "SELECT pg_catalog.set_config(n, v, true) FROM unnest(%s::text[], %s::text[]) AS wanted(n, v) "
            "WHERE EXISTS (SELECT FROM pg_catalog.pg_settings s WHERE lower(s.name) = lower(n))",
            (names, values),
        )

    def _enter(self, connection: Connection, snapshot: str) -> None:
        try:
            connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
        except psycopg.Error as error:
            if not is_lost(error):
                raise
            raise SnapshotLostError(
                "the snapshot is gone: the session that held it has ended (a standby ends it where it conflicts with "
                "recovery, unless hot_standby_feedback = on is set there)"
            ) from None

    def _give_back(self, session: _Session) -> None:
        self._counts.add(transaction=time.monotonic() - session.began)
        if self._snapshot is None:
            try:
                session.connection.execute("COMMIT")
            except psycopg.Error:  # nothing was written, so nothing is lost
                session.connection.close()
                return
        with self._lock:
            self._idle.append(session)

    def _close(self, session: _Session) -> None:
        self._counts.add(transaction=time.monotonic() - session.began)
        with suppress(psycopg.Error):
            session.connection.close()


def over_the_whole_table(connection: Connection, statement: sql.Composed) -> tuple[Any, ...]:
    """Returns the one row of a statement that reads everything: however long that takes, and with workers."""
    connection.execute(
        "SAVEPOINT whole; SET LOCAL statement_timeout = 0; SET LOCAL max_parallel_workers_per_gather = 2"
    )
    row = connection.execute(statement, prepare=False).fetchone()
    connection.execute("ROLLBACK TO SAVEPOINT whole")
    assert row is not None
    return tuple(row)


def _final(error: psycopg.Error, doing: str) -> TallymarkError:
    if error.sqlstate == "40001":
        return IncompleteError(
            f"{doing}: the standby ended the query, because it conflicts with recovery (SQLSTATE 40001), again and "
            "again; set hot_standby_feedback = on there, raise max_standby_streaming_delay, or take a smaller "
            "--batch-size with --consistency per-chunk --no-adapt"
        )
    return explained(error, doing)
