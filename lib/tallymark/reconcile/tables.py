"""Names, order, types and meaning of the columns of the Delta tables.

The CSV files and the reports are views of these tables and take their columns from here; `docs/tables.md` is made
from here. Types are written as Spark DDL, so that the driver, the executors and the tests read one definition.
"""

from __future__ import annotations

from collections.abc import Mapping

from tallymark.columns import Column
from tallymark.reconcile.stages import RESIDUE

STATUS_MATCH = "MATCH"
STATUS_DIFFERENT = "DIFFERENT"
STATUS_MISSING_IN_BACKUP = "MISSING_IN_BACKUP"
STATUS_MISSING_IN_SOURCE = "MISSING_IN_SOURCE"
STATUS_ERROR = "ERROR"
STATUS_LEFT_ALONE = "LEFT_ALONE"
"""Too young by ``min_age``: neither read nor compared, so it has no counts."""

_UNFINISHED = "until the run is finished"
_OLDER = f"{_UNFINISHED}, or where an older version wrote it"
_NOT_COMPARED = "where the file was not compared"
_NO_OBJECT = "where that side has no such object"


_COUNTED: dict[str, str] = {
    "source_records": "records in the source",
    "backup_records": "records in the backup",
    "matched_records": "records equal on both sides of one file: identical_records + normalised_records",
    "mismatched_records": "changed records: one record in two versions, counted once",
    "missing_in_backup": "source records that no file of the backup has",
    "missing_in_source": "backup records that no file of the source has",
    "match_rate": "100 * (matched_records + moved_out) / the larger of both sides, percent, cut to 4 decimals",
    "moved_out": "source records that another file of the backup has",
    "moved_in": "backup records that another file of the source has",
    "identical_records": "matched records that are equal byte for byte",
    "normalised_records": "matched records that are equal in canonical form only",
    "invalid_source": "source records that are no valid JSON, or repeat a name; compared by their bytes",
    "invalid_backup": "backup records that are no valid JSON, or repeat a name; compared by their bytes",
}


def _counts(null: str, *names: str) -> dict[str, str]:
    """Returns the columns that count records, all without names; those of a run are the sums of its files."""
    counts = {name: Column("bigint", _COUNTED[name], null) for name in names or _COUNTED}
    if "match_rate" in counts:
        counts["match_rate"] = Column("double", _COUNTED["match_rate"], f"{null}, or without a record on either side")
    return {**counts}


_RUN_ID = Column("string", "name of the run; a second run of that name replaces the rows of the first")
_RUN_TIME = Column("string", "when the run began, ISO 8601 in UTC")

FILES: dict[str, str] = {
    "file_path": Column("string", "path below both places; x.json and x.json.gz are one file"),
    **_counts(_NOT_COMPARED),
    "proof": Column(
        "string", "how it was compared: remembered, identical, compare, full, lonely (on one side only), or left_alone"
    ),
    "status": Column(
        "string", "MATCH, DIFFERENT, MISSING_IN_BACKUP, MISSING_IN_SOURCE, ERROR or LEFT_ALONE (not compared)"
    ),
    "error": Column("string", "code and cause", "unless status is ERROR"),
    "source_path": Column("string", "path of the object below the source", _NO_OBJECT),
    "backup_path": Column("string", "path of the object below the backup", _NO_OBJECT),
    "source_bytes": Column("bigint", "size of the object as it is stored, bytes", _NO_OBJECT),
    "backup_bytes": Column("bigint", "size of the object as it is stored, bytes", _NO_OBJECT),
    "run_id": _RUN_ID,
    "run_time": _RUN_TIME,
}
"""One row a run and file (a pair of objects, or one that stands alone)."""

MISMATCHES: dict[str, str] = {
    "hash": Column("string", "SHA-256 of the canonical form, 64 hex digits; of a changed record the source's"),
    "hash_short": Column("string", "its first 12 digits"),
    "file_path": Column("string", "file that holds the record, as in files"),
    "bucket_type": Column("string", "source_only, backup_only or changed"),
    "json_content": Column(
        "string", "the source's version as JSON text, masked where asked for", "where bucket_type is backup_only"
    ),
    "backup_content": Column("string", "the backup's version, alike", "where bucket_type is source_only"),
    "changed_paths": Column("array<string>", "JSONPaths in which the two versions differ; empty unless it is changed"),
    "count": Column("bigint", "how many equal records the row stands for"),
    "reason": Column("string", "why the record is invalid", "where it is valid"),
    "run_id": _RUN_ID,
    "run_time": _RUN_TIME,
}
"""One row a run and record that is changed, or missing on one side."""

