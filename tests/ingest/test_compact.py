"""The published form and the way back: T16, T19, and the format in which data is already stored."""

from __future__ import annotations

import base64
import json
import string
from datetime import datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tallymark.errors import ConfigError
from tallymark.ingest.compact import Dictionary, compact, expand, expand_text, plain
from tallymark.ingest.plaintext import read_fields
from tallymark.ingest.record import LogRecord, to_record
from tallymark.ingest.tables import Rejected

DICTIONARY = Dictionary({"GET": 1, "POST": 2}, {"/api/products/product/": 1})
USER = "000102030405060708090a0b0c0d0e0fffeeddccbbaa99887766554433221100"
# By hand: base64url of bytes 16-31, `_-7dzLuqmYh3ZlVEMyIRAA==`, then of bytes 0-15, without padding.
SHORT_USER = "_-7dzLuqmYh3ZlVEMyIRAA" + "AAECAwQFBgcICQoLDA0ODw"
RECORD = {
    "user_id": USER,
    "record_id": "5f0c",
    "method": "POST",
    "url": "/api/products/product/",
    "inDate": "2023-03-17T14:01:02.123456",
}


def row(record: dict[str, Any] | str) -> dict[str, Any]:
    """A row of `logs`, as publishing reads it."""
    text = record if isinstance(record, str) else json.dumps(record)
    found: LogRecord = to_record(read_fields(text.encode()), frozenset({"user_id", "method", "url"}))
    return {**found._asdict(), "extra": list(json.loads(found.extra).items()) if found.extra else None}


def compacted(**changed: Any) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(compact(row(RECORD | changed), DICTIONARY))
    return line


def test_a_compact_record_is_as_data_is_already_stored() -> None:
    line = compact(row(RECORD), DICTIONARY)

    assert line == (
        b'{"record_id":"5f0c","user_id":"%s","method":2,"url":1,"inDate":"230317140102123456"}' % SHORT_USER.encode()
    )
    assert len(SHORT_USER) == 44


def test_the_short_user_is_the_second_half_and_then_the_first() -> None:
    raw = bytes.fromhex(USER)
    swapped = base64.urlsafe_b64encode(raw[16:]).rstrip(b"=") + base64.urlsafe_b64encode(raw[:16]).rstrip(b"=")

    assert compacted()["user_id"] == SHORT_USER == swapped.decode()


def test_a_plain_record_has_its_fields_as_they_came_in_one_order() -> None:
    assert json.loads(plain(row(RECORD))) == RECORD
    assert list(json.loads(plain(row(RECORD)))) == ["record_id", "user_id", "method", "url", "inDate"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", "PATCH"),
        ("method", "get"),
        ("method", "1"),
        ("method", ""),
        ("url", "/api/products/product/4711"),
        ("url", "=1"),
        ("user_id", USER.upper()),
        ("user_id", USER[:-1]),
        ("user_id", "guest"),
        ("user_id", "x" * 43),
        ("inDate", "2023-03-17T14:01:02.123456Z"),
        ("inDate", "2023-03-17T14:01:02.123"),
        ("inDate", "2023-03-17 14:01:02.123456"),
    ],
)
def test_a_value_that_fits_no_pattern_stays_readable(name: str, value: str) -> None:
    """Older systems wrote 0 for an unknown method and lost it."""
    assert compacted(**{name: value})[name] == value


@pytest.mark.parametrize("value", [SHORT_USER, "x" * 44, "=guest", "=" + SHORT_USER, "=", "==x"])
def test_a_user_that_looks_like_a_short_form_is_marked(value: str) -> None:
    assert compacted(user_id=value)["user_id"] == "=" + value


def test_a_number_keeps_its_text_beside_the_name() -> None:
    line = compacted(record_id=7, inDate=1679061662)

    assert (line["record_id"], line["inDate"]) == ("7", "1679061662")
    assert line["not_text"] == {"inDate": "1679061662", "record_id": "7"}


def test_other_fields_are_json_texts_in_the_order_of_their_names() -> None:
    line = compact(row(RECORD | {"z": None, "a": ["ü", 1.5], "extra": {"extra": 1}, "not_text": "x"}), DICTIONARY)

    expected = r'"extra":{"a":"[\"ü\",1.5]","extra":"{\"extra\":1}","not_text":"\"x\"","z":"null"}}'
    assert line.decode().endswith(expected)


@pytest.mark.parametrize("value", ['a\nb"\u2028\u2029\x85\r\0', "😀", "\ufeff"])
def test_a_record_is_one_line(value: str) -> None:
    """T16."""
    changed = RECORD | {"record_id": value, "url": value, "more": {value: [value]}}

    for line in (compact(row(changed), DICTIONARY), plain(row(changed))):
        assert b"\n" not in line
        assert json.loads(line)["url"] == value
        assert not line.startswith(b"\xef\xbb\xbf")


