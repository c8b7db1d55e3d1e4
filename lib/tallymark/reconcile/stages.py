"""Names and types of the columns that travel between the stages of a run; `tables` holds those that stay.

Written as Spark DDL types; `columns.arrow_schema` gives the same for the Python tasks.
"""

from __future__ import annotations

from tallymark.columns import arrow_schema as arrow_schema  # noqa: PLC0414 - asked for here

RESIDUE: dict[str, str] = {
    "task": "int",
    "pair": "int",
    "lonely": "boolean",
    "side": "int",
    "hash": "binary",
    "raw": "binary",
    "count": "bigint",
    "ordinal": "bigint",
    "reason": "string",
    "content": "binary",
}
"""`window.Residue` and where it comes from: the task and the number of its pair, and whether it is one object."""

COUNTED: dict[str, str] = {"counts": "binary"}
"""A row of its own, the last one of a task: a JSON list with what was counted for each pair, see `counts`.

The rows of a pair travel packed to the driver: there are as many as objects, and it has listed those.
"""

COMPARED = RESIDUE | {"part": "int", "digests": "binary"} | COUNTED
"""Three kinds of row: residue, packed rows of `digests.ROW` with the number of their part, and counts."""

UNSETTLED: dict[str, str] = {name: RESIDUE[name] for name in ("task", "pair", "side", "count", "ordinal")} | COUNTED
"""Records whose digests met none; they are read again."""

CANONICAL = RESIDUE | COUNTED
"""The same records as residue."""

SETTLED = RESIDUE | dict.fromkeys(("identical", "normalised", "moved", "missing"), "bigint") | COUNTED
"""Residue with how many of its records settled how (`settle`)."""

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
} | COUNTED
"""Mismatches, and counts: the changed records of a pair, or why it could not be read again and has none."""
