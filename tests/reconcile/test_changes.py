"""Which leftovers of a pair are one record in two versions."""

from __future__ import annotations

import random

from tallymark.reconcile.canonical import CanonicalForm, record_hash
from tallymark.reconcile.changes import Leftover, Mismatch, find_changes
from tallymark.reconcile.json_path import parse_path
from tallymark.reconcile.window import BACKUP, SOURCE


def leftover(side: int, content: bytes, count: int = 1, reason: str | None = None) -> Leftover:
    return Leftover(side, record_hash(content), count, reason, content)


def found(
    source: list[bytes], backup: list[bytes], key: tuple[str, ...] = (), form: CanonicalForm | None = None
) -> list[tuple[str, bytes | None, bytes | None, tuple[str, ...]]]:
    leftovers = [leftover(SOURCE, content) for content in source] + [leftover(BACKUP, content) for content in backup]
    random.Random(1).shuffle(leftovers)
    return [
        (row.bucket_type, row.source, row.backup, row.changed_paths)
        for row in find_changes(leftovers, key, form or CanonicalForm())
    ]


A = b'{"id":1,"v":"a","w":[1,2],"x":{"y":1}}'
B = b'{"id":2,"v":"b","w":[1,2],"x":{"y":1}}'


def test_the_nearest_leftover_is_the_other_version() -> None:
    changed = A.replace(b'"y":1', b'"y":2')

    assert found([A, B], [changed]) == [("changed", A, changed, ("$.x.y",)), ("source_only", B, None, ())]


def test_a_record_that_shares_half_of_its_fields_is_another_record() -> None:
    assert [kind for kind, *_ in found([b'{"a":1,"b":1}'], [b'{"a":1,"b":2}'])] == ["backup_only", "source_only"]


def test_a_key_ties_records_that_share_nothing_else() -> None:
    source, backup = b'{"id":1,"v":"a"}', b'{"v":"z","id":1.0}'

    assert found([source], [backup], ("$.id",)) == [("changed", source, backup, ("$.v",))]


def test_with_a_key_nothing_else_ties() -> None:
    backup = A.replace(b'"id":1', b'"id":9')

    assert [kind for kind, *_ in found([A], [backup], ("$.id",))] == ["backup_only", "source_only"]


def test_records_without_the_key_are_not_tied() -> None:
    """B6: nothing equals nothing only by its content."""
    assert [kind for kind, *_ in found([b'{"v":1}'], [b'{"v":2}'], ("$.id",))] == ["backup_only", "source_only"]


def test_copies_are_tied_as_often_as_both_sides_have_them() -> None:
    changed = A.replace(b'"a"', b'"z"')
    rows = find_changes([leftover(SOURCE, A, 5), leftover(BACKUP, changed, 3)], (), CanonicalForm())

    assert [(row.bucket_type, row.count) for row in rows] == [("changed", 3), ("source_only", 2)]


def test_an_invalid_record_is_never_a_version_of_another() -> None:
    rows = find_changes(
        [leftover(SOURCE, b'{"a":1', 1, "INVALID_JSON"), leftover(BACKUP, b'{"a":1}')], (), CanonicalForm()
    )

    assert rows == [
        Mismatch("backup_only", record_hash(b'{"a":1}'), 1, None, b'{"a":1}', (), None),
        Mismatch("source_only", record_hash(b'{"a":1'), 1, b'{"a":1', None, (), "INVALID_JSON"),
    ]


def test_ignored_paths_are_no_change() -> None:
    changed = A.replace(b'"y":1', b'"y":2').replace(b'"v":"a"', b'"v":"z"')
    form = CanonicalForm(ignore=(parse_path("$.v"),))

    assert found([A], [changed], form=form) == [("changed", A, changed, ("$.x.y",))]
