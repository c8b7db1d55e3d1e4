"""What is known of a run before it loads or measures anything, and the rows and files that it leaves behind."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

from tallymark.bulkload.statistics import Measured
from tallymark.bulkload.tables import BATCHES, CELLS
from tallymark.io import delta
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import join
from tallymark.runs.bulkload.outputs import RESULTS, STATS, cell_json, write_json, write_stats
from tallymark.runs.bulkload.places import Place
from tallymark.runs.bulkload.sending import Connection
from tallymark.runs.quality.gate import Gate, Written

JUDGED = {"bulkload_batches": BATCHES, "bulkload_cells": CELLS}
"""The tables that rules can be about, and their schemas."""


@dataclass(frozen=True)
class Run:
    """One run of `bulkload`."""

    run_id: str
    run_time: datetime
    out: str
    place: Place
    store: ObjectStore
    gate: Gate

    def file(self, name: str) -> str:
        """Returns the uri of a file in the output folder."""
        return join(self.out, name)

    @property
    def batches_table(self) -> str:
        return delta.table_uri(self.out, "bulkload_batches")

    @property
    def cells_table(self) -> str:
        return delta.table_uri(self.out, "bulkload_cells")

    def make_tables(self) -> None:
        """Makes the Delta tables where they are missing."""
        delta.make_table(self.store, self.batches_table, BATCHES)
        delta.make_table(self.store, self.cells_table, CELLS)

    def add_cell(self, row: Mapping[str, Any], batches: pa.Table | None = None) -> None:
        """Adds the row of one repeat of a cell, and its batches where Spark has not written them."""
        if batches is not None and len(batches):
            delta.append_rows(self.store, self.batches_table, batches)
        delta.append_rows(self.store, self.cells_table, pa.Table.from_pylist([dict(row)], CELLS))

    def cell_head(self, kind: str) -> dict[str, Any]:
        """Returns the columns of CELLS that are the same for every cell of the run."""
        place = self.place
        return {
            "run_id": self.run_id,
            "run_time": self.run_time.isoformat(timespec="seconds"),
            "kind": kind,
            "provider": place.provider,
            "instance_type": place.instance_type,
            "measurement": place.measurement,
        }

    def pass_gate(self, spark: SparkSession, *, incomplete: bool) -> None:
        """Lets the rules judge the rows of the run, before its files are written; raises RefusedError."""
        where = f"{delta.RUN_COLUMN} = '{self.run_id}'"
        written = {name: Written(delta.table_uri(self.out, name), where) for name in JUDGED}
        self.gate.check(spark, self.run_id, self.run_time, written, incomplete=incomplete)

    def provider_fields(self) -> dict[str, Any]:
        place = self.place
        return {
            "run_id": self.run_id,
            "cloud_provider": place.provider,
            "instance_type": place.instance_type,
            "measurement": place.measurement,
        }

    def write_stats(self) -> None:
        """Writes the batches of the run, as the Delta table has them, to the statistics file."""
        with TemporaryDirectory(prefix="tallymark-") as scratch:
            parts = delta.fetch_run(self.store, self.batches_table, self.run_id, Path(scratch))

            def rows() -> Iterator[dict[str, Any]]:
                for batch in delta.stream_rows(parts, BATCHES.names, self.run_id):
                    yield from batch.to_pylist()

            write_stats(self.store, self.file(STATS), self.provider_fields(), rows())

    def write_results(self, chosen: Mapping[str, Any], cells: Sequence[Measured], more: Mapping[str, Any]) -> None:
        """Writes the results file: the chosen cell's figures, then all cells."""
        fields = {**chosen, **self.provider_fields(), **more, "cells": [cell_json(cell) for cell in cells]}
        write_json(self.store, self.file(RESULTS), fields)


def server_facts(connection: Connection) -> dict[str, str]:
    """Returns what a figure depends on beside the cell: server, driver, TLS."""
    row = connection.execute(
        "SELECT current_setting('server_version'), "
        "(SELECT CASE WHEN ssl THEN version || ' ' || cipher ELSE 'off' END FROM pg_stat_ssl "
        "WHERE pid = pg_backend_pid())"
    ).fetchone()
    version, tls = row or ("unknown", "unknown")
    return {"server_version": version, "tls": tls or "off"}


def connections_allowed(connection: Connection) -> int:
    """Returns how many connections a cell can have: this one, the watch and the notes are there already."""
    row = connection.execute("SELECT current_setting('max_connections')::int").fetchone()
    return int(row[0]) - 3 if row else 0


def free_port() -> int:
    """Returns a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
