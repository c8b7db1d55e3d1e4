"""Appends finished Parquet files to a Delta table, each exactly once, whoever repeats it. Needs no Spark.

Only the log is written by delta-rs: it would read a file again, and hold all of it in memory. The table belongs to the
user; what its properties ask of a writer is not done here, so a table that asks for more than rows is refused.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import TableNotFoundError
from deltalake.transaction import AddAction

from tallymark.errors import ConfigError
from tallymark.io.delta_rs import attempt, make_table, open_table
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import join


def open_plain(store: ObjectStore, uri: str, schema: pa.Schema) -> None:
    """Makes the table where it is missing.

    Raises:
        ConfigError: one is there that takes no files with these columns.
        IncompleteError: it could not be made or read.
    """
    make_table(store, uri, schema)
    table = attempt(uri, lambda: open_table(store, uri))
    there = {field.name: field for field in pa.schema(table.schema().to_arrow())}
    reasons = [
        "it is partitioned" if table.metadata().partition_columns else None,
        "it has constraints" if any("constraints" in key for key in table.metadata().configuration) else None,
        *(_misfit(there.get(field.name), field) for field in schema),
        *(f"its column {name} must be filled" for name, field in there.items() if not field.nullable),
        *(f"its column {field.name} is made by a rule" for field in table.schema().fields if field.metadata),
    ]
    found = [reason for reason in reasons if reason is not None]
    if found:
        raise ConfigError(f"the Delta table {uri} cannot take the rows: {'; '.join(found)}. Name another place")


def _misfit(there: pa.Field | None, wanted: pa.Field) -> str | None:
    if there is None:
        return f"it has no column {wanted.name}"
    return None if there.type == wanted.type else f"its column {wanted.name} is {there.type}, not {wanted.type}"


def append_once(store: ObjectStore, uri: str, file: Path, path: str, rows: int, name: str) -> bool:
    """Puts a file to ``path`` in the table and adds it in a commit that bears the name, unless there is such a commit.

    Returns:
        Whether it did.

    Raises:
        IncompleteError: the table could not be written.
    """
    table = attempt(uri, lambda: open_table(store, uri))
    if table.transaction_version(name) is not None:
        return False
    store.put_file(file, join(uri, path))
    state = file.stat()
    statistics = json.dumps({"numRecords": rows})
    action = AddAction(path, state.st_size, {}, int(state.st_mtime * 1000), True, statistics)
    properties = CommitProperties(app_transactions=[Transaction(name, 1)], max_commit_retries=100)
    attempt(uri, lambda: _commit(table, action, properties))
    return True


def _commit(table: DeltaTable, action: AddAction, properties: CommitProperties) -> None:
    table.create_write_transaction([action], "append", table.schema(), partition_by=[], commit_properties=properties)


def was_appended(store: ObjectStore, uri: str, name: str) -> bool:
    """Tells whether the table has a commit of this name."""
    return attempt(uri, lambda: open_table(store, uri)).transaction_version(name) is not None


def empty(store: ObjectStore, uri: str) -> None:
    """Takes all rows out of the table, in one commit, where there is a table."""
    with suppress(TableNotFoundError):
        attempt(uri, lambda: open_table(store, uri).delete())
