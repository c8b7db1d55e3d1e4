"""Keeps a finished export below ``--out``: the report as JSON and text, its rows in `export_runs` and `export_chunks`.

Called by `jobs/export.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tallymark.columns import arrow_schema
from tallymark.config.export_options import ExportOptions
from tallymark.export.tables import CHUNKS, RUNS, chunk_rows, run_row
from tallymark.io.folder import Folder
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import join, normalise_uri
from tallymark.runs.apart import apart
from tallymark.runs.export.finish import as_json


def record(options: ExportOptions, manifest: Mapping[str, Any]) -> None:
    """Writes both; the rows of a run of the same name are replaced.

    Raises:
        IncompleteError: it could not be written.
    """
    if options.out is None:
        return
    from tallymark.report.export_text import lines  # brings rich, which the Python call does without

    out, store = normalise_uri(options.out), ObjectStore.from_environment(os.environ)
    folder = Folder.at(store, join(out, f"runs/{manifest['run_id']}"))
    folder.write("report.json", as_json(dict(manifest)))
    folder.write("report.txt", ("\n".join(lines(manifest, options.to)) + "\n").encode())
    folder.close()

    def write() -> None:
        _write_tables(store, out, manifest, normalise_uri(options.to))

    # delta-rs needs more memory than the export itself, unless that has used it; then its threads forbid a fork.
    write() if options.format == "delta" else apart(write)


def _write_tables(store: ObjectStore, out: str, manifest: Mapping[str, Any], place: str) -> None:
    write_chunks(store, out, manifest)
    _write(store, out, manifest["run_id"], "export_runs", RUNS, [run_row(manifest, place)])


def write_chunks(store: ObjectStore, out: str, manifest: Mapping[str, Any]) -> None:
    """Writes the rows of `export_chunks`, which count only where the run has a row in `export_runs`."""
    _write(store, out, manifest["run_id"], "export_chunks", CHUNKS, chunk_rows(manifest))


def _write(
    store: ObjectStore, out: str, run_id: str, name: str, columns: Mapping[str, str], rows: list[dict[str, Any]]
) -> None:
    import pyarrow as pa

    from tallymark.io import delta

    table = pa.Table.from_pylist(rows, arrow_schema(columns))
    delta.replace_run(store, delta.table_uri(out, name), run_id, table)
