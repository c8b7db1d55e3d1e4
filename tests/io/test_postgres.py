"""Connections to a real PostgreSQL: what is retried, what an error says, what TLS must hold, how names are quoted."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from postgres_server import TcpProxy, free_port
from tallymark.errors import ConfigError, IncompleteError
from tallymark.io.embedded_postgres import RunningPostgres
from tallymark.io.jdbc import tls_options
from tallymark.io.postgres import Server, TableName, explained, is_transient, table_name

PASSWORD = "S3cr3t!@#:/?%"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)


def failure(server: Server, statement: str = "SELECT 1") -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught, server.connect("tests") as connection:
        connection.execute(statement)
    return caught.value


def test_a_server_travels_and_connects_by_the_options_or_by_the_variables_of_libpq(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: Server = pickle.loads(pickle.dumps(postgres))
    with sent.connect("job x") as connection:
        assert connection.execute("SHOW application_name").fetchone() == ("job x",)
    monkeypatch.setenv("PGHOST", str(postgres.host))
    monkeypatch.setenv("PGPORT", str(postgres.port))
    monkeypatch.setenv("PGUSER", "postgres")
    with Server().connect("tests", options="-c statement_timeout=5000") as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("5s",)


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("SELECT * FROM nowhere", "42P01"),
        ("SELEC 1", "42601"),
        ("SELECT 1/0", "22012"),
        ("SET statement_timeout = 1; SELECT pg_sleep(5)", "57014"),
    ],
)
def test_wrong_sql_and_wrong_data_are_not_tried_again(postgres: Server, statement: str, state: str) -> None:
    error = failure(postgres, statement)

    assert error.sqlstate == state
    assert not is_transient(error)


@pytest.mark.parametrize("state", ["08006", "57P01", "57P02", "57P03", "53300", "40001", "40P01"])
def test_what_passes_by_itself_is_tried_again(postgres: Server, state: str) -> None:
    error = failure(postgres, f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$")

    assert error.sqlstate == state
    assert is_transient(error)
    assert isinstance(explained(error, "reading"), IncompleteError)


def test_a_terminated_backend_and_a_lost_network_are_transient(postgres: Server, postgres_proxy: TcpProxy) -> None:
    ended = failure(postgres, "SELECT pg_terminate_backend(pg_backend_pid())")
    postgres_proxy.cut_after = 2_000
    lost = failure(replace(postgres, port=postgres_proxy.port), "SELECT repeat('x', 100000)")
    refused = failure(replace(postgres, port=free_port()))

    assert ended.sqlstate == "57P01"
    assert (is_transient(ended), is_transient(lost), is_transient(refused)) == (True, True, True)


def test_too_many_connections_pass_and_an_unknown_database_does_not(postgres: Server) -> None:
    with postgres.connect("tests") as connection:
        connection.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
    crowded, unknown = failure(replace(postgres, user="crowded")), failure(replace(postgres, dbname="nowhere"))

    assert is_transient(crowded)
    assert not is_transient(unknown)
    assert isinstance(explained(unknown, "connecting"), ConfigError)


def test_an_error_never_quotes_a_value(postgres: Server) -> None:
    error = explained(failure(postgres, "SELECT 'my secret value'::int"), "exporting t")

    assert str(error).startswith("exporting t: invalid text representation (SQLSTATE 22P02); ")
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Orders", TableName(None, "orders")),
        ('Shop."Orders 2"', TableName("shop", "Orders 2")),
        ('"we""ird; DROP TABLE t--"', TableName(None, 'we"ird; DROP TABLE t--')),
        ('"a.b".größe', TableName("a.b", "größe")),
    ],
)
def test_a_name_is_read_as_postgresql_reads_it(text: str, name: TableName) -> None:
    assert table_name(text) == name
    assert table_name(str(name)) == name


@pytest.mark.parametrize("text", ["t; DROP TABLE u", "", "a.b.c", '"open', "a b", "a.", "(SELECT 1)", '""', 't"', "1a"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no name of a table"):
        table_name(text)


def test_a_strange_name_names_just_its_table(fresh_database: Server) -> None:
    name = TableName(None, 'we"ird; DROP TABLE t--')
    with fresh_database.connect("tests") as connection:
        connection.execute(sql.SQL("CREATE TABLE {} AS SELECT 7 AS n").format(name.identifier))
        assert connection.execute(sql.SQL("SELECT n FROM {}").format(name.identifier)).fetchone() == (7,)


class TestTls:
    @pytest.fixture
    def server(self, old_postgres: RunningPostgres) -> Server:
        return replace(old_postgres.server, host="localhost", sslrootcert=str(old_postgres.folder / "server.crt"))

    def test_a_verified_server_is_reached_and_an_older_major_version_too(self, server: Server) -> None:
        with replace(server, sslmode="verify-full").connect("tests") as connection:
            row = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
            version = connection.info.server_version

        assert row == (True,)
        assert version < 180000

    def test_another_name_than_that_of_the_certificate_is_refused_for_good(self, server: Server) -> None:
        error = failure(replace(server, host="127.0.0.1", sslmode="verify-full"))

        assert not is_transient(error)
        assert isinstance(explained(error, "connecting"), ConfigError)
        assert "sslrootcert" in str(explained(error, "connecting"))

    def test_a_server_without_tls_is_refused_where_tls_is_required(self, postgres: Server) -> None:
        error = failure(replace(postgres, sslmode="require"))

        assert not is_transient(error)

    def test_a_host_elsewhere_is_verified_unless_told_otherwise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert Server(host="db.example.com").parameters()["sslmode"] == "verify-full"
        assert "sslmode" not in Server(host="/run/postgresql").parameters()
        assert Server(host="127.0.0.1,db").parameters()["sslmode"] == "verify-full"
        monkeypatch.setenv("PGHOST", "db.example.com")
        assert Server().parameters()["sslmode"] == "verify-full"
        monkeypatch.setenv("PGSSLMODE", "require")
        assert "sslmode" not in Server().parameters()

    @pytest.mark.parametrize("by", ["option", "variable"])
    def test_the_writer_of_spark_verifies_whom_libpq_has_verified(
        self, server: Server, by: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without an option pgjdbc takes any certificate, and none."""
        if by == "variable":
            monkeypatch.setenv("PGSSLMODE", "verify-full")
        with replace(server, sslmode="verify-full" if by == "option" else None).connect("tests") as connection:
            told = tls_options(connection.info.get_parameters())

        assert told == {"sslmode": "verify-full", "sslrootcert": server.sslrootcert}


