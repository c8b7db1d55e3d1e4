"""What is kept of the mismatches of a run: exact counts by path, and few records of each kind of change."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tallymark.reconcile.evidence import Evidence
from tallymark.reconcile.stages import arrow_schema
from tallymark.reconcile.tables import MISMATCHES


def batch(*rows: dict[str, Any]) -> pa.RecordBatch:
    plain = {"file_path": "a.json", "bucket_type": "changed", "count": 1, "json_content": "{}", "backup_content": "{}"}
    return pa.RecordBatch.from_pylist([plain | row for row in rows], arrow_schema(MISMATCHES))


def test_paths_are_counted_by_records_and_not_by_rows() -> None:
    """A row stands for as many equal records as it counts."""
    seen = Evidence()
    seen.add(batch({"changed_paths": ["$.a"], "count": 5}, {"changed_paths": ["$.a", "$.b"], "count": 2}))
    seen.add(batch({"changed_paths": ["$.a"]}, {"bucket_type": "source_only", "count": 9, "changed_paths": []}))

    assert dict(seen.paths) == {"$.a": 8, "$.b": 2}
    assert dict(seen.alone) == {"$.a": 6}


def test_examples_are_of_different_changes_first_and_hold_missing_ones() -> None:
    seen = Evidence()
    often = [{"changed_paths": ["$.a"], "json_content": f'{{"n":{n}}}'} for n in range(9)]
    lonely: dict[str, Any] = {"bucket_type": "backup_only", "json_content": None, "changed_paths": []}
    seen.add(batch(*often, {"changed_paths": ["$.b"]}, lonely))

    found = seen.examples(4)
    assert [(each.bucket_type, each.changed_paths) for each in found] == [
        ("changed", ("$.a",)),
        ("changed", ("$.b",)),
        ("changed", ("$.a",)),
        ("backup_only", ()),
    ]
    assert [found[0].source, found[2].source] == ['{"n":0}', '{"n":8}']


def test_what_is_kept_does_not_grow_with_the_data() -> None:
    """Millions of rows with thousands of ways to differ leave some hundred records, none of them huge."""
    seen = Evidence()
    for number in range(20):
        rows = [{"changed_paths": [f"$.p{number}_{n % 100}"], "json_content": "x" * n} for n in range(500)]
        seen.add(batch(*rows, *({"bucket_type": "source_only", "changed_paths": []} for _ in range(50))))

    assert len(seen.combinations) == 50
    assert max(map(len, seen.combinations.values())) <= 5
    assert {kind: len(kept) for kind, kept in seen.missing.items()} == {"source_only": 5, "backup_only": 0}
    assert len(seen.paths) == 2_000


def test_a_record_too_large_to_be_read_is_counted_and_not_kept() -> None:
    seen = Evidence()
    seen.add(batch({"changed_paths": ["$.huge"], "json_content": "x" * 99_999, "backup_content": "xx"}))

    assert dict(seen.paths) == {"$.huge": 1}
    assert seen.examples(6) == []
