"""Chunks as commits of a Delta table, each exactly once: its name is in the commit, and a chunk that is there stays.

An application's transaction version only says what is newest, so a chunk that overtook another would hide it: each
chunk is an application of its own. Called by `arrow_parts`.
"""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from tallymark.errors import IncompleteError
from tallymark.export.checkpoint import Chunk
from tallymark.export.spans import Span
from tallymark.io import delta_append
from tallymark.io.folder import Folder
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import normalise_uri


@dataclass(frozen=True)
class DeltaParts:
    """The chunks of one run in a Delta table."""

    table: Folder
    run_id: str

    @classmethod
    def open(cls, place: str, run_id: str, schema: pa.Schema, parts: Folder) -> DeltaParts:
        """Makes the table where it is missing.

        Raises:
            ConfigError: the table that is there cannot take the rows.
        """
        table = replace(parts, uri=normalise_uri(place))
        delta_append.open_plain(table.store, table.uri, schema)
        return cls(table, run_id)

    def _commit(self, span: Span) -> str:
        return f"tallymark-export/{self.run_id}/{span.number}"

    def _file(self, span: Span) -> str:
        return f"part-{span.number:08}-{self.run_id}.parquet"

    def publish(self, span: Span, path: Path, rows: int) -> None:
        """Commits a chunk, unless an earlier attempt did.

        Raises:
            IncompleteError: it could not be written, or that attempt committed other rows.
        """
        file = self._file(span)
        if delta_append.append_once(self.table.store, self.table.uri, path, file, rows, self._commit(span)):
            return
        with self.table.local(file) as there:  # equal rows make equal files
            if not filecmp.cmp(there, path, shallow=False):
                raise IncompleteError(
                    f"chunk {span.number} was committed to {self.table.uri} before the snapshot was lost, and its rows "
                    "have been changed in the source since: a Delta table does not take them back; export into another "
                    "place"
                )

    def files(self, chunk: Chunk) -> Iterator[Path]:
        """Yields a local path of the file of a chunk that has rows.

        Raises:
            IncompleteError: it is not in the table.
        """
        if not chunk.bytes:
            return
        if not delta_append.was_appended(self.table.store, self.table.uri, self._commit(chunk.span)):
            raise IncompleteError(f"the table {self.table.uri} has lost chunk {chunk.span.number}: export again")
        with self.table.local(self._file(chunk.span)) as path:
            yield path


def empty(place: str) -> None:
    """Takes all rows out of the table where there is one."""
    delta_append.empty(ObjectStore.from_environment(os.environ), normalise_uri(place))
