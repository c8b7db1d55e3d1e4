"""Records that are read by the batch: always what the exact way says of each, and nothing that it would refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallymark.ingest.plaintext import read_fields
from tallymark.ingest.record import to_record
from tallymark.ingest.tables import Rejected
from tallymark.ingest.travelling import TRAVELLING, record_batch
from tallymark.ingest.usual_records import usual_records

RECORD = {"user_id": "u", "record_id": "r", "method": "GET", "url": "/a", "inDate": "2023-03-17T14:01:02.123456"}
Rows = list[dict[str, Any]]


def together(*plains: bytes | None) -> tuple[Rows, list[int]]:
    batches, others = usual_records(plains)
    assert all(batch.schema == TRAVELLING for batch in batches)
    rows = sorted((row for batch in batches for row in batch.to_pylist()), key=lambda row: row["position"])
    assert sorted([*others, *(row["position"] for row in rows)]) == list(range(len(plains)))
    return rows, sorted(others)


def one_by_one(plains: list[bytes], numbers: list[int]) -> Rows:
    records = [(number, to_record(read_fields(plains[number]))) for number in numbers]
    return record_batch(records).to_pylist() if records else []


def python(**changed: Any) -> bytes:
    return repr(RECORD | changed).encode()


def test_a_record_of_the_usual_form_becomes_its_row_in_json_and_in_python() -> None:
    expected = {
        "place": "dt=2023-03-17/hour=14",
        "key": "r",
        "user_id": "u",
        "method": "GET",
        "url": "/a",
        "inDate": "2023-03-17T14:01:02.123456",
        "event_time": 1_679_061_662_123_456,
    }
    rows, others = together(python(), json.dumps(RECORD).encode())

    assert others == []
    nothing = dict.fromkeys(TRAVELLING.names)
    assert rows == [nothing | expected | {"position": 0}, nothing | expected | {"position": 1}]


def test_escapes_of_json_are_read() -> None:
    texts = [json.dumps(RECORD | {"url": "/größe\n\\\U0001f600\0"}), json.dumps(RECORD).replace("url", "\\u0075rl")]
    rows, others = together(*(text.encode() for text in texts))

    assert others == []
    assert [row["url"] for row in rows] == ["/größe\n\\\U0001f600\0", "/a"]


def test_an_id_that_is_a_number_keeps_its_text() -> None:
    rows, others = together(python(record_id=12), python(), python(record_id=9_007_199_254_740_993))

    assert others == []
    assert [(row["key"], row["not_text"]) for row in rows] == [
        ("12", '{"record_id": "12"}'),
        ("r", None),
        ("9007199254740993", '{"record_id": "9007199254740993"}'),
    ]


LEFT = {
    "nothing": b"",
    "no dictionary": b"[" + python() + b"]",
    "two in one text": python(user_id="a") + python(user_id="b"),
    "two halves in one text": python()[:-1].replace(b", 'url'", b"}{'url'") + b"}",
    "another field": python(status="200"),
    "a field twice": python()[:-1] + b", 'url': '/b'}",
    "a field twice in the place of another": python().replace(b"'method'", b"'url'"),
    "another field in the place of one": python().replace(b"'method'", b"'Method'"),
    "a null": python(user_id=None),
    "no id": python(record_id=""),
    "a negative number": python(record_id=-5),
    "a fraction": python(record_id=1.5),
    "a number in the place of a text": python(url=7),
    "an object in the place of a text": python(url={}).replace(b"'GET'", b"'G' 'E'"),
    "an escape": python(url="/\n"),
    "a quote in a text": json.dumps(RECORD | {"url": '/"a"', "record_id": 5}).encode(),
    "a name twice, once escaped": python()[:-1].replace(b"'", b'"').replace(b'"method"', b'"\\u0075rl"') + b"}",
    "half of a pair, escaped": python().replace(b"'", b'"').replace(b"/a", b"\\ud800"),
    "the other half": python().replace(b"'", b'"').replace(b"/a", b"\\udc00"),
    "an escape that is none": python().replace(b"'", b'"').replace(b"/a", b"\\x41"),
    "quotes of both kinds": python(url="/it's"),
    "no UTF-8": python().replace(b"/a", b"\xff"),
    "half of a pair": python().replace(b"/a", b"\xed\xa0\x80"),
    "a control character": python().replace(b"/a", b"\x01"),
    "a time with an offset": python(inDate="2023-03-17T14:01:02.12345Z"),
    "a day that is none": python(inDate="2023-02-30T14:01:02.123456"),
    "an hour that is none": python(inDate="2023-03-17T24:01:02.123456"),
    "another century": python(inDate="1999-03-17T14:01:02.123456"),
    "no time": python(inDate="yesterday"),
    "a comma at the end": python()[:-1] + b",}",
    "what follows the record": python() + b" }",
    "a comment": python()[:-1] + b"/**/}",
}


@pytest.mark.parametrize("plain", LEFT.values(), ids=LEFT)
def test_what_is_not_usual_is_left_to_the_exact_way_and_the_others_come_out_right(plain: bytes) -> None:
    plains = [python(record_id="a"), plain, python(record_id="b")]
    rows, others = together(*plains)

    assert 1 in others
    assert rows == one_by_one(plains, [row["position"] for row in rows])


def test_two_texts_that_are_records_only_together_are_none() -> None:
    text = python()
    assert together(text[:-1], b"}" + text) == ([], [0, 1])
    assert together(text + b"{", text[1:]) == ([], [0, 1])
    for cut in range(2, len(text) - 1):
        assert together(text[:cut] + b"}", b"{" + text[cut:]) == ([], [0, 1])


def test_a_text_that_none_opened_is_left() -> None:
    assert together(None, python())[1] == [0]


TEXTS = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ["/a", "", "'", '"', "{", "}", "None", "null"]
)
TIMES = st.datetimes().map(lambda time: f"{time:%Y-%m-%dT%H:%M:%S.%f}") | st.sampled_from(
    [
        "2023-03-17T14:01:02.123456",
        "2000-01-01T00:00:00.000000",
        "2099-12-31T23:59:59.999999",
        "2024-02-29T00:00:00.000001",
    ]
)
RECORDS = st.fixed_dictionaries(
    {"user_id": TEXTS, "record_id": TEXTS | st.integers(), "method": TEXTS, "url": TEXTS, "inDate": TIMES},
    optional={"more": TEXTS},
)
SHAPES = st.sampled_from(
    [
        lambda record: repr(record).encode("utf-8", "surrogatepass"),
        lambda record: json.dumps(record).encode(),
        lambda record: json.dumps(record, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass"),
        lambda record: json.dumps(dict(reversed(record.items()))).encode(),
    ]
)


@given(st.lists(st.builds(lambda record, shape: shape(record), RECORDS, SHAPES), max_size=4))
def test_the_batch_says_what_the_exact_way_says_of_each(plains: list[bytes]) -> None:
    rows, _ = together(*plains)
    assert rows == one_by_one(plains, [row["position"] for row in rows])


@given(st.integers(0, 150), st.integers(0, 255), st.booleans())
def test_a_byte_that_is_wrong_never_passes_where_the_exact_way_refuses(at: int, byte: int, insert: bool) -> None:
    text = python()
    at %= len(text)
    plains = [python(record_id="a"), text[:at] + bytes([byte]) + text[at + (not insert) :]]
    rows, _ = together(*plains)
    try:
        assert rows == one_by_one(plains, [row["position"] for row in rows])
    except Rejected as cause:
        pytest.fail(f"the exact way says {cause.reason}")
