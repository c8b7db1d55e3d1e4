"""What stands between an export and the rows: a hot standby that gives way to its primary, and a pooler."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from export_runs import Export, rows
from postgres_fixtures import QUICK
from postgres_server import OLD_PROGRAMS, free_port
from tallymark.errors import ConfigError, IncompleteError
from tallymark.io.embedded_postgres import RunningPostgres
from tallymark.io.postgres import Server
from tallymark.runs.export.live import Live
from tallymark.runs.export.run import ShowProgress

Connection = psycopg.Connection[Any]
TABLE = """
CREATE TABLE t AS SELECT i AS id, 'v' || i AS v FROM generate_series(1, 4500) i; ALTER TABLE t ADD PRIMARY KEY (id)
"""
# Each transaction may get another session of the server.
POOLER = """
[databases]
* = host={server.host} port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 3
"""


@pytest.fixture(scope="module")
def standby(old_postgres: RunningPostgres) -> Iterator[RunningPostgres]:
    """A hot standby of `old_postgres` that ends whatever is in the way of its recovery, at once."""
    folder = Path(tempfile.mkdtemp(prefix="tallymark-tests-"))
    settings = {**QUICK, "max_standby_streaming_delay": "0", "max_standby_archive_delay": "0"}
    running = RunningPostgres(folder, OLD_PROGRAMS[0], free_port(), settings)
    try:
        running.copy_from(old_postgres.server)
        running.start()
        yield running
    finally:
        running.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def primary(old_postgres: RunningPostgres, standby: RunningPostgres) -> Iterator[Connection]:
    """A connection to the primary, whose table the standby has too."""
    with old_postgres.server.connect("tests") as connection:
        connection.execute(f"DROP TABLE IF EXISTS t; {TABLE}")
        follow(connection, standby)
        yield connection


def follow(primary: Connection, standby: RunningPostgres) -> None:
    """Waits until the standby has all that the primary has written."""
    (written,) = primary.execute("SELECT pg_current_wal_lsn()").fetchone() or ("",)
    with standby.server.connect("tests") as connection:
        while connection.execute("SELECT pg_last_wal_replay_lsn() < %s::pg_lsn", [written]).fetchone() == (True,):
            time.sleep(0.05)


def clean_up_under_it(primary: Connection, standby: RunningPostgres) -> ShowProgress:
    """Removes rows that the snapshot on the standby still sees, when it has been taken."""

    @contextmanager
    def act(_live: Live) -> Iterator[None]:
        primary.execute("DELETE FROM t WHERE id % 2 = 0")
        primary.execute("VACUUM t")
        follow(primary, standby)
        yield

    return act


def test_a_standby_is_exported_and_where_it_ends_the_snapshot_that_is_noticed(
    primary: Connection, standby: RunningPostgres, run: Export, tmp_path: Path
) -> None:
    whole = run(server=standby.server, to=str(tmp_path / "whole"), verify=True).manifest
    half = run(server=standby.server, show_progress=clean_up_under_it(primary, standby), verify=True).manifest

    assert (whole["rows"], whole["consistency"]["rechecks"]) == (4_500, 0)
    assert (half["rows"], half["consistency"]["achieved"], half["consistency"]["rechecks"]) == (2_250, "snapshot", 1)
    assert {int(row[0]) % 2 for row in rows(tmp_path / "out")} == {1}


def test_a_conflict_with_recovery_names_the_setting_that_prevents_it(
    primary: Connection, standby: RunningPostgres, run: Export
) -> None:
    with pytest.raises(IncompleteError, match="hot_standby_feedback"):
        run(server=standby.server, show_progress=clean_up_under_it(primary, standby), on_lost_snapshot="refuse")


@pytest.fixture
def pooler(fresh_database: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """PgBouncer in front of the database, pooling by transactions."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.fail("PgBouncer is missing: apt-get install -y pgbouncer")
    folder, port = tmp_path_factory.mktemp("pooler"), free_port()
    (folder / "users").write_text('"postgres" ""\n')
    (folder / "ini").write_text(POOLER.format(server=fresh_database, port=port, folder=folder))
    with (folder / "log").open("wb") as log:
        # It refuses to run as root, but reads its configuration first.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        with subprocess.Popen([program, *user, str(folder / "ini")], stdout=log, stderr=log) as running:
            wait_for_port(port)
            yield replace(fresh_database, host="127.0.0.1", port=port)
            running.terminate()


def wait_for_port(port: int) -> None:
    for _ in range(100):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    pytest.fail("the pooler did not start")


def test_behind_a_pooler_no_snapshot_is_trusted_but_short_transactions_are_exact(
    database: Connection, pooler: Server, run: Export, tmp_path: Path
) -> None:
    database.execute(TABLE)
    with pytest.raises(ConfigError, match=r"PgBouncer.*--consistency per-chunk"):
        run(server=pooler)
    result = run(server=pooler, consistency="per-chunk", verify=True, workers=3, where="id > 0")

    assert (result.rows, result.manifest["consistency"]["achieved"]) == (4_500, "per-chunk")
    assert [int(row[0]) for row in rows(tmp_path / "out")] == list(range(1, 4501))
