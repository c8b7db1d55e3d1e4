"""Parquet files of a table by ranges of their key: what is read is what a plain filter gives, or more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallymark.runs.ingest.sorted_rows import SortedRows

SCHEMA = pa.schema([("key", pa.string()), ("body", pa.string())])
OTHER_ORDER = pa.schema([("more", pa.int64()), ("body", pa.string()), ("key", pa.string())])
Keys = list[str]


def write(path: Path, keys: Keys, group: int = 3, **options: Any) -> Path:
    table = pa.table({"key": pa.array(keys, pa.string()), "body": [f"body of {key}" for key in keys]})
    pq.write_table(table, path, row_group_size=group, **options)
    return path


def between(rows: SortedRows, low: str, high: str) -> Keys:
    """The keys in the range, of rows that must all be whole."""
    found = rows.between(low, high)
    assert found.schema == SCHEMA
    assert found["body"].to_pylist() == [f"body of {key}" for key in found["key"].to_pylist()]
    return sorted(key for key in found["key"].to_pylist() if low <= key <= high)


def test_a_range_reads_its_row_groups_and_no_other(tmp_path: Path) -> None:
    rows = SortedRows([write(tmp_path / "a", list("abcdefghi"))], SCHEMA)

    assert rows.between("d", "e")["key"].to_pylist() == ["d", "e", "f"]
    assert rows.between("f", "g")["key"].to_pylist() == list("defghi")
    assert rows.between("x", "z").num_rows == 0


def test_a_row_group_is_read_once_while_ranges_rise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = SortedRows([write(tmp_path / "a", list("abcdef"))], SCHEMA)
    read: list[int] = []
    as_it_is = SortedRows._read

    def noted(self: SortedRows, number: int) -> pa.Table:
        read.append(number)
        return as_it_is(self, number)

    monkeypatch.setattr(SortedRows, "_read", noted)
    for key in "abcdef":
        rows.between(key, key)
    assert read == [0, 1]


def test_a_file_without_statistics_is_read_as_a_whole(tmp_path: Path) -> None:
    """As OPTIMIZE of another tool may leave it."""
    rows = SortedRows([write(tmp_path / "a", list("abcdef"), write_statistics=False)], SCHEMA)

    assert between(rows, "b", "b") == ["b"]
    assert rows.between("b", "b").num_rows == 6


def test_a_key_that_is_too_long_for_statistics_is_found(tmp_path: Path) -> None:
    keys = ["a", "b" * 10_000, "c"]

    assert between(SortedRows([write(tmp_path / "a", keys)], SCHEMA), "b", "b" * 10_001) == [keys[1]]


def test_a_file_that_is_not_sorted_gives_every_row(tmp_path: Path) -> None:
    rows = SortedRows([write(tmp_path / "a", list("ichagbfed"))], SCHEMA)

    assert [between(rows, key, key) for key in "abcdefghi"] == [[key] for key in "abcdefghi"]


def test_columns_are_found_by_name_and_given_in_one_type(tmp_path: Path) -> None:
    path = tmp_path / "a"
    large = pa.schema([("more", pa.int64()), ("body", pa.large_string()), ("key", pa.large_string())])
    pq.write_table(pa.table({"more": [1], "body": ["body of k"], "key": ["k"]}, schema=large), path)

    assert between(SortedRows([path], SCHEMA), "k", "k") == ["k"]


def test_no_files_have_no_rows() -> None:
    assert between(SortedRows([], SCHEMA), "", "\U0010ffff") == []


keys = st.text(st.sampled_from("aéz\uffff😀"), max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(keys, min_size=1, max_size=12), max_size=3), st.lists(keys, min_size=1, max_size=8), st.data())
def test_any_files_give_what_a_plain_filter_gives(
    tmp_path: Path, contents: list[Keys], asked: Keys, data: st.DataObject
) -> None:
    """In the order of UTF-8, which is that of Spark, of Parquet and of code points."""
    paths = []
    for number, content in enumerate(contents):
        is_sorted, known = data.draw(st.booleans()), data.draw(st.booleans())
        found = sorted(content) if is_sorted else content
        paths.append(write(tmp_path / str(number), found, write_statistics=known))
    rows = SortedRows(paths, SCHEMA)
    edges = sorted(asked)

    for low, high in zip(edges, edges[1:] + edges[-1:]):
        expected = sorted(key for content in contents for key in content if low <= key <= high)
        assert between(rows, low, high) == expected
