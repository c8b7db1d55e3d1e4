"""CSV as PostgreSQL writes it, turned into Arrow a few MB at a time: to be written, or to be held against a file.

CSV because PostgreSQL writes every type exactly so, and Arrow's own reader parses it. Called by `arrow_parts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tallymark.errors import IncompleteError
from tallymark.io.copy_out import Block

TABLE_BYTES = 2 << 20
_BATCH_ROWS = 8192


class ArrowRows:
    """Collects whole rows of CSV, and hands them on as tables made of about 2 MB each."""

    def __init__(self, schema: pa.Schema, take: Callable[[pa.Table], None]) -> None:
        self._schema = schema
        self._take = take
        self._waiting = bytearray()

    def write(self, block: Block) -> None:
        self._waiting += block
        if len(self._waiting) >= TABLE_BYTES:
            self.close()

    def close(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, bytearray()
            self._take(to_arrow(waiting, self._schema))


class SameRows:
    """Holds the rows that the source sends again against those of Parquet files; ``differs`` tells, after `close`."""

    def __init__(self, schema: pa.Schema, files: Iterator[Path]) -> None:
        self._coming = (table for file in files for table in _tables(file, schema))
        self._there = schema.empty_table()
        self._rows = ArrowRows(schema, self._compare)
        self.write = self._rows.write
        self.differs = False

    def close(self) -> None:
        self._rows.close()
        self.differs = self.differs or self._next()

    def _next(self) -> bool:
        """Reads on in the files, where what was read is used up; tells whether there is anything."""
        while not self._there.num_rows:
            found = next(self._coming, None)
            if found is None:
                return False
            self._there = found
        return True

    def _compare(self, sent: pa.Table) -> None:
        while sent.num_rows and not self.differs:
            if not self._next():
                self.differs = True
                return
            length = min(sent.num_rows, self._there.num_rows)
            self.differs = not _are_same(sent.slice(0, length), self._there.slice(0, length))
            sent, self._there = sent.slice(length), self._there.slice(length)


def _tables(file: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(_BATCH_ROWS, columns=schema.names):
            yield pa.Table.from_batches([batch]).select(schema.names).cast(schema)


def _are_same(one: pa.Table, other: pa.Table) -> bool:
    return all(_bits(a).equals(_bits(b)) for a, b in zip(one.columns, other.columns))


def _bits(column: pa.ChunkedArray) -> pa.Array:
    """Floats as integers of the same bits, because NaN is not equal to itself."""
    array = column.combine_chunks()
    if not pa.types.is_floating(array.type):
        return array
    return array.view(pa.int32() if array.type == pa.float32() else pa.int64())


def to_arrow(content: bytearray, schema: pa.Schema) -> pa.Table:
    """Parses whole rows of PostgreSQL's CSV: an empty field is NULL, a quoted one is text, also an empty one.

    Raises:
        IncompleteError: a value does not fit its type; the message does not quote it.
    """
    read_as = {field.name: pa.string() if pa.types.is_binary(field.type) else field.type for field in schema}
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(content),
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=schema.names),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=pa_csv.ConvertOptions(
                column_types=read_as,
                null_values=[""],
                true_values=["t"],
                false_values=["f"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        where = str(error).partition(":")[0]
        raise IncompleteError(
            f"a value does not fit its column's type in Arrow ({where}): export as csv, or leave the column out"
        ) from None
    arrays = [
        _from_hex(table.column(field.name)) if pa.types.is_binary(field.type) else table.column(field.name)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)


def _from_hex(texts: pa.ChunkedArray) -> pa.Array:
    values = (value.as_py() for value in texts)
    return pa.array([None if text is None else bytes.fromhex(text[2:]) for text in values], pa.binary())
