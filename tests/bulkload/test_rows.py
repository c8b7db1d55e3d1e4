"""Verdicts on records: what a column cannot hold exactly is rejected, with a code and never with its value."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallymark.bulkload.columns import Column, column_type
from tallymark.bulkload.rows import RowReader
from tallymark.records.json_tree import InvalidRecord


def reader(*kinds: str, nul: str = "reject", zone: str = "UTC", **options: bool) -> RowReader:
    columns = tuple(Column(f"c{n}", f"c{n}", column_type(kind), **options) for n, kind in enumerate(kinds))
    return RowReader(columns, nul, ZoneInfo(zone))


def verdict(kind: str, value: str, nul: str = "reject", zone: str = "UTC") -> object:
    """The value of one column for the JSON text of its field, or the reason."""
    try:
        return reader(kind, nul=nul, zone=zone).read(f'{{"c0":{value}}}'.encode())[0]
    except InvalidRecord as invalid:
        return invalid.reason


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("text", '"a\\u0000b"', "NUL_CHARACTER c0"),
        ("text", '"a\\\\u0000b"', "a\\u0000b"),
        ("jsonb", '{"a":"\\u0000"}', "NUL_CHARACTER c0"),
        ("jsonb", '{"a":"\\\\u0000"}', '{"a":"\\\\u0000"}'),
        ("jsonb", '{"n":1e400,"k":1,"k":2}', '{"n":1e400,"k":1,"k":2}'),
        ("text", '"\\ud800"', "LONE_SURROGATE"),
        ("bigint", "NaN", "NOT_A_NUMBER"),
        ("double precision", "-Infinity", "NOT_A_NUMBER"),
        ("double precision", "1e400", "OUT_OF_RANGE c0"),
        ("double precision", '"NaN"', "NOT_A_NUMBER c0"),
        ("numeric", "1e400", "1e400"),
        ("bigint", "9223372036854775807", 9223372036854775807),
        ("bigint", "9223372036854775808", "OUT_OF_RANGE c0"),
        ("bigint", '"-12"', -12),
        ("integer", "2147483648", "OUT_OF_RANGE c0"),
        ("smallint", "1.0", "NOT_AN_INTEGER c0"),
        ("smallint", '"one"', "NOT_A_NUMBER c0"),
        ("numeric(5,2)", "123.45", "123.45"),
        ("numeric(5,2)", "123.450", "123.450"),
        ("numeric(5,2)", "1234", "OUT_OF_RANGE c0"),
        ("numeric(5,2)", "0.001", "TOO_MANY_DIGITS c0"),
        ("numeric(2,2)", "0.25", "0.25"),
        ("numeric(2,2)", "1", "OUT_OF_RANGE c0"),
        ("numeric(20,2)", '"' + "9" * 40 + '"', "OUT_OF_RANGE c0"),
        ("varchar(2)", '"가나"', "가나"),
        ("varchar(2)", '"abc"', "TOO_LONG c0"),
        ("text", "12", "12"),
        ("text", '{"a": 1}', '{"a": 1}'),
        ("boolean", "true", True),
        ("boolean", '"yes"', "NOT_A_BOOLEAN c0"),
        ("date", '"20260228"', "2026-02-28"),
        ("date", '"2026-02-29"', "INVALID_DATE c0"),
        ("timestamp", '"0001-01-01 00:00"', "0001-01-01 00:00:00.000000"),
        ("timestamp", '"2026-01-01T00:00:00Z"', "INVALID_TIME c0"),
        ("timestamptz", '"9999-12-31T23:59:59.999999Z"', "9999-12-31 23:59:59.999999Z"),
        ("timestamptz", '"infinity"', "infinity"),
        ("timestamptz", '"2026-01-01 09:00:00+09"', "2026-01-01 00:00:00.000000Z"),
        ("timestamptz", '"0001-01-01T00:00:00+05:00"', "INVALID_TIME c0"),
        ("uuid", '"12345678-1234-1234-1234-1234567890AB"', "12345678-1234-1234-1234-1234567890ab"),
        ("uuid", '"12345678"', "INVALID_UUID c0"),
    ],
)
def test_a_value_is_held_exactly_or_its_record_is_rejected(kind: str, value: str, expected: object) -> None:
    assert verdict(kind, value) == expected


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b'{"c0":1,"c0":2}', "DUPLICATE_KEY"),
        (b'{"c0":1,"x":1,"x":1}', None),
        (b'{"c0":"a:b","n":{"c0":1}}', None),
        (b'{"c0":1', "INVALID_JSON"),
        (b"[1]", "NOT_AN_OBJECT"),
        (b'{"c0":"\xff"}', "INVALID_UTF8"),
        (b'{"x":"\xff"}', "INVALID_UTF8"),
    ],
)
def test_a_record_is_one_json_object_without_a_repeated_name(record: bytes, reason: str | None) -> None:
    """A repeated name that no column takes does no harm."""
    found = [one.reason for one in reader("text").read_all([record]).rejected]

    assert found == ([] if reason is None else [reason])


@pytest.mark.parametrize(("nul", "expected"), [("strip", "ab"), ("replace", "a\ufffdb")])
def test_a_nul_is_stripped_or_replaced_where_that_is_wanted(nul: str, expected: str) -> None:
    assert verdict("text", '"a\\u0000b"', nul=nul) == expected
    assert json.loads(str(verdict("jsonb", '{"k":"a\\u0000b"}', nul=nul))) == {"k": expected}
    assert json.loads(str(verdict("jsonb", '"\\u0000\\u0000\\\\u0000"', nul="strip"))) == "\\u0000"


def test_times_without_a_zone_are_of_the_given_one_also_where_the_clock_was_turned() -> None:
    """In New York 02:30 on 8 March 2026 did not exist, and 01:30 on 1 November came twice."""
    assert verdict("timestamptz", '"2026-10-01 09:00:00"', zone="Asia/Seoul") == "2026-10-01 00:00:00.000000Z"
    assert verdict("timestamptz", '"2026-03-08 02:30:00"', zone="America/New_York") == "2026-03-08 07:30:00.000000Z"
    assert verdict("timestamptz", '"2026-11-01 01:30:00"', zone="America/New_York") == "2026-11-01 05:30:00.000000Z"


def test_null_missing_and_empty_are_told_apart() -> None:
    plain = reader("text", "bigint")
    empty_is_null = reader("text", "bigint", empty_is_null=True)
    required = reader("text", "bigint", required=True)

    assert plain.read(b'{"c0":"","c1":null}') == ["", None]
    assert empty_is_null.read(b'{"c0":"","c1":""}') == [None, None]
    with pytest.raises(InvalidRecord, match="MISSING c1"):
        required.read(b'{"c0":""}')


def test_rejected_records_keep_their_place_and_their_bytes() -> None:
    rows = reader("smallint").read_all([b'{"c0":1}', b'{"c0":70000}', b'{"c0":3}'])

    assert rows.batch.to_pydict() == {"c0": [1, 3]}
    assert list(rows.ordinals) == [0, 2]
    assert [(one.ordinal, one.reason, one.record) for one in rows.rejected] == [(1, "OUT_OF_RANGE c0", b'{"c0":70000}')]


KINDS = ("smallint", "bigint", "double precision", "boolean", "text", "varchar(3)", "numeric(6,2)", "numeric", "date",
         "timestamp", "timestamptz", "jsonb", "uuid")  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=4)
    | st.sampled_from(["2026-01-02", "2026-01-02 03:04:05", "infinity", "12.5", "1e5", "-0", "\0", ""])
)  # fmt: skip


@given(st.lists(SCALARS | st.lists(SCALARS, max_size=2), min_size=len(KINDS), max_size=len(KINDS)), st.booleans())
def test_the_quick_way_gives_what_the_exact_way_gives(values: list[object], ascii_only: bool) -> None:
    columns = reader(*KINDS, empty_is_null=True)
    record = json.dumps({f"c{n}": value for n, value in enumerate(values)}, ensure_ascii=ascii_only).encode()

    assert result(columns.read, record) == result(columns.read_exactly, record)


def result(read: object, record: bytes) -> object:
    try:
        return read(record)  # type: ignore[operator]
    except InvalidRecord as invalid:
        return invalid.reason
