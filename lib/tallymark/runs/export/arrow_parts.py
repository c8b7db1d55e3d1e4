"""Parts as Parquet files or in a Delta table: which type each column has, and how a part is made and proven.

How CSV becomes Arrow is `arrow_rows`. Called by `reading`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from tallymark.config.export_options import ExportOptions
from tallymark.export.arrow_types import Typed, arrow_column, as_text, beyond
from tallymark.export.checkpoint import Chunk
from tallymark.export.spans import Span
from tallymark.io.folder import Folder
from tallymark.runs.export.arrow_rows import ArrowRows, SameRows
from tallymark.runs.export.parts import CSV, Form
from tallymark.runs.export.plan import Plan
from tallymark.runs.export.sessions import over_the_whole_table


def arrow_form(
    connection: psycopg.Connection[Any], options: ExportOptions, plan: Plan, run_id: str, folder: Folder
) -> tuple[Form, dict[str, str]]:
    """Returns the form of Parquet parts or of a Delta table, and the columns that stay text with the reason."""
    # The default pool keeps several times as much.
    pa.set_memory_pool(pa.jemalloc_memory_pool() if "jemalloc" in pa.supported_memory_backends() else _system())
    columns = _columns(connection, plan, is_delta=options.format == "delta")
    fallbacks = {column.name: column.fallback for column in columns if column.fallback}
    schema = pa.schema([(column.name, column.kind) for column in columns])

    def open_part(path: Path) -> ParquetPart:
        return ParquetPart(path, schema)

    publish: Callable[[Span, Path, int], None] | None = None
    files: Callable[[Chunk], Iterator[Path]] = partial(_file, folder)
    if options.format == "delta":
        from tallymark.runs.export.delta_parts import DeltaParts

        table = DeltaParts.open(options.to, run_id, schema, folder)
        publish, files = table.publish, table.files
    return Form("parquet", CSV, b"", open_part, publish, lambda chunk: SameRows(schema, files(chunk))), fallbacks


def _file(folder: Folder, chunk: Chunk) -> Iterator[Path]:
    if chunk.part is not None:
        with folder.local(chunk.part) as path:
            yield path


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
    statement = sql.SQL("SELECT {} FROM {} WHERE {}").format(tests, table, selection.filtered([]))
    row = over_the_whole_table(connection, statement)
    return as_text(columns, {name for (name, _), holds in zip(asked, row) if holds})


class ParquetPart:
    """A Parquet file made of the CSV that is written to it; a row group of each table."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = pq.ParquetWriter(path, schema)
        self._rows = ArrowRows(schema, self._file.write_table)
        self.write = self._rows.write

    def close(self) -> None:
        self._rows.close()
        self._file.close()
