"""Fixtures: one PostgreSQL per run, a fresh database per test, an older major version with TLS, a proxy with faults."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from psycopg import sql

from postgres_server import OLD_PROGRAMS, TcpProxy, free_port, make_certificate, start_tcp_proxy
from tallymark.io.embedded_postgres import RunningPostgres, embedded_postgres
from tallymark.io.postgres import Server

_numbers = count(1)
# A crash of the machine is not tested, so nothing waits for the disk.
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "64MB"}


@pytest.fixture(scope="session")
def running_postgres() -> Iterator[RunningPostgres]:
    """The server itself, to be stopped and started; it has a port, for proxies and JDBC, and a socket."""
    folder = Path(tempfile.mkdtemp(prefix="tallymark-tests-"))
    try:
        with embedded_postgres(folder, free_port(), QUICK) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(running_postgres: RunningPostgres) -> Server:
    """The running server, by TCP."""
    return running_postgres.server


@pytest.fixture
def fresh_database(postgres: Server) -> Server:
    """An empty database of the test's own."""
    return make_database(postgres)


def make_database(server: Server) -> Server:
    name = f"test_{next(_numbers)}"
    with server.connect("tests") as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return replace(server, dbname=name)


@pytest.fixture(scope="session")
def old_postgres() -> Iterator[RunningPostgres]:
    """Debian's PostgreSQL with TLS, older than the wheel's; ``folder/server.crt`` its root, for localhost."""
    if not OLD_PROGRAMS:
        pytest.fail("the older PostgreSQL is missing: apt-get install -y postgresql")
    folder = Path(tempfile.mkdtemp(prefix="tallymark-tests-"))
    make_certificate(folder)
    key = folder / "server.key"
    tls = {"ssl": "on", "ssl_cert_file": f"{folder}/server.crt", "ssl_key_file": str(key)}
    running = RunningPostgres(folder, OLD_PROGRAMS[0], free_port(), QUICK | tls)
    running.take_over(key)
    try:
        running.start()
        yield running
    finally:
        running.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_proxy(postgres: Server) -> Iterator[TcpProxy]:
    """A proxy in front of `postgres` without faults; connect to 127.0.0.1 and its ``port``."""
    assert postgres.host is not None
    assert postgres.port is not None
    with start_tcp_proxy((postgres.host, postgres.port)) as proxy:
        yield proxy
