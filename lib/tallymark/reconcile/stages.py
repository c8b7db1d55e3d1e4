"""Names and types of the columns that travel between the stages of a run; `tables` holds those that stay.

Written as Spark DDL types; `arrow_schema` gives the same for the Python tasks.
"""

from __future__ import annotations

import pyarrow as pa

RESIDUE: dict[str, str] = {
    "task": "int",
    "pair": "int",
    "side": "int",
    "hash": "binary",
    "raw": "binary",
    "count": "bigint",
    "ordinal": "bigint",
    "reason": "string",
    "content": "binary",
}
"""`window.Residue` and where it comes from: the task and the number of its pair."""

COUNTS: dict[str, str] = {
    "file_path": "string",
    "source_path": "string",
    "backup_path": "string",
    "source_bytes": "bigint",
    "backup_bytes": "bigint",
    "source_records": "bigint",
    "backup_records": "bigint",
    "identical_records": "bigint",
    "normalised_records": "bigint",
    "invalid_source": "bigint",
    "invalid_backup": "bigint",
    "proof": "string",
    "error": "string",
}
"""What the comparing task counted for one pair."""

COMPARED = RESIDUE | COUNTS
"""Both kinds of row of the comparing stage: `file_path` is null in residue, `hash` is null in counts."""

LEFTOVERS = ("task", "pair", "side", "hash", "count", "ordinal", "reason", "content")
"""What nothing settled; ``count`` is how many of the equal records."""

READ: dict[str, str] = {name: RESIDUE[name] for name in LEFTOVERS} | {"key": "binary", "error": "string"}
"""Leftovers with their content and the values of the key (null without one); or a pair that could not be read."""

EXPLAINED: dict[str, str] = {
    "pair": "int",
    "hash": "string",
    "hash_short": "string",
    "file_path": "string",
    "bucket_type": "string",
    "json_content": "string",
    "backup_content": "string",
    "changed_paths": "array<string>",
    "count": "bigint",
    "reason": "string",
    "error": "string",
}
"""Mismatches; or, where ``error`` is given, a pair that could not be read again and has none."""

_ARROW = {
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "array<string>": pa.list_(pa.string()),
}


def arrow_schema(columns: dict[str, str]) -> pa.Schema:
    """Returns the Arrow schema of columns given as DDL types."""
    return pa.schema([(name, _ARROW[kind]) for name, kind in columns.items()])
