"""Tables of PostgreSQL: made where they are missing, looked at in the catalog, emptied, copied without their rows.

Knows no business; every name is composed, never pasted. Called by the runs that load.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from tallymark.errors import ConfigError
from tallymark.io.postgres import TableName

_CATALOG_NAMES = {"character varying": "varchar", "timestamp without time zone": "timestamp"}
_CATALOG_NAMES["timestamp with time zone"] = "timestamptz"


def make_table(
    connection: psycopg.Connection[Any], table: TableName, columns: Sequence[tuple[str, str, bool]], key: Sequence[str]
) -> None:
    """Makes the table, and its schema, where it is missing.

    Args:
        columns: name, type as PostgreSQL writes it, and whether it is NOT NULL.
    """
    if exists(connection, table):
        return  # IF NOT EXISTS asks for the right to make tables all the same
    if table.schema is not None:
        make_schema(connection, table.schema)
    parts: list[sql.Composable] = [
        sql.SQL("{} {}{}").format(sql.Identifier(name), sql.SQL(kind), sql.SQL(" NOT NULL" if required else ""))
        for name, kind, required in columns
    ]
    if key:
        parts.append(sql.SQL("PRIMARY KEY ({})").format(names(key)))
    with connection.transaction():
        # Two runs at once would both find it missing.
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('tallymark.make_table'))")
        connection.execute(
            sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(table.identifier, sql.SQL(", ").join(parts))
        )


def exists(connection: psycopg.Connection[Any], table: TableName) -> bool:
    """Tells whether there is such a table that the role may see."""
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [str(table)]).fetchone()
    return bool(row and row[0])


def make_schema(connection: psycopg.Connection[Any], schema: str) -> None:
    """Makes the schema where it is missing; a role that may not make one can use what is there."""
    found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone()
    if found is None:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('tallymark.make_schema'))")
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))


def make_empty_copy(
    connection: psycopg.Connection[Any], table: TableName, copy: TableName, *, bare: bool = False
) -> None:
    """Makes ``copy`` anew like ``table``; ``bare`` is unlogged and has no index."""
    kind, like = (sql.SQL("UNLOGGED "), sql.SQL("")) if bare else (sql.SQL(""), sql.SQL(" INCLUDING ALL"))
    with connection.transaction():
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(copy.identifier))
        connection.execute(
            sql.SQL("CREATE {}TABLE {} (LIKE {}{})").format(kind, copy.identifier, table.identifier, like)
        )


def check_columns(connection: psycopg.Connection[Any], table: TableName, expected: Sequence[tuple[str, str]]) -> None:
    """Holds the columns of the config against those of the table: binary COPY casts nothing.

    Raises:
        ConfigError: a column is missing or of another type; it is named.
    """
    found = dict(
        connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            [str(table)],
        ).fetchall()
    )
    for name, kind in expected:
        if name not in found:
            raise ConfigError(f"the table {table} has no column {name}: add it, or take it out of tables in the config")
        is_kind = _short(found[name])
        if is_kind != kind:
            raise ConfigError(
                f"the column {name} of the table {table} is {is_kind}, not {kind}: correct its type in the config"
            )


def _short(kind: str) -> str:
    """Returns a type of the catalog as configs write it.

    >>> _short("character varying(3)"), _short("timestamp with time zone"), _short("bigint")
    ('varchar(3)', 'timestamptz', 'bigint')
    """
    base, bracket, rest = kind.partition("(")
    if base in _CATALOG_NAMES:
        return _CATALOG_NAMES[base] + bracket + rest
    return kind


def count_rows(connection: psycopg.Connection[Any], table: TableName) -> int:
    """Counts the rows, one by one."""
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table.identifier)).fetchone()
    return int(row[0]) if row else 0


def names(columns: Sequence[str]) -> sql.Composed:
    """Returns column names as SQL, with commas."""
    return sql.SQL(", ").join(map(sql.Identifier, columns))
