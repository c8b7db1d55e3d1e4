"""Limits below a path: exact, each by itself, over the files that were compared."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tallymark.reconcile.limits import Limit, Tally
from tallymark.reconcile.stages import arrow_schema
from tallymark.reconcile.tables import FILES


def tally(limit: Limit, *files: dict[str, Any]) -> Tally:
    counted = Tally(limit)
    for row in files:
        plain = {"file_path": "north/a", "status": "DIFFERENT", "moved_out": 0}
        counted.add(pa.RecordBatch.from_pylist([plain | row], arrow_schema(FILES)))
    return counted


def found(limit: Limit, *files: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(breach.limit, breach.allowed, breach.found) for breach in tally(limit, *files).breaches()]


MANY = {"source_records": 3_000_000, "backup_records": 3_000_000, "matched_records": 2_999_999}


@pytest.mark.parametrize(
    ("rate", "breaches"),
    [("99.99996", []), ("99.99997", [("match_rate", "99.99997 %", "99.9999 %")]), ("0", [])],
)
def test_a_rate_is_compared_exactly_and_shown_cut(rate: str, breaches: list[tuple[str, str, str]]) -> None:
    """2,999,999 of 3,000,000 are 99.999966... percent."""
    assert found(Limit("north/", match_rate=Decimal(rate)), MANY) == breaches


def test_moved_records_are_found_and_all_three_ways_to_differ_count() -> None:
    moved = {"source_records": 2, "backup_records": 1, "matched_records": 1, "moved_out": 1}
    bad = {"mismatched_records": 1, "missing_in_backup": 2, "missing_in_source": 4}

    assert found(Limit("north/", match_rate=Decimal(100), mismatches=0), moved) == []
    assert found(Limit("north/", mismatches=7), bad) == []
    assert found(Limit("north/", mismatches=6), bad) == [("mismatches", "6", "7")]


def test_only_the_files_below_the_path_count_and_of_these_only_what_was_compared() -> None:
    missing = {"status": "MISSING_IN_BACKUP"}
    elsewhere = {"file_path": "northern"} | missing
    counted = tally(Limit("north/", missing_files=1), missing, missing, elsewhere, {"status": "LEFT_ALONE"})

    assert counted.files == 2
    assert [breach.found for breach in counted.breaches()] == ["2"]
    assert tally(Limit("north/"), {"status": "LEFT_ALONE"}).files == 0


def test_a_path_without_any_record_is_beyond_no_rate() -> None:
    assert found(Limit("north/", match_rate=Decimal(100))) == []
