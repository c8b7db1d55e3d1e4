"""Parts as Parquet files: what COPY sent as CSV, a few MB at a time, is one row group each. Called by `reading`.

CSV because PostgreSQL writes every type exactly so, and Arrow's own reader parses it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from psycopg import sql

from tallymark.config.export_options import ExportOptions
from tallymark.errors import IncompleteError
from tallymark.export.arrow_types import Typed, arrow_column, as_text, beyond
from tallymark.runs.export.parts import CSV, Block, Form
from tallymark.runs.export.plan import Plan

ROW_GROUP_BYTES = 2 << 20


def arrow_form(
    connection: psycopg.Connection[Any], options: ExportOptions, plan: Plan, run_id: str
) -> tuple[Form, dict[str, str]]:
    """Returns the form of Parquet parts or of a Delta table, and the columns that stay text with the reason."""
    # The default pool keeps several times as much.
    pa.set_memory_pool(pa.jemalloc_memory_pool() if "jemalloc" in pa.supported_memory_backends() else _system())
    columns = _columns(connection, plan, is_delta=options.format == "delta")
    fallbacks = {column.name: column.fallback for column in columns if column.fallback}
    schema = pa.schema([(column.name, column.kind) for column in columns])

    def open_part(path: Path) -> ParquetPart:
        return ParquetPart(path, schema)

    if options.format == "parquet":
        return Form("parquet", CSV, b"", open_part), fallbacks
    from tallymark.runs.export.delta_parts import DeltaParts

    table = DeltaParts.open(options.to, run_id, schema)
    return Form("parquet", CSV, b"", open_part, table.publish), fallbacks


def _system() -> pa.MemoryPool:
    return pa.system_memory_pool()


def _columns(connection: psycopg.Connection[Any], plan: Plan, *, is_delta: bool) -> list[Typed]:
    """Looks at the data, once, where only the data tells whether a type holds it."""
    columns = [
        arrow_column(column.name, column.type_name, column.declared, column.precision, column.scale, is_delta=is_delta)
        for column in plan.columns
    ]
    found = [(typed.name, beyond(column.type_name, typed)) for column, typed in zip(plan.columns, columns)]
    asked = [(name, condition) for name, condition in found if condition is not None]
    if not asked:
        return columns
    selection, table = plan.cutter.selection, plan.table.identifier
    tests = sql.SQL(", ").join([sql.SQL("pg_catalog.bool_or({})").format(condition) for _, condition in asked])
    row = connection.execute(
        sql.SQL("SELECT {} FROM {} WHERE {}").format(tests, table, selection.filtered([])), prepare=False
    ).fetchone()
    assert row is not None
    return as_text(columns, {name for (name, _), holds in zip(asked, row) if holds})


class ParquetPart:
    """A Parquet file made of the CSV that is written to it."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._read_as = pa.schema(
            [pa.field(field.name, pa.string() if pa.types.is_binary(field.type) else field.type) for field in schema]
        )
        self._waiting = bytearray()
        self._file = pq.ParquetWriter(path, schema)

    def write(self, block: Block) -> None:
        self._waiting += block
        if len(self._waiting) >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        if self._waiting:
            self._flush()
        self._file.close()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, bytearray()
        self._file.write_table(to_arrow(waiting, self._read_as, self._schema))


def to_arrow(content: bytearray, read_as: pa.Schema, schema: pa.Schema) -> pa.Table:
    """Parses whole rows of PostgreSQL's CSV: an empty field is NULL, a quoted one is text, also an empty one.

    Raises:
        IncompleteError: a value does not fit its type; the message does not quote it.
    """
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
