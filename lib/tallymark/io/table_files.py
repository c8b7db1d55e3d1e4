"""Parquet files of a table, as a task reads and writes them: nobody sees one before a commit names it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from tallymark.errors import IncompleteError, ObjectError
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import is_remote, join

PART = "path string, size bigint, rows bigint"
"""What a task says of the file that it has written, as Spark DDL."""
_ROW_GROUP = 65_536
_BYTES_OF_A_GROUP = 32 << 20


@contextmanager
def local_copy(store: ObjectStore, uri: str) -> Iterator[Path]:
    """Give a local path of a file: its own, or that of a copy which goes at the end.

    Raises:
        ObjectError: MISSING.
    """
    with tempfile.TemporaryDirectory(prefix="tallymark-") as folder:
        copy = Path(folder) / "copy.parquet"
        if not (store.get_file(uri, copy) if is_remote(uri) else Path(uri).is_file()):
            raise ObjectError(uri, "MISSING", "the table names it and it is gone; restore it")
        yield copy if is_remote(uri) else Path(uri)


def write_part(
    batches: Iterable[pa.RecordBatch], store: ObjectStore, table: str, folder: str, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """For `mapInArrow`: writes the rows of a task as a file whose name tells the task's place in their order.

    Yields one row of `PART`, or none where there are no rows. Raises IncompleteError as `write_file`.
    """
    from pyspark import TaskContext

    context = TaskContext.get()
    start = f"{folder}/part-{context.partitionId() if context else 0:05}-"
    written = write_file(store, table, start, (batch.cast(schema) for batch in batches), schema)
    if written:
        yield pa.RecordBatch.from_pydict({name: [value] for name, value in zip(("path", "size", "rows"), written)})


def write_file(
    store: ObjectStore, table: str, start: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema
) -> tuple[str, int, int] | None:
    """Writes the rows as one file below ``table``; returns its path there, bytes and rows; None where none are.

    The path begins with ``start`` and is another one in each attempt of a task.

    Raises:
        IncompleteError: there is no room for it, or no right.
    """
    path, rows = f"{start}{uuid4().hex}.zstd.parquet", 0
    try:
        with tempfile.TemporaryDirectory(prefix="tallymark-") as scratch:
            local = Path(scratch) / "part.parquet"
            with pq.ParquetWriter(local, schema, compression="zstd") as writer:
                for group in _groups(batches, schema):
                    writer.write_table(group, row_group_size=_ROW_GROUP)
                    rows += group.num_rows
            if not rows:
                return None
            store.put_file(local, join(table, path))
            return path, local.stat().st_size, rows
    except OSError as error:
        if error.errno is None:  # not of this disk: a file of the table that cannot be read
            raise
        what = f"cannot write {error.filename or join(table, path)}: {error.strerror}"
        raise IncompleteError(f"{what}; free some space or give this user the right, then run again") from None


def _groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= _ROW_GROUP or size >= _BYTES_OF_A_GROUP:
            yield pa.Table.from_batches(held, schema)
            held, rows, size = [], 0, 0
    if held:
        yield pa.Table.from_batches(held, schema)
