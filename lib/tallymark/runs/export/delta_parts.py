"""Chunks as commits of a Delta table, each exactly once: its name is in the commit, and a chunk that is there stays.

An application's transaction version only says what is newest, so a chunk that overtook another would hide it: each
chunk is an application of its own. Called by `arrow_parts`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tallymark.config.export_options import ExportOptions
from tallymark.errors import ConfigError
from tallymark.export.checkpoint import Chunk
from tallymark.export.spans import Span
from tallymark.io import delta_append, delta_rs
from tallymark.io.folder import Folder
from tallymark.io.objects import ObjectStore, normalise_uri


@dataclass(frozen=True)
class DeltaParts:
    """The chunks of one run in a Delta table."""

    table: Folder
    run_id: str

    @classmethod
    def open(cls, options: ExportOptions, run_id: str, schema: pa.Schema, parts: Folder) -> DeltaParts:
        """Makes the table where it is missing.

        Raises:
            ConfigError: it is partitioned, so the files of a chunk cannot be held against its rows.
        """
        table = replace(parts, uri=normalise_uri(options.to))
        delta_rs.make_table(parts.store, table.uri, schema)
        if options.verify and delta_rs.open_table(parts.store, table.uri).metadata().partition_columns:
            raise ConfigError(f"--verify: the Delta table {options.to} is partitioned, which can only be counted")
        return cls(table, run_id)

    def _name(self, span: Span) -> str:
        return f"tallymark-export/{self.run_id}/{span.number}"

    def files(self, chunk: Chunk) -> Iterator[Path]:
        """Yields local paths of the files that the commit of a chunk added, each valid until the next one."""
        if chunk.bytes:
            for name in delta_append.files_of(self.table.store, self.table.uri, self._name(chunk.span)):
                with self.table.local(name) as path:
                    yield path

    def publish(self, span: Span, path: Path) -> None:
        """Commits a chunk, unless an earlier attempt did.

        Raises:
            IncompleteError: it could not be written.
        """
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            groups: Iterator[pa.RecordBatch] = (
                batch for number in range(file.num_row_groups) for batch in file.read_row_group(number).to_batches()
            )
            delta_append.append_once(
                self.table.store,
                self.table.uri,
                pa.RecordBatchReader.from_batches(schema, groups),
                self._name(span),
            )


def empty(place: str) -> None:
    """Takes all rows out of the table where there is one."""
    delta_append.empty(ObjectStore.from_environment(os.environ), normalise_uri(place))
