"""Loads the rows that the server takes and finds those that it refuses, inside the transaction of their unit.

The usual way is plain sending. Where the server refuses, halves are tried, down to the single row: it is rejected with
the SQLSTATE, its neighbours land. Where a key is taken, the rows go through a temporary table: one that is there with
the same content is skipped, one that differs is rejected, because neither of the two may be lost unseen.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import psycopg
import pyarrow as pa
from psycopg import sql

from tallymark.bulkload.columns import Column, column_type
from tallymark.io.postgres import TableName
from tallymark.io.postgres_tables import names
from tallymark.runs.bulkload.sending import Connection, Sent, send
from tallymark.runs.bulkload.targets import Target

KEY_TAKEN = "KEY_TAKEN"
_ORDINAL = "tallymark_ordinal"
_PASSING = TableName(None, "tallymark_passing")


@dataclass
class Landed:
    """What became of rows: how many are loaded and skipped, why which ones (by place) are not, and the batches."""

    loaded: int = 0
    skipped: int = 0
    refused: dict[int, str] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)


def land(connection: Connection, target: Target, rows: pa.RecordBatch, method: str, batch_size: int) -> Landed:
    """Loads ``rows`` within the open transaction.

    Raises:
        psycopg.OperationalError: nothing of the transaction will stay; it may be tried again.
    """
    landed = Landed()
    ordinal = pa.array(range(len(rows)), pa.int32())
    _land(connection, target, rows.append_column(_ORDINAL, ordinal), (method, batch_size), landed, passing=False)
    return landed


def _land(
    connection: Connection, target: Target, rows: pa.RecordBatch, how: tuple[str, int], landed: Landed, *, passing: bool
) -> None:
    if not len(rows):
        return
    try:
        with connection.transaction():
            if passing:
                _pass_through(connection, target, rows, how, landed)
            else:
                plain = rows.select(target.column_names)
                landed.sent += send(connection, target, plain, *how)
                landed.loaded += len(rows)
    except psycopg.errors.UniqueViolation as error:
        if target.key and not passing:
            _land(connection, target, rows, how, landed, passing=True)
        else:
            _halve(connection, target, rows, how, landed, passing, error)
    except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded) as error:
        _halve(connection, target, rows, how, landed, passing, error)


def _halve(
    connection: Connection,
    target: Target,
    rows: pa.RecordBatch,
    how: tuple[str, int],
    landed: Landed,
    passing: bool,
    error: psycopg.Error,
) -> None:
    if len(rows) == 1:
        place = error.diag.constraint_name or error.diag.column_name
        landed.refused[rows[_ORDINAL][0].as_py()] = f"{error.sqlstate} {place}" if place else str(error.sqlstate)
        return
    middle = len(rows) // 2
    for half in (rows.slice(0, middle), rows.slice(middle)):
        _land(connection, target, half, how, landed, passing=passing)


def _pass_through(
    connection: Connection, target: Target, rows: pa.RecordBatch, how: tuple[str, int], landed: Landed
) -> None:
    columns = names(target.column_names)
    passing = replace(
        target, table=_PASSING, columns=(*target.columns, Column(_ORDINAL, _ORDINAL, column_type("integer")))
    )
    parts = {
        "passing": _PASSING.identifier,
        "target": target.table.identifier,
        "columns": columns,
        "key": names(target.key),
        "ordinal": sql.Identifier(_ORDINAL),
        "same": sql.SQL(" AND ").join(
            sql.SQL("o.{0} IS NOT DISTINCT FROM n.{0}").format(sql.Identifier(name)) for name in target.column_names
        ),
        "same_key": sql.SQL(" AND ").join(sql.SQL("o.{0} = n.{0}").format(sql.Identifier(name)) for name in target.key),
    }
    for statement in (
        "DROP TABLE IF EXISTS pg_temp.{passing}",
        "CREATE TEMP TABLE {passing} ON COMMIT DROP AS SELECT {columns}, 0 AS {ordinal} FROM {target} WITH NO DATA",
    ):
        connection.execute(sql.SQL(statement).format(**parts))
    sent = send(connection, passing, rows, *how)
    # In the order of the key, so that two transactions do not wait for each other.
    inserted = connection.execute(
        sql.SQL(
            "INSERT INTO {target} ({columns}) SELECT {columns} FROM pg_temp.{passing} ORDER BY {key}, {ordinal} "
            "ON CONFLICT DO NOTHING"
        ).format(**parts)
    ).rowcount
    refused = connection.execute(
        sql.SQL(
            "SELECT {ordinal} FROM pg_temp.{passing} n WHERE NOT EXISTS "
            "(SELECT FROM {target} o WHERE {same_key} AND {same})"
        ).format(**parts)
    ).fetchall()
    landed.loaded += inserted
    landed.skipped += len(rows) - inserted - len(refused)
    landed.refused.update((ordinal, KEY_TAKEN) for (ordinal,) in refused)
    landed.sent += sent
