"""Upkeep of a Delta table through delta-rs: joins small files, removes those that no version still kept names.

Needs no Spark. It knows no table and no rule; called by `tallymark.runs.maintain`, which holds the lock of the folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, WriterProperties
from deltalake.exceptions import TableNotFoundError

from tallymark.io.delta_rs import attempt, open_table
from tallymark.io.objects import ObjectStore

SMALL = 100 << 20
"""Bytes below which a file is joined with others, and that a joined one has at most."""

# The row groups are small: `ingest` reads a few of them at a time.
_WRITER = WriterProperties(compression="ZSTD", max_row_group_size=65_536)

Partition = tuple[tuple[str, str], ...]


def find_table(store: ObjectStore, folder: str) -> DeltaTable | None:
    """Return the table, None where there is none; raise IncompleteError where it cannot be used."""
    try:
        return attempt(folder, lambda: open_table(store, folder))
    except TableNotFoundError:
        return None


def count_files(table: DeltaTable) -> int:
    return len(table.file_uris())


def count_rows(table: DeltaTable) -> int:
    """Return the rows that the files themselves hold, whatever the log says of them."""
    return int(attempt(table.table_uri, lambda: table.to_pyarrow_dataset().count_rows()))


def written_at(table: DeltaTable) -> datetime | None:
    """Return when rows were last written, as far back as the log tells; joining and removing files write none."""
    times = (
        entry["timestamp"]
        for entry in attempt(table.table_uri, table.history)
        if entry["operation"] not in {"OPTIMIZE", "VACUUM START", "VACUUM END"}
    )
    newest = next(times, None)
    return None if newest is None else datetime.fromtimestamp(newest / 1000, timezone.utc)


def small_files(table: DeltaTable) -> Mapping[Partition, int]:
    """Return how many small files lie in each partition."""
    counted: Counter[Partition] = Counter()
    for row in pa.table(table.get_add_actions(flatten=True)).to_pylist():
        if row["size_bytes"] < SMALL:
            counted[tuple((name, row[f"partition.{name}"]) for name in table.metadata().partition_columns)] += 1
    return counted


def join_small_files(table: DeltaTable, filters: Sequence[tuple[str, str, Any]]) -> None:
    """Join the small files of each partition that meets the filters, in one commit.

    Raises:
        IncompleteError: it could not be written, or somebody else has committed to the same files.
    """
    attempt(
        table.table_uri,
        lambda: table.optimize.compact(
            partition_filters=list(filters) or None,
            target_size=SMALL,
            writer_properties=_WRITER,
        ),
    )


def remove_old_files(table: DeltaTable, days: int, *, dry_run: bool) -> int:
    """Remove files that are older than ``days`` and in no version since, also those that no commit ever named.

    Returns how many went, or would go.
    """
    gone = attempt(
        table.table_uri,
        lambda: table.vacuum(days * 24, dry_run=dry_run, full=True),
    )
    return len(gone)
