"""Reads what jobs left in an output folder: Delta tables by SQL without a JVM, and the JSON files beside them.

DataFusion in delta-rs runs the SQL: it reads only the columns and the partitions that a query names, and adds up
millions of rows without handing them out. Called by the pages; it knows no job.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import streamlit as st
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import TableNotFoundError

from tallymark.errors import IncompleteError, ObjectError
from tallymark.io.delta_rs import attempt, open_table, storage_options
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import join
from tallymark.retry import RetryPolicy, call

Row = dict[str, Any]
_NO_COLUMN = re.compile(r"No field named (\S+?)\.?(\s|$)")
_REPLACED_MEANWHILE = RetryPolicy(attempts=3, base_seconds=0.05)


class NothingThereError(IncompleteError):
    """The folder does not hold the table; the message names the table."""


@dataclass(frozen=True)
class Folder:
    """The output folder of a job, local or on S3; ``uri`` as people wrote it."""

    uri: str
    store: ObjectStore

    def holds(self, table: str) -> bool:
        """Tells whether the table is there; yes where that cannot be told, so that reading it says why."""
        place = self._place(table)
        try:
            return DeltaTable.is_deltatable(place, storage_options(self.store, place))
        except Exception:  # noqa: BLE001 - delta-rs raises many types, also plain Exception
            return True

    def has(self, name: str) -> bool:
        """Tells whether a file of this name lies in the folder."""
        return self.store.exists(join(self.uri, name))

    def rows(self, query: str, *tables: str) -> list[Row]:
        """Returns the rows that the SQL selects from the named tables, remembered until one of them changes.

        Raises:
            NothingThereError: a table is missing.
            IncompleteError: a table is broken, or is not one of the job's.
        """
        opened = {name: self._open(name) for name in tables}
        state = tuple((table.table_uri, str(table.metadata().id), table.version()) for table in opened.values())
        return _remembered(query, state, self.uri, opened)

    def rows_once(self, query: str, table: str) -> list[Row]:
        """Returns the same as `rows`, for answers too large to remember."""
        return _select(query, self.uri, {table: self._open(table)})

    def json(self, name: str) -> Row:
        """Returns a JSON object that a job keeps in the folder and replaces as a whole; raises as `rows`."""
        place = join(self.uri, name)
        obj = self.store.stat(place)
        if obj is None:
            raise NothingThereError(f"{self.uri} holds no {name} yet")
        text = call(lambda: self._text(place), _REPLACED_MEANWHILE, lambda error: isinstance(error, ObjectError))
        try:
            found = json.loads(text)
        except ValueError as error:
            raise IncompleteError(f"{place} is no JSON: see which program writes it, or remove it") from error
        if not isinstance(found, dict):
            raise IncompleteError(f"{place} is no JSON object: see which program writes it, or remove it")
        return found

    def _text(self, place: str) -> bytes:
        obj = self.store.stat(place)
        return b"".join(self.store.read_chunks(obj)) if obj else b"{}"

    def _place(self, table: str) -> str:
        return join(self.uri, f"delta/{table}")

    def _open(self, table: str) -> DeltaTable:
        place = self._place(table)
        try:
            return attempt(place, lambda: open_table(self.store, place), failures=(Exception,))
        except TableNotFoundError:
            raise NothingThereError(f"{self.uri} holds no table {table} yet") from None


@st.cache_data(max_entries=500, show_spinner=False)
def _remembered(query: str, state: object, folder: str, _tables: dict[str, DeltaTable]) -> list[Row]:
    del state  # only a part of the key
    return _select(query, folder, _tables)


def _select(query: str, folder: str, tables: dict[str, DeltaTable]) -> list[Row]:
    builder = QueryBuilder()
    for name, table in tables.items():
        builder.register(name, table)
    names = " and ".join(tables)
    place = f"{names} of {folder}"
    try:
        # delta-rs raises plain Exception for data files that are missing or broken.
        found = attempt(place, lambda: pa.table(builder.execute(query).read_all()), failures=(Exception,))
    except IncompleteError as error:
        missing = _NO_COLUMN.search(str(error.__cause__))
        if missing is None:
            raise
        raise IncompleteError(
            f"the table {place} has no column {missing[1]}: another program or another version wrote it; "
            "name the output folder of a job"
        ) from None
    rows: list[Row] = found.to_pylist()
    return rows


def newest(folder: Folder, table: str, columns: Sequence[str], limit: int) -> list[Row]:
    """Returns the newest runs of a table, newest first."""
    return folder.rows(f"SELECT {names(columns)} FROM {table} ORDER BY run_time DESC, run_id DESC LIMIT {limit}", table)


def names(columns: Sequence[str]) -> str:
    """Returns column names as SQL selects them.

    >>> names(["rows", "table"])
    '"rows", "table"'
    """
    return ", ".join(f'"{name}"' for name in columns)


def text(value: str) -> str:
    """Returns a value as an SQL literal.

    >>> text("it's")
    "'it''s'"
    """
    return "'" + value.replace("'", "''") + "'"


def any_of(column: str, values: Sequence[str]) -> str:
    """Returns the condition that the column has one of the values; no value at all sets none.

    >>> any_of("status", ["ERROR", "MATCH"]), any_of("status", [])
    ("status IN ('ERROR', 'MATCH')", 'TRUE')
    """
    return f"{column} IN ({', '.join(map(text, values))})" if values else "TRUE"


def containing(column: str, part: str) -> str:
    """Returns the condition that the column's text holds the part, whatever characters that has.

    >>> containing("file_path", "50%")
    "strpos(file_path, '50%') > 0"
    """
    return f"strpos({column}, {text(part)}) > 0" if part else "TRUE"
