"""All Delta tables that the jobs write: job, name, partitions, columns. The one list of them.

`tallymark.report.tables_page` describes them, `tallymark.runs.maintain` looks after them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from tallymark.bulkload import tables as bulkload
from tallymark.columns import arrow_schema
from tallymark.export import tables as export
from tallymark.ingest import tables as ingest
from tallymark.reconcile import tables as reconcile

_BY_RUN = ("run_id",)


@dataclass(frozen=True)
class DeltaTable:
    """A table of a job, in `OUT/delta/NAME`; ``holds`` says what a row is."""

    job: str
    name: str
    schema: pa.Schema
    partition_by: Sequence[str]
    holds: str

    @property
    def sql_name(self) -> str:
        """The name that it gets in a catalogue, where the tables of all jobs are neighbours.

        >>> DeltaTable("ingest", "runs", pa.schema([]), (), "").sql_name
        'ingest_runs'
        >>> DeltaTable("export", "export_runs", pa.schema([]), (), "").sql_name
        'export_runs'
        """
        return self.name if self.name.startswith(f"{self.job}_") else f"{self.job}_{self.name}"


TABLES = (
    DeltaTable("reconcile", "runs", arrow_schema(reconcile.RUNS), _BY_RUN, "one row a run"),
    DeltaTable("reconcile", "files", arrow_schema(reconcile.FILES), _BY_RUN, "one row a run and file"),
    DeltaTable(
        "reconcile", "mismatches", arrow_schema(reconcile.MISMATCHES), _BY_RUN,
        "one row a run and record that is changed, or missing on one side",
    ),
    DeltaTable(
        "reconcile", "ledger", arrow_schema(reconcile.LEDGER), _BY_RUN,
        "one row a file and state of its objects: what is not read again while they stay as they are",
    ),
    DeltaTable(
        "reconcile", "ledger_residue", arrow_schema(reconcile.LEDGER_RESIDUE), _BY_RUN,
        "one row a record that nothing of its own file met; belongs to ledger",
    ),
    DeltaTable("ingest", "runs", ingest.RUNS, (), "one row a run"),
    DeltaTable("ingest", "logs", ingest.LOGS, ingest.PARTITION, "one row a record, in the hour that it belongs to"),
    DeltaTable(
        "ingest", "quarantine", ingest.QUARANTINE, (), "one row an item that is no good record, never in plaintext"
    ),
    DeltaTable("bulkload", "bulkload_cells", bulkload.CELLS, _BY_RUN, "one row a repeat of a cell, or a load"),
    DeltaTable("bulkload", "bulkload_batches", bulkload.BATCHES, _BY_RUN, "one row a statement that carried rows"),
    DeltaTable("export", "export_runs", arrow_schema(export.RUNS), _BY_RUN, "one row a finished export"),
    DeltaTable(
        "export", "export_chunks", arrow_schema(export.CHUNKS), _BY_RUN,
        "one row a chunk. Keys are values of records: keep it as safe as the data",
    ),
)  # fmt: skip
