"""Rows and summaries for the report tests: each test states only what it is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pytest

from tallymark.reconcile.result import RunSummary, Totals, Verdict
from tallymark.reconcile.tables import FILES, MISMATCHES

Rows = Callable[..., pa.RecordBatch]
_ARROW = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "double": pa.float64(),
    "array<string>": pa.list_(pa.string()),
}


def _batch(columns: dict[str, str], defaults: dict[str, Any], rows: tuple[dict[str, Any], ...]) -> pa.RecordBatch:
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in columns.items()])
    return pa.RecordBatch.from_pylist([{**defaults, **row} for row in rows], schema=schema)


@pytest.fixture
def mismatches() -> Rows:
    """One batch of mismatch rows; what a row does not name has a plain value."""
    defaults = {
        "hash": "a" * 64,
        "hash_short": "a" * 12,
        "file_path": "day=1/x.json",
        "bucket_type": "source_only",
        "json_content": '{"id":1}',
        "changed_paths": [],
        "count": 1,
        "run_id": "run-1",
        "run_time": "2024-05-06T07:08:09+00:00",
    }
    return lambda *rows: _batch(MISMATCHES, defaults, rows)


@pytest.fixture
def files() -> Rows:
    """One batch of file rows; what a row does not name is a file whose one record matches."""
    defaults = {
        "file_path": "day=1/x.json",
        **{name: 0 for name, kind in FILES.items() if kind == "bigint"},
        "source_records": 1,
        "backup_records": 1,
        "matched_records": 1,
        "match_rate": 100.0,
        "proof": "compare",
        "status": "MATCH",
        "source_path": "day=1/x.json",
        "backup_path": "day=1/x.json",
        "run_id": "run-1",
        "run_time": "2024-05-06T07:08:09+00:00",
    }
    return lambda *rows: _batch(FILES, defaults, rows)


@pytest.fixture
def different() -> RunSummary:
    """A run with 5 changed, 7 missing and 2 moved of 1,000 records."""
    totals = Totals(
        files=3,
        files_matched=1,
        files_different=2,
        source_records=1000,
        backup_records=997,
        matched_records=986,
        mismatched_records=5,
        missing_in_backup=7,
        missing_in_source=4,
        moved_out=2,
        moved_in=2,
        identical_records=980,
        normalised_records=6,
    )
    return RunSummary(
        run_id="run-1",
        run_time=datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone.utc),
        source="s3://a/x/",
        backup="s3://b/y/",
        out="./out",
        settings={"threshold": 100, "ignore": ["$.seen"]},
        verdict=Verdict.DIFFERENT,
        totals=totals,
        proofs={"compare": 2, "identical": 1},
        worst_files=[
            {
                "file_path": "day=1/x.json",
                "mismatched_records": 5,
                "missing_in_backup": 7,
                "missing_in_source": 0,
                "match_rate": 98.8,
            }
        ],
        errors=[],
        changed_paths={"$.a": 2, "$.b": 3},
        warnings=["the backup has versioning switched off"],
        canonical_version=1,
        duration_seconds=12.5,
    )


@pytest.fixture
def matching(different: RunSummary) -> RunSummary:
    """A run in which all 3 records of one file match."""
    totals = Totals(
        files=1, files_matched=1, source_records=3, backup_records=3, matched_records=3, identical_records=3
    )
    return replace(different, totals=totals, verdict=Verdict.MATCH, worst_files=[], changed_paths={}, warnings=[])
