"""Spark's own writer to PostgreSQL, by pgjdbc: the address, the options, and the SQLSTATE of what went wrong.

Called by the benchmark, to measure it beside our own methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import psycopg
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from tallymark.errors import ConfigError
from tallymark.io.postgres import Server, TableName


def write_rows(
    rows: DataFrame, server: Server, table: TableName, batch_size: int, application_name: str, *, rewrite: bool
) -> None:
    """Appends ``rows`` to the table, one transaction and one connection a partition.

    Strings go as text of unknown type, so that the server reads them as what the column is (jsonb, uuid, timestamptz).

    Raises:
        ConfigError: the server has no port.
        PySparkException, Py4JJavaError: a partition failed; ask `sqlstate_of_spark`.
    """
    if server.host is None or server.host.startswith("/"):
        raise ConfigError("Spark's JDBC writer needs a server with a port: name --host and --port")
    # The password may come from any of libpq's places, and is asked for again for each write.
    with server.connect(application_name) as connection:
        info = connection.info
        address = f"jdbc:postgresql://{info.host}:{info.port}/{quote(info.dbname, safe='')}"
        options = {
            "url": address,
            "driver": "org.postgresql.Driver",
            "user": info.user,
            "password": info.password,
            "dbtable": str(table),
            "batchsize": str(batch_size),
            "reWriteBatchedInserts": str(rewrite).lower(),
            "stringtype": "unspecified",
            "ApplicationName": application_name,
            "isolationLevel": "READ_COMMITTED",
            "logServerErrorDetail": "false",  # it quotes values
            **tls_options(info.get_parameters()),
        }
    given: dict[str, Any] = {name: value for name, value in options.items() if value}
    rows.write.format("jdbc").options(**given).mode("append").save()


def tls_options(parameters: Mapping[str, str]) -> dict[str, str | None]:
    """Returns pgjdbc's options for the TLS of a connection that libpq has made; of its own pgjdbc verifies nobody.

    >>> tls_options({"sslmode": "verify-full", "sslrootcert": "system"})["sslfactory"]
    'org.postgresql.ssl.DefaultJavaSSLFactory'

    Args:
        parameters: what libpq was told, by options, variables or a service file.
    """
    mode, root = parameters.get("sslmode"), parameters.get("sslrootcert")
    if root == "system":  # a word of libpq's; Java has roots of its own
        return {"sslmode": mode, "sslfactory": "org.postgresql.ssl.DefaultJavaSSLFactory"}
    return {"sslmode": mode, "sslrootcert": root}


def sqlstate_of_spark(error: PySparkException | Py4JJavaError) -> tuple[str | None, str]:
    """Returns the SQLSTATE and a cause without values, from the chain of Java's causes.

    The message of the server may quote a record, so it stays out.
    """
    thrown = error.java_exception if isinstance(error, Py4JJavaError) else getattr(error, "_origin", None)
    while thrown is not None:
        if thrown.getClass().getName() == "org.postgresql.util.PSQLException":
            state = thrown.getSQLState()
            return state, f"{_name(state)} (SQLSTATE {state})"
        thrown = thrown.getCause()
    return None, type(error).__name__


def _name(state: str | None) -> str:
    try:
        return psycopg.errors.lookup(state or "").__name__
    except KeyError:
        return "PSQLException"
