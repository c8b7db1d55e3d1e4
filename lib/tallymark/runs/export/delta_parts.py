"""Chunks as commits of a Delta table, each exactly once: its name is in the commit, and a chunk that is there stays.

An application's transaction version only says what is newest, so a chunk that overtook another would hide it: each
chunk is an application of its own. Called by `arrow_parts`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tallymark.export.spans import Span
from tallymark.io import delta_append, delta_rs
from tallymark.io.objects import ObjectStore, normalise_uri


@dataclass(frozen=True)
class DeltaParts:
    """The chunks of one run in a Delta table."""

    store: ObjectStore
    uri: str
    run_id: str

    @classmethod
    def open(cls, place: str, run_id: str, schema: pa.Schema) -> DeltaParts:
        """Makes the table where it is missing."""
        store, uri = ObjectStore.from_environment(os.environ), normalise_uri(place)
        delta_rs.make_table(store, uri, schema)
        return cls(store, uri, run_id)

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
                self.store,
                self.uri,
                pa.RecordBatchReader.from_batches(schema, groups),
                f"tallymark-export/{self.run_id}/{span.number}",
            )


def empty(place: str) -> None:
    """Takes all rows out of the table where there is one."""
    delta_append.empty(ObjectStore.from_environment(os.environ), normalise_uri(place))