class TestPasswords:
    @pytest.fixture
    def server(self, old_postgres: RunningPostgres) -> Server:
        """A role that must give its password."""
        with old_postgres.server.connect("tests") as connection:
            connection.execute("DROP ROLE IF EXISTS guarded")
            connection.execute(sql.SQL("CREATE ROLE guarded LOGIN PASSWORD {}").format(PASSWORD))
            rules = Path(str(connection.execute("SHOW hba_file").fetchone()[0]))  # type: ignore[index]
            if "guarded" not in rules.read_text():
                rules.write_text("host all guarded 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
            connection.execute("SELECT pg_reload_conf()")
        return replace(old_postgres.server, user="guarded")

    def test_the_secret_is_read_again_for_each_connection(self, server: Server, tmp_path: Path) -> None:
        place = tmp_path / "password"
        place.write_text("yesterday's\n")
        guarded = replace(server, password_from=f"file:{place}")
        wrong = failure(guarded)
        place.write_text(PASSWORD + "\n")
        with guarded.connect("tests") as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("guarded",)

        assert not is_transient(wrong)
        assert isinstance(explained(wrong, "connecting"), ConfigError)

    def test_a_missing_password_is_not_tried_again(self, server: Server) -> None:
        error = explained(failure(server), "connecting")

        assert isinstance(error, ConfigError)
        assert "password_from" in str(error)
