"""Keeps a finished export below ``--out``: the report as JSON and text, its rows in `export_runs` and `export_chunks`.

Called by `jobs/export.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tallymark.config.export_options import ExportOptions
from tallymark.export.tables import CHUNKS, RUNS, chunk_rows, run_row
from tallymark.io.folder import Folder
from tallymark.io.objects import ObjectStore, join, normalise_uri
from tallymark.report.export_text import lines
from tallymark.runs.apart import apart
from tallymark.runs.export.finish import as_json


def record(options: ExportOptions, manifest: Mapping[str, Any]) -> None:
    """Writes both; the rows of a run of the same name are replaced.

    Raises:
        IncompleteError: it could not be written.
    """
    if options.out is None:
        return
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
    import pyarrow as pa

    from tallymark.io import delta

    kinds = {
        "string": pa.string(),
        "bigint": pa.int64(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "array<string>": pa.list_(pa.string()),
    }
    for name, columns, rows in (
        ("export_chunks", CHUNKS, chunk_rows(manifest)),
        ("export_runs", RUNS, [run_row(manifest, place)]),
    ):
        schema = pa.schema([(column, kinds[kind]) for column, kind in columns.items()])
        delta.replace_run(store, delta.table_uri(out, name), manifest["run_id"], pa.Table.from_pylist(rows, schema))
