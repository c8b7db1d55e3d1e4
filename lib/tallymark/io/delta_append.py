"""Appends to a Delta table that happen once, whoever repeats them. Through delta-rs; needs no Spark.

The table belongs to the user: other columns, partitions and properties that it has are left alone.
"""

from __future__ import annotations

import json
from contextlib import suppress
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, Transaction, write_deltalake
from deltalake.exceptions import TableNotFoundError

from tallymark.errors import IncompleteError
from tallymark.io.delta_rs import attempt, open_table, storage_options
from tallymark.io.objects import ObjectStore, join


def append_once(store: ObjectStore, uri: str, rows: pa.RecordBatchReader, name: str) -> bool:
    """Appends the rows in one commit that bears the name, unless there is one; tells whether it did.

    Raises:
        IncompleteError: the table could not be written.
    """
    if attempt(uri, lambda: open_table(store, uri)).transaction_version(name) is not None:
        return False
    options = storage_options(store, uri)
    properties = CommitProperties(app_transactions=[Transaction(name, 1)], max_commit_retries=100)
    attempt(
        uri,
        lambda: write_deltalake(uri, rows, mode="append", storage_options=options, commit_properties=properties),
    )
    return True


def files_of(store: ObjectStore, uri: str, name: str) -> list[str]:
    """Returns the files, relative to the table, that the commit of this name added, in their order.

    Raises:
        IncompleteError: there is no such commit in the log.
    """
    for version in range(attempt(uri, lambda: open_table(store, uri)).version(), -1, -1):
        found = store.stat(join(uri, f"_delta_log/{version:020}.json"))
        if found is None:
            break
        actions = [json.loads(line) for line in b"".join(store.read_chunks(found)).splitlines()]
        if any(action.get("txn", {}).get("appId") == name for action in actions):
            return [unquote(action["add"]["path"]) for action in actions if "add" in action]
    raise IncompleteError(f"the log of the table {uri} does not know the commit {name}: was it cleaned up?")


def empty(store: ObjectStore, uri: str) -> None:
    """Takes all rows out of the table, in one commit, where there is a table."""
    with suppress(TableNotFoundError):
        attempt(uri, lambda: open_table(store, uri).delete())
