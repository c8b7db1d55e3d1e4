"""Lines of many rows: byte for byte those of the rows one by one."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallymark.ingest.compact import Dictionary, compact, plain
from tallymark.ingest.lines import lines_of
from tallymark.ingest.tables import LOGS

DICTIONARY = Dictionary({"GET": 1, "POST": 2}, {"/api/products/product/": 1})
ROW: dict[str, Any] = {
    "record_id": "r1",
    "user_id": "ab" * 32,
    "method": "GET",
    "url": "/api/products/product/",
    "inDate": "2023-03-17T14:01:02.123456",
    "extra": None,
    "not_text": None,
}
SCHEMA = pa.schema([LOGS.field(name) for name in ROW])


def lines(rows: list[dict[str, Any]], dictionary: Dictionary | None) -> bytes:
    return bytes(lines_of(pa.RecordBatch.from_pylist(rows, SCHEMA), dictionary))


def test_a_usual_row_becomes_its_compact_line() -> None:
    short = "q6urq6urq6urq6urq6urqw"
    assert lines([ROW, ROW | {"method": "PUT", "url": '/"'}], DICTIONARY).decode() == (
        f'{{"record_id":"r1","user_id":"{short}{short}","method":1,"url":1,"inDate":"230317140102123456"}}\n'
        f'{{"record_id":"r1","user_id":"{short}{short}","method":"PUT","url":"/\\"","inDate":"230317140102123456"}}\n'
    )


def test_a_usual_row_becomes_its_plain_line() -> None:
    assert json.loads(lines([ROW], None)) == {name: value for name, value in ROW.items() if value is not None}


@pytest.mark.parametrize("dictionary", [DICTIONARY, None], ids=["compact", "plain"])
@pytest.mark.parametrize(
    "changed",
    [
        {"record_id": 'a"b'},
        {"record_id": "a\\b"},
        {"record_id": "a\nb"},
        {"record_id": "\x7f\u2028ü"},
        {"user_id": None},
        {"method": None},
        {"url": None, "user_id": "=x"},
        {"inDate": "2023-03-17T14:01:02"},
        {"inDate": "1679061662", "not_text": '{"inDate": "1679061662"}'},
        {"extra": [("status", "200"), ("agent", "null")]},
        {"user_id": "ab" * 22},
    ],
)
def test_what_is_not_usual_is_written_in_its_place_as_it_is_alone(
    changed: dict[str, Any], dictionary: Dictionary | None
) -> None:
    rows = [ROW | {"record_id": "first"}, ROW | changed, ROW | {"record_id": "last"}]
    alone = [plain(row) if dictionary is None else compact(row, dictionary) for row in rows]
    assert lines(rows, dictionary) == b"".join(line + b"\n" for line in alone)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(
    ["GET", "/api/products/product/", "ab" * 32]
)
ROWS = st.fixed_dictionaries(
    {
        "record_id": TEXTS,
        "user_id": st.none() | TEXTS,
        "method": st.none() | TEXTS,
        "url": st.none() | TEXTS,
        "inDate": TEXTS | st.datetimes().map(lambda time: f"{time:%Y-%m-%dT%H:%M:%S.%f}"),
        "extra": st.none() | st.just([("b", "1"), ("a", "[2]")]),
        "not_text": st.none() | st.just('{"record_id": "5"}'),
    }
)


@given(st.lists(ROWS, max_size=5), st.booleans())
def test_many_rows_are_the_rows_one_by_one(rows: list[dict[str, Any]], is_compact: bool) -> None:
    alone = [compact(row, DICTIONARY) if is_compact else plain(row) for row in rows]
    assert lines(rows, DICTIONARY if is_compact else None) == b"".join(line + b"\n" for line in alone)
