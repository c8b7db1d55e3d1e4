"""Names, order and types (as in Spark DDL) of the columns of the Delta tables `export_runs` and `export_chunks`.

The rows are made here from a manifest; `tallymark.runs.export.record` writes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

RUNS: dict[str, str] = {
    "run_id": "string",
    "run_time": "string",
    "table": "string",
    "place": "string",
    "format": "string",
    "cut_by": "string",
    "consistency": "string",
    "verified": "boolean",
    "rows": "bigint",
    "rows_in_snapshot": "bigint",
    "bytes": "bigint",
    "chunks": "bigint",
    "retries": "bigint",
    "refreshes": "bigint",
    "resumes": "bigint",
    "duration_seconds": "double",
    "rows_per_second": "bigint",
    "peak_memory_bytes": "bigint",
    "longest_transaction_seconds": "double",
    "oldest_xmin_age": "bigint",
    "server": "string",
    "server_version": "string",
    "tls": "boolean",
    "warnings": "array<string>",
}
"""``run_time``: when it began, ISO 8601 in UTC. ``rows_in_snapshot``: null where there was no one snapshot."""

CHUNKS: dict[str, str] = {
    "run_id": "string",
    "number": "bigint",
    "part": "string",
    "rows": "bigint",
    "rows_wanted": "bigint",
    "after": "string",
    "up_to": "string",
    "bytes": "bigint",
    "sha256": "string",
    "source_sha256": "string",
    "attempts": "bigint",
    "started": "string",
    "seconds": "double",
    "memory_bytes": "bigint",
    "verified": "boolean",
}
"""``after`` (exclusive) and ``up_to`` (inclusive): JSON arrays of the key as text, null at the table's ends;
``rows_wanted``: the batch size.
"""


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
