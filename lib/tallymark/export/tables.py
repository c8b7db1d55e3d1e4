"""Names, order, types (as in Spark DDL) and meaning of the columns of `export_runs` and `export_chunks`.

The rows are made here from a manifest; `tallymark.runs.export.record` writes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from tallymark.columns import Column

_NO_SNAPSHOT = "where there was no one snapshot"

RUNS: dict[str, str] = {
    "run_id": Column("string", "name of the run; a second run of that name replaces the rows of the first"),
    "run_time": Column("string", "when the export began, ISO 8601 in UTC"),
    "table": Column("string", "table that was exported"),
    "place": Column("string", "folder or file that it went to"),
    "format": Column("string", "csv, jsonl, parquet or delta"),
    "cut_by": Column("string", "what cuts the chunks: keyset, ctid (pages), or nothing (one COPY)"),
    "consistency": Column("string", "snapshot: rows of one moment; per-chunk; mixed: the snapshot was lost"),
    "verified": Column("boolean", "whether each chunk was read again from source and file"),
    "rows": Column("bigint", "rows in the files"),
    "rows_in_snapshot": Column("bigint", "rows in the snapshot, counted by the server; equal to rows", _NO_SNAPSHOT),
    "bytes": Column("bigint", "size of the files, bytes"),
    "chunks": Column("bigint", "rows of the run in export_chunks"),
    "retries": Column("bigint", "attempts after a failed one"),
    "refreshes": Column("bigint", "connections that were made anew"),
    "resumes": Column("bigint", "times that a later process went on with it"),
    "duration_seconds": Column("double", "what the last process took, seconds"),
    "rows_per_second": Column("bigint", "rows / duration_seconds", "without a measured time"),
    "peak_memory_bytes": Column("bigint", "most memory of the process, bytes"),
    "longest_transaction_seconds": Column("double", "longest transaction on the source, seconds"),
    "oldest_xmin_age": Column("bigint", "transactions for which VACUUM was held back on the source", _NO_SNAPSHOT),
    "server": Column("string", "host and port of the source"),
    "server_version": Column("string", "version of PostgreSQL"),
    "tls": Column("boolean", "whether the connection was encrypted"),
    "warnings": Column("array<string>", "what a reader must know beside the figures"),
}
"""One row a finished export."""

CHUNKS: dict[str, str] = {
    "run_id": Column("string", "name of the run"),
    "number": Column("bigint", "number of the chunk, from 1"),
    "part": Column("string", "its file", "without a row, and in a Delta table"),
    "rows": Column("bigint", "rows of the chunk"),
    "rows_wanted": Column("bigint", "batch size when it was planned"),
    "after": Column("string", "key that the chunk begins after, a JSON array of text", "at the table's start"),
    "up_to": Column("string", "last key of the chunk, a JSON array of text", "at the table's end"),
    "bytes": Column("bigint", "size of the file, bytes"),
    "sha256": Column("string", "of the file, in hex", "without a row, and in a Delta table"),
    "source_sha256": Column("string", "of what the source sent, in hex"),
    "attempts": Column("bigint", "attempts that it took"),
    "started": Column("string", "when it began, ISO 8601 in UTC"),
    "seconds": Column("double", "what it took"),
    "memory_bytes": Column("bigint", "memory of the process after it, bytes"),
    "verified": Column("boolean", "whether it was read again from source and file"),
}
"""One row a chunk. Keys are values of records: keep the table as safe as the data."""


def run_row(manifest: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Returns the row of `export_runs`."""
    return {
        **{name: manifest[name] for name in RUNS if name in manifest},
        "run_time": _time(manifest["started"]),
        "place": place,
        "consistency": manifest["consistency"]["achieved"],
        "chunks": len(manifest["chunks"]),
        "duration_seconds": manifest["seconds"],
    }


def chunk_rows(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the rows of `export_chunks`."""
    return [
        {
            **chunk,
            "run_id": manifest["run_id"],
            "after": _position(chunk["after"]),
            "up_to": _position(chunk["up_to"]),
            "started": _time(chunk["started"]),
        }
        for chunk in manifest["chunks"]
    ]


def _position(position: list[str | None] | None) -> str | None:
    return None if position is None else json.dumps(position, ensure_ascii=False)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
