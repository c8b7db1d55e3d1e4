"""Decides by what a table is cut, from the catalogue and the options, and refuses what cannot be exact.

Reads the catalogue only. Called by `tallymark.runs.export.run`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import pq, sql

from tallymark.config.export_options import ExportOptions
from tallymark.config.spelling import suggestion
from tallymark.errors import ConfigError
from tallymark.export.keys import KeyColumn
from tallymark.export.spans import CtidCutter, Cutter, KeysetCutter, Pages, Selection
from tallymark.io.catalog import Column, Table, read_table
from tallymark.io.postgres import explained, is_transient, table_name

_KINDS = {"v": "a view", "f": "a foreign table"}
_BY_PAGES = ("ctid",)  # what --order-by names where the pages shall cut a table that has a key
_ROWS_PER_PAGE = 50.0


@dataclass(frozen=True)
class Plan:
    """How the table is exported; ``fingerprint`` is what must not change before a resume."""

    table: Table
    columns: tuple[Column, ...]
    cutter: Cutter
    mode: str
    order: tuple[str, ...]
    fingerprint: dict[str, Any]
    warnings: tuple[str, ...]


def make_plan(connection: psycopg.Connection[Any], options: ExportOptions) -> Plan:
    """Returns the plan for what the connection sees.

    Raises:
        ConfigError: table, column, condition or order is wrong, or the table has no exact way to be cut.
    """
    table = read_table(connection, table_name(options.table))
    columns = _columns(table, options.columns, "--columns") if options.columns else table.columns
    if not columns:
        raise ConfigError(f"{table} has no columns: there is nothing to export")
    if options.where is not None:
        _check_condition(connection, table, options.where)
    selection = Selection(tuple(column.name for column in columns), options.where)
    by_pages = options.order_by == _BY_PAGES
    ordered = () if by_pages else _columns(table, options.order_by, "--order-by")
    warnings: list[str] = []
    if ordered or (table.unique_keys and not by_pages):
        cutter: Cutter = _by_key(table, ordered, selection, warnings)
        order = tuple(column.name for column in cutter.key) if isinstance(cutter, KeysetCutter) else ()
    elif options.chunk_mode:
        cutter, order = _by_pages(connection, table, selection, options), ()
    else:
        cutter, order = KeysetCutter(table.identifier, (), selection), ()
    mode = ("keyset" if order else "nothing") if isinstance(cutter, KeysetCutter) else "ctid"
    return Plan(
        table, columns, cutter, mode, order, _fingerprint(table, columns, options, mode, order), tuple(warnings)
    )


def _columns(table: Table, names: tuple[str, ...], given: str) -> tuple[Column, ...]:
    known = {column.name: column for column in table.columns}
    for name in names:
        if name not in known:
            raise ConfigError(f"{given}: {table} has no column {name!r}.{suggestion(name, known)}")
    if len(set(names)) < len(names):
        raise ConfigError(f"{given}: a column is named twice")
    return tuple(known[name] for name in names)


def _check_condition(connection: psycopg.Connection[Any], table: Table, where: str) -> None:
    """Lets PostgreSQL parse the condition, as one statement that is not run.

    It will stand between brackets; here it stands in a CASE. Text that closes one of them to go on with something
    else does not fit into the other.
    """
    statement = sql.SQL("SELECT CASE WHEN (\n{}\n) THEN true END FROM {}").format(
        sql.SQL(where),
        table.identifier,
    )
    plain = sql.SQL("SELECT FROM {} WHERE (\n{}\n)").format(table.identifier, sql.SQL(where))
    for each in (statement, plain):
        result = connection.pgconn.prepare(b"", each.as_bytes(connection))
        if result.status != pq.ExecStatus.COMMAND_OK:
            error = psycopg.errors.error_from_result(result, encoding="utf-8")
            if is_transient(error):
                raise error
            raise ConfigError(str(explained(error, "--where is no condition on the columns of this table")))


def _by_key(table: Table, ordered: tuple[Column, ...], selection: Selection, warnings: list[str]) -> KeysetCutter:
    names = [column.name for column in ordered]
    complete = any(set(key) <= set(names) for key in table.unique_keys)
    if not complete and table.unique_keys:
        names += [name for name in table.unique_keys[0] if name not in names]
    known = {column.name: column for column in table.columns}
    key = tuple(KeyColumn(name, known[name].type_name, known[name].nullable) for name in names)
    has_pages = table.kind in "rpm"
    if not has_pages and len(ordered) < len(table.columns):
        kind = _KINDS.get(table.kind, "no table")
        warnings.append(f"{table} is {kind}: rows of equal {', '.join(names)} have no fixed order")
    if not any(index[: len(ordered)] == tuple(names[: len(ordered)]) for index in table.indexes) and has_pages:
        first = ", ".join(names)
        warnings.append(
            f"no index starts with {first}: each chunk reads the whole table; CREATE INDEX, or leave it out"
        )
    ties = () if table.unique_keys or not has_pages else ("tableoid", "ctid")
    return KeysetCutter(table.identifier, key, selection, ties)


def _by_pages(
    connection: psycopg.Connection[Any], table: Table, selection: Selection, options: ExportOptions
) -> CtidCutter:
    problem = None
    if table.kind not in "rpm":
        problem = f"it is {_KINDS.get(table.kind, 'no table')}"
    elif any(relation.kind not in "rm" for relation in table.relations):
        problem = "one of its partitions is a foreign table"
    elif connection.info.server_version < 140_000:
        problem = "this PostgreSQL is older than 14 and cannot read ranges of pages"
    elif options.consistency == "per-chunk":
        problem = "an update between two chunks may move a row to other pages, so that takes --consistency snapshot"
    if problem:
        known = "" if options.order_by else "has no key, and "
        raise ConfigError(f"{table} {known}cannot be cut by pages: {problem}. Name columns with --order-by.")
    pages = sum(relation.pages for relation in table.relations)
    density = table.estimated_rows / pages if table.estimated_rows and pages else _ROWS_PER_PAGE
    relations = tuple(Pages(relation.identifier, relation.pages) for relation in table.relations)
    return CtidCutter(relations or (Pages(table.identifier, 0),), selection, density)


def _fingerprint(
    table: Table, columns: tuple[Column, ...], options: ExportOptions, mode: str, order: tuple[str, ...]
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "table": str(table),
        "oid": table.oid,
        "columns": [[column.name, column.declared] for column in columns],
        "where": options.where,
        "cut by": [mode, *order],
        "format": options.format,
        "merge": options.merge,
        "consistency": options.consistency,
        "chunk_mode": options.chunk_mode,
    }
    if mode == "ctid":  # the pages mean nothing in another file
        found["files"] = [[relation.schema, relation.name, relation.filenode] for relation in table.relations]
    return found