RUNS: dict[str, str] = {
    "run_id": _RUN_ID,
    "run_time": _RUN_TIME,
    "status": Column("string", "COMPLETE, or INCOMPLETE (a file could not be compared, or the run is not finished)"),
    "verdict": Column("string", "MATCH, PARTIAL_MATCH, WITHIN_THRESHOLD, DIFFERENT or INCOMPLETE", _UNFINISHED),
    "exit_code": Column("int", "what the job returned: 0, 1 or 3", _UNFINISHED),
    "source": Column("string", "place of the source"),
    "backup": Column("string", "place of the backup"),
    "files": Column("bigint", "rows of the run in files", _UNFINISHED),
    "files_matched": Column("bigint", "of these with status MATCH", _UNFINISHED),
    "files_different": Column("bigint", "of these with status DIFFERENT", _UNFINISHED),
    "files_missing_in_backup": Column("bigint", "of these with status MISSING_IN_BACKUP", _UNFINISHED),
    "files_missing_in_source": Column("bigint", "of these with status MISSING_IN_SOURCE", _UNFINISHED),
    "files_error": Column("bigint", "of these with status ERROR", _UNFINISHED),
    "files_left_alone": Column("bigint", "of these with status LEFT_ALONE", _OLDER),
    "files_left_out": Column("bigint", "files that were listed and have no row, because of only_failed_from", _OLDER),
    **_counts(_UNFINISHED),
    "source_bytes": Column("bigint", "size of all source objects as they are stored, bytes", _UNFINISHED),
    "backup_bytes": Column("bigint", "size of all backup objects as they are stored, bytes", _UNFINISHED),
    "bytes_not_read": Column("bigint", "of both sizes what a proof has spared, or what was left alone, bytes", _OLDER),
    "proof": Column("string", "fast, or full: every record of both sides was read"),
    "canonical_version": Column("int", "version of the canonical form; hashes of different versions do not compare"),
    "settings": Column("string", "options on which the result depends, a JSON object"),
    "warnings": Column("array<string>", "what a reader must know beside the figures", _UNFINISHED),
    "duration_seconds": Column("double", "from the listing to the last report, seconds", _UNFINISHED),
    "fingerprint": Column(
        "string",
        "SHA-256 of the objects in their states and of the settings",
        f"{_UNFINISHED}, or where a state is not certain",
    ),
}
"""One row a run."""


def _object(side: str) -> dict[str, str]:
    """Returns the columns that name an object in the state in which it was listed."""
    null = f"where the {side} has no such object"
    return {
        f"{side}_uri": Column("string", f"object of the {side}", null),
        f"{side}_size": Column("bigint", "its size, bytes", null),
        f"{side}_modified_ns": Column("bigint", "when it was written, ns since 1970", null),
        f"{side}_inode": Column("bigint", "its inode", f"{null}, and on S3"),
        f"{side}_etag": Column(
            "string", "its ETag, and the checksum over all of it where the ETag is no MD5", f"{null}, and in a folder"
        ),
    }


LEDGER: dict[str, str] = {
    "source": Column("string", "place of the source"),
    "backup": Column("string", "place of the backup"),
    "settings": Column("string", "options on which the result of a pair depends, a JSON object"),
    **_object("source"),
    **_object("backup"),
    **_counts(
        "",
        "source_records",
        "backup_records",
        "identical_records",
        "normalised_records",
        "invalid_source",
        "invalid_backup",
    ),
    "proof": Column("string", "how it was compared when it was"),
    "pair": Column("int", "number of the pair in its run; ties the row to ledger_residue"),
    "open": Column("bigint", "its rows in ledger_residue"),
    "contents": Column("bigint", "of these with content"),
    "run_id": Column("string", "run that compared it; ties the row to ledger_residue"),
    "run_time": _RUN_TIME,
}
"""One row a pair of objects and their states: what is not read again while they stay as they are."""

_RESIDUE_MEANINGS = {
    "pair": ("number of the pair in the run", ""),
    "side": ("0: source, 1: backup", ""),
    "hash": ("SHA-256 of the canonical form, 32 bytes", ""),
    "raw": ("16 bytes that stand for the bytes of the record", ""),
    "count": ("how many equal records the row stands for", ""),
    "ordinal": ("position of the first of them in its object", ""),
    "reason": ("why the record is invalid", "where it is valid"),
    "content": ("the record as JSON text", "where it was large, or fields are masked"),
}
LEDGER_RESIDUE: dict[str, str] = {
    **{name: Column(RESIDUE[name], *told) for name, told in _RESIDUE_MEANINGS.items()},
    "run_id": Column("string", "run_id of the row in ledger"),
}
"""One row a record that nothing of its own pair met."""


def ddl(columns: Mapping[str, str]) -> str:
    """Returns the columns as a Spark DDL schema string.

    >>> ddl({"hash": "string", "count": "bigint"})
    'hash string, count bigint'
    """
    return ", ".join(f"{name} {kind}" for name, kind in columns.items())
