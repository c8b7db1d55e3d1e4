"""Names, order and types of the columns of the Delta tables `runs`, `files` and `mismatches`.

The CSV files and the reports are views of these tables and take their columns from here.
Types are written as Spark DDL, so that the driver, the executors and the tests read one definition.
"""

from __future__ import annotations

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
}


def ddl(columns: dict[str, str]) -> str:
    """Returns the columns as a Spark DDL schema string.

    >>> ddl({"hash": "string", "count": "bigint"})
    'hash string, count bigint'
    """
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())
