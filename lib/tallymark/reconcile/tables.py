"""Names, order and types of the columns of the Delta tables.

The CSV files and the reports are views of these tables and take their columns from here.
Types are written as Spark DDL, so that the driver, the executors and the tests read one definition.
"""

from __future__ import annotations

from tallymark.reconcile.stages import RESIDUE

_COUNTS: dict[str, str] = {
    "source_records": "bigint",
    "backup_records": "bigint",
    "matched_records": "bigint",
    "mismatched_records": "bigint",
    "missing_in_backup": "bigint",
    "missing_in_source": "bigint",
    "match_rate": "double",
    "moved_out": "bigint",
    "moved_in": "bigint",
    "identical_records": "bigint",
    "normalised_records": "bigint",
    "invalid_source": "bigint",
    "invalid_backup": "bigint",
}

FILES: dict[str, str] = {
    "file_path": "string",
    **_COUNTS,
    "proof": "string",
    "status": "string",
    "error": "string",
    "source_path": "string",
    "backup_path": "string",
    "source_bytes": "bigint",
    "backup_bytes": "bigint",
    "run_id": "string",
    "run_time": "string",
}

MISMATCHES: dict[str, str] = {
    "hash": "string",
    "hash_short": "string",
    "file_path": "string",
    "bucket_type": "string",
    "json_content": "string",
    "backup_content": "string",
    "changed_paths": "array<string>",
    "count": "bigint",
    "reason": "string",
    "run_id": "string",
    "run_time": "string",
}

RUNS: dict[str, str] = {
    "run_id": "string",
    "run_time": "string",
    "status": "string",
    "verdict": "string",
    "exit_code": "int",
    "source": "string",
    "backup": "string",
    "files": "bigint",
    "files_matched": "bigint",
    "files_different": "bigint",
    "files_missing_in_backup": "bigint",
    "files_missing_in_source": "bigint",
    "files_error": "bigint",
    **_COUNTS,
    "source_bytes": "bigint",
    "backup_bytes": "bigint",
    "proof": "string",
    "canonical_version": "int",
    "settings": "string",
    "warnings": "array<string>",
    "duration_seconds": "double",
    "fingerprint": "string",
}
"""``fingerprint``: SHA-256 of the objects in their states and of the settings; null where a state is not certain."""

LEDGER: dict[str, str] = {
    "source": "string",
    "backup": "string",
    "settings": "string",
    "source_uri": "string",
    "source_size": "bigint",
    "source_modified_ns": "bigint",
    "source_inode": "bigint",
    "source_etag": "string",
    "backup_uri": "string",
    "backup_size": "bigint",
    "backup_modified_ns": "bigint",
    "backup_inode": "bigint",
    "backup_etag": "string",
    "source_records": "bigint",
    "backup_records": "bigint",
    "identical_records": "bigint",
    "normalised_records": "bigint",
    "invalid_source": "bigint",
    "invalid_backup": "bigint",
    "proof": "string",
    "pair": "int",
    "open": "bigint",
    "contents": "bigint",
    "run_id": "string",
    "run_time": "string",
}
"""One row a pair and state of its objects; it has ``open`` rows in `ledger_residue`, ``contents`` with content."""

LEDGER_RESIDUE: dict[str, str] = {
    **{name: kind for name, kind in RESIDUE.items() if name not in ("task", "lonely")},
    "run_id": "string",
}
"""Records that nothing of their own pair met; found by ``run_id`` and ``pair`` of the row in `ledger`."""


def ddl(columns: dict[str, str]) -> str:
    """Returns the columns as a Spark DDL schema string.

    >>> ddl({"hash": "string", "count": "bigint"})
    'hash string, count bigint'
    """
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())
