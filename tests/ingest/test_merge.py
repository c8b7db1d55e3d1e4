"""What is new in an hour: T5. The merge is the plain definition, a dictionary of first rows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tallymark.ingest.merge import Merge, Settled

SCHEMA = pa.schema([("key", pa.string()), ("position", pa.int64()), ("body", pa.string()), ("more", pa.string())])
CONTENT = ("body", "more")
Row = dict[str, Any]


def row(key: str, position: int, body: str | None = "x", more: str | None = None) -> Row:
    return {"key": key, "position": position, "body": body, "more": more}


def merged(rows: list[Row], known: list[Row], cuts: list[int]) -> tuple[list[Row], list[Row], Settled, list[Any]]:
    """New rows, conflicts, counts, and the ranges that were asked for."""
    table = pa.Table.from_pylist(known, SCHEMA).drop_columns("position")
    asked: list[tuple[str, str]] = []
    conflicts: list[Row] = []

    def of_table(low: str, high: str) -> pa.Table:
        asked.append((low, high))
        within = [low <= first["key"] <= high for first in known]
        return table.filter(pa.array(within, pa.bool_()))

    edges = sorted({0, *cuts, len(rows)})
    batches = [pa.RecordBatch.from_pylist(rows[start:end], SCHEMA) for start, end in pairwise(edges)]
    merge = Merge(of_table, CONTENT, conflicts.append)
    return [new for batch in merge.new_rows(batches) for new in batch.to_pylist()], conflicts, merge.settled, asked


def test_three_copies_and_two_more_of_a_known_row_are_duplicates() -> None:
    """T5."""
    rows = [row("a", 1), row("a", 2), row("a", 3), row("b", 4), row("b", 5)]

    new, conflicts, settled, _ = merged(rows, [row("b", 0)], [])
    assert new == [row("a", 1)]
    assert conflicts == []
    assert settled == Settled(rows=5, new=1, duplicates=4, conflicts=0)


def test_the_same_id_with_another_body_is_a_conflict_and_the_first_is_kept() -> None:
    """T5: against the table, within a batch, and across two."""
    rows = [row("a", 1, "new"), row("b", 2), row("b", 3, "y"), row("b", 4), row("b", 5, None)]

    for cuts in ([], [3], [1, 2, 3, 4]):
        new, conflicts, settled, _ = merged(rows, [row("a", 0, "old")], cuts)
        assert new == [row("b", 2)]
        assert conflicts == [row("a", 1, "new"), row("b", 3, "y"), row("b", 5, None)]
        assert settled == Settled(rows=5, new=1, duplicates=1, conflicts=3)


def test_every_column_of_the_content_counts_and_null_is_not_empty() -> None:
    rows = [row("a", 1, "x", None), row("a", 2, "x", ""), row("a", 3, "x", None)]

    assert merged(rows, [], [])[1] == [row("a", 2, "x", "")]


def test_without_content_there_is_no_conflict() -> None:
    """The quarantine: a digest says it all."""
    merge = Merge(lambda *_: pa.table({"key": pa.array(["b"])}), (), conflict=lambda _: None)
    batch = pa.RecordBatch.from_pydict({"key": ["a", "a", "b"], "reason": ["x", "y", "z"]})

    assert [new.to_pylist() for new in merge.new_rows([batch])] == [[{"key": "a", "reason": "x"}]]
    assert merge.settled == Settled(rows=3, new=1, duplicates=2, conflicts=0)


def test_the_table_is_asked_for_the_keys_of_each_batch() -> None:
    rows = [row("a", 1), row("b", 2), row("b", 3), row("d", 4)]

    assert merged(rows, [], [2])[3] == [("a", "b"), ("b", "d")]


keys = st.sampled_from(["", "a", "aa", "b", "é", "😀", "\uffff"])
bodies = st.sampled_from([None, "", "x", "y"])
some_rows = st.lists(st.tuples(keys, bodies, bodies), max_size=25)


def plain(rows: list[Row], known: list[Row]) -> tuple[list[Row], list[Row], Settled]:
    """The plain definition."""
    first = {row["key"]: row for row in known}
    new, conflicts, duplicates = [], [], 0
    for found in rows:
        kept = first.setdefault(found["key"], found)
        if kept is found:
            new.append(found)
        elif all(kept[name] == found[name] for name in CONTENT):
            duplicates += 1
        else:
            conflicts.append(found)
    return new, conflicts, Settled(len(rows), len(new), duplicates, len(conflicts))


@given(some_rows, some_rows, st.lists(st.integers(0, 25), max_size=6))
def test_the_merge_is_a_dictionary_of_first_rows(came: list[Any], before: list[Any], cuts: list[int]) -> None:
    """For any batches cut anywhere, any known rows, and keys that repeat across the cuts."""
    rows = sorted((row(key, at, *body) for at, (key, *body) in enumerate(came)), key=lambda each: each["key"].encode())
    known = list({key: row(key, -1, *body) for key, *body in before}.values())

    found = merged(rows, known, [min(cut, len(rows)) for cut in cuts])
    assert found[:3] == plain(rows, known)