LOOKALIKES = [
    *("", "=", "==", "=GET", "GET", "POST", "1", "2", "0", "/api/products/product/", USER, USER.upper(), USER[:-1]),
    *(SHORT_USER, "=" + SHORT_USER, SHORT_USER + "=", "A" * 44, "A" * 43, "230317140102123456", "=230317140102123456"),
    *(USER + "\n", SHORT_USER + "\n", "null", "[]", '"', "\\", "٢" * 64, "é", "\u2028", "😀"),
]
TIMES = [
    *("2023-03-17T14:01:02.123456", "2023-03-17T14:01:02.123456Z", "2023-03-17T14:01:02.12345", "2023-03-17T14:01"),
    *("2023-03-17 14:01:02.123456", "2099-12-31T23:59:59.999999", "2023-03-17T14:01:02+05:30"),
]
texts = st.sampled_from(LOOKALIKES) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
hexes = st.text(st.sampled_from("0123456789abcdef"), min_size=64, max_size=64)
letters = st.text(st.sampled_from(string.ascii_letters + string.digits + "-_="), min_size=43, max_size=45)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
)
names = texts | st.sampled_from(["extra", "not_text", "dt", "hour", "event_time", "USER_ID", "indate"])
known = st.fixed_dictionaries(
    {
        "record_id": texts.filter(bool) | numbers,
        "inDate": st.sampled_from(TIMES)
        | st.datetimes(*map(datetime.fromisoformat, ("2000-01-01", "2099-12-31"))).map(
            lambda moment: moment.isoformat()
        )
        | st.integers(946_684_800, 4_102_444_799)
        | st.floats(946_684_800, 4_102_444_799),
    },
    optional={"user_id": texts | hexes | letters | st.none(), "method": texts | st.none(), "url": texts | st.none()},
)
any_record = st.builds(lambda fields, more: more | fields, known, st.dictionaries(names, json_values, max_size=3))


@given(any_record)
def test_expanding_gives_back_every_record(record: dict[str, Any]) -> None:
    text = json.dumps(record)
    try:
        stored = row(text)
    except Rejected:
        assume(False)

    assert expand(compact(stored, DICTIONARY), DICTIONARY) == json.loads(text)
    assert expand(plain(stored), None) == json.loads(text)


@given(any_record)
def test_what_was_expanded_is_the_same_row_again(record: dict[str, Any]) -> None:
    """So a record that went to quarantine as a conflict comes back as it was."""
    try:
        stored = row(record)
    except Rejected:
        assume(False)

    assert row(expand_text(plain(stored), None)) == row(expand_text(compact(stored, DICTIONARY), DICTIONARY)) == stored


@pytest.mark.parametrize("number", ["9" * 5_000, "1e400", "0.1000000000000000055511151231257827", "-0", "1.10"])
def test_a_number_that_python_cannot_hold_comes_back_as_it_was_written(number: str) -> None:
    text = json.dumps(RECORD)[:-1] + f', "n": {number}, "deep": [{{"n": {number}}}]}}'
    stored = row(text)

    for line, dictionary in ((plain(stored), None), (compact(stored, DICTIONARY), DICTIONARY)):
        back = expand_text(line, dictionary)
        assert f'"n": {number}, ' in back.replace("}", ", ")
        assert row(back) == stored


def test_two_names_with_one_number_are_refused() -> None:
    with pytest.raises(ConfigError, match="methods: two names have the same number"):
        Dictionary({"GET": 1, "POST": 1}, {})
    with pytest.raises(ConfigError, match="urls: two names have the same number"):
        Dictionary({}, {"/a": 3, "/b": 3})


def test_a_dictionary_may_grow_and_never_change_its_meaning() -> None:
    more = Dictionary({"GET": 1, "POST": 2, "PUT": 3}, {"/api/products/product/": 1, "/b": 2})
    more.refuse_reuse(DICTIONARY)

    with pytest.raises(ConfigError, match=r"^methods: number 3 stands for PUT in what is published; keep it"):
        DICTIONARY.refuse_reuse(more)
    with pytest.raises(ConfigError, match=r"^urls: number 1 stands for /api/products/product/"):
        Dictionary({"GET": 1, "POST": 2}, {"/other": 1}).refuse_reuse(DICTIONARY)


def test_a_line_of_another_dictionary_is_refused() -> None:
    line = compact(row(RECORD), DICTIONARY)

    with pytest.raises(ConfigError, match="method: the dictionary has no number 2"):
        expand(line, Dictionary({"GET": 1}, {"/a": 1}))
