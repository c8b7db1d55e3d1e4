"""A process that holds a snapshot of a database, so that it outlives the process that wanted it.

`Keeper` starts it and talks to it; run as a module it is the process itself: one connection with one open transaction.
It ends when it is told to, or some time after its owner died, which is the time in which a killed job can be resumed
in the same snapshot. It shares its table's lock, so nobody rewrites or drops the table meanwhile.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from tallymark.errors import ConfigError, IncompleteError, TallymarkError
from tallymark.io.postgres import Server, explained, is_transient

HEARTBEAT_SECONDS = 10.0
SESSION = (
    # The server's limits are for people who forget a transaction. Unknown settings are those of newer versions.
    "SELECT pg_catalog.set_config(name, '0', true) FROM pg_catalog.pg_settings "
    "WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout', 'statement_timeout')"
)


class SnapshotLostError(IncompleteError):
    """The snapshot is gone, so what is still to be read would be of another moment."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A held snapshot: ``name`` for ``SET TRANSACTION SNAPSHOT``, what it sees, and the backend that holds it."""

    name: str
    sees: str
    backend: int
    application_name: str


class Keeper:
    """The owner's side of the process, which starts at once: it takes as long to be ready as a connection does."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tallymark.io.snapshot_keeper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # neither Ctrl-C nor the end of our group is meant for it
        )

    def hold(
        self, server: Server, application_name: str, lock: str | None, adopt: Snapshot | None, linger: float
    ) -> Snapshot:
        """Takes a snapshot, and holds it from now on; may be called again after an error that may pass.

        Args:
            lock: the table or view, as SQL, or None.
            adopt: a snapshot to go on with instead of a new one; whoever held it so far may then end (`release`).
            linger: seconds for which the snapshot outlives its owner.

        Raises:
            SnapshotLostError: the snapshot to adopt is gone.
            TallymarkError, psycopg.OperationalError: as of a connection; the latter may be tried again.
        """
        if not self.is_alive:
            self._start()
        order = {
            "server": asdict(server),
            "application_name": application_name,
            "lock": lock,
            "adopt": None if adopt is None else asdict(adopt),
            "linger": linger,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or b'{"error": "it ended", "kind": "transient"}')
        if "error" in answer:
            self._end()
            raise _ERRORS[answer["kind"]](answer["error"])
        self.snapshot = Snapshot(**answer)
        return self.snapshot

    @property
    def is_alive(self) -> bool:
        """Whether the snapshot is still held."""
        return self._process.poll() is None

    def dismiss(self) -> None:
        """Lets the snapshot go."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError, ValueError):  # it is gone already
            self._process.stdin.write(b"done\n")
            self._process.stdin.flush()
        self._end()

    def leave(self) -> None:
        """Leaves the snapshot to whoever resumes; it ends by itself after the time to linger."""
        self._close_pipes()
        if self.is_alive:
            self._process.returncode = 0  # it is no child of ours any more, so nobody shall miss its end

    def _end(self) -> None:
        self._close_pipes()
        self._process.wait(10)

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


_ERRORS: Mapping[str, type[Exception]] = {
    "lost": SnapshotLostError,
    "transient": psycopg.OperationalError,
    "config": ConfigError,
    "incomplete": IncompleteError,
}


def _hold() -> None:
    """The process: reads its order, answers with the snapshot, then waits."""
    line = sys.stdin.buffer.readline()
    if line in {b"", b"done\n"}:
        return
    order = json.loads(line)
    try:
        connection, answer = _open(order)
    except Exception as error:  # noqa: BLE001 - told to the owner, whose user reads it
        print(json.dumps(_told(error)), flush=True)
        return
    print(json.dumps(answer), flush=True)
    deadline = None
    watched = [sys.stdin]
    while deadline is None or time.monotonic() < deadline:
        if select.select(watched, [], [], HEARTBEAT_SECONDS if deadline is None else 1.0)[0]:
            if sys.stdin.buffer.readline():
                return
            watched, deadline = [], time.monotonic() + order["linger"]
        connection.execute("SELECT 1")  # also keeps firewalls from forgetting the connection


def _open(order: dict[str, Any]) -> tuple[psycopg.Connection[Any], dict[str, Any]]:
    connection = Server(**order["server"]).connect(order["application_name"])
    if connection.info.backend_pid != connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()[0]:  # type: ignore[index]
        raise ConfigError(
            "a pooler such as PgBouncer is between this job and PostgreSQL, and it may give a snapshot to another "
            "session: connect to the server itself, or take --consistency per-chunk"
        )
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    adopted = order["adopt"]
    if adopted is not None:
        connection.execute(psycopg.sql.SQL("SET TRANSACTION SNAPSHOT {}").format(psycopg.sql.Literal(adopted["name"])))
    connection.execute(SESSION)
    if order["lock"] is not None:
        # Takes its lock as LOCK TABLE would, which knows neither materialised views nor foreign tables.
        connection.execute(f"SELECT FROM {order['lock']} LIMIT 0")
    row = connection.execute(
        "SELECT pg_catalog.pg_export_snapshot(), pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_backend_pid()"
    ).fetchone()
    assert row is not None
    answer = {"name": row[0], "sees": row[1], "backend": row[2], "application_name": order["application_name"]}
    return connection, answer


def release(connection: psycopg.Connection[Any], adopted: Snapshot) -> None:
    """Ends the session that held a snapshot which somebody else holds now."""
    connection.execute(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity "
        "WHERE pid = %s AND application_name = %s",
        (adopted.backend, adopted.application_name),
    )


def is_lost(error: BaseException) -> bool:
    """Tells whether ``SET TRANSACTION SNAPSHOT`` failed because nobody holds the snapshot any more."""
    return isinstance(error, psycopg.Error) and error.sqlstate in {"22023", "42704", "55000"}


def _told(error: Exception) -> dict[str, str]:
    if is_lost(error):
        return {"kind": "lost", "error": "the snapshot is gone"}
    if is_transient(error):
        return {"kind": "transient", "error": str(error)}
    if isinstance(error, psycopg.Error):
        error = explained(error, "taking a snapshot")
    kind = "config" if isinstance(error, ConfigError) else "incomplete"
    return {"kind": kind, "error": str(error) if isinstance(error, TallymarkError) else type(error).__name__}


if __name__ == "__main__":
    _hold()
