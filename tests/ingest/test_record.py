"""What makes a record, and what is drift: T18."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tallymark.ingest.plaintext import read_fields
from tallymark.ingest.record import LogRecord, to_record
from tallymark.ingest.tables import REASONS, STAGES, Rejected

USER = "0f" * 32
FIELDS: dict[str, Any] = {
    "user_id": USER,
    "record_id": "r1",
    "method": "GET",
    "url": "/a",
    "inDate": "2023-03-17T14:01:02.123456",
}
PLAIN = LogRecord(
    "r1", USER, "GET", "/a", "2023-03-17T14:01:02.123456", 1_679_061_662_123_456, None, None, "2023-03-17", "14"
)


def record(*lacking: str, optional: tuple[str, ...] = (), **given: Any) -> LogRecord:
    fields = {name: value for name, value in FIELDS.items() if name not in lacking} | given
    return to_record(read_fields(json.dumps(fields).encode()), frozenset(optional))


def reason(*lacking: str, optional: tuple[str, ...] = (), **given: Any) -> str:
    with pytest.raises(Rejected) as caught:
        record(*lacking, optional=optional, **given)
    return caught.value.reason


def changed(name: str, value: object) -> dict[str, Any]:
    return {name: value}


def test_a_record_of_the_known_fields_has_nothing_else() -> None:
    assert record() == PLAIN


def test_a_new_field_is_kept_beside_the_known_ones() -> None:
    """In the order of the names, as JSON: equal fields give equal text, in whatever order they came."""
    found = record(status=200, agent=None, tags=["a", {"b": 1.50}], Ünit="ü\n", dt="x")

    assert found._replace(extra=None) == PLAIN
    assert found.extra is not None
    assert list(json.loads(found.extra).items()) == [
        ("agent", "null"),
        ("dt", '"x"'),
        ("status", "200"),
        ("tags", '["a",{"b":1.5}]'),
        ("Ünit", '"ü\\n"'),
    ]
    assert found == record(dt="x", Ünit="ü\n", tags=["a", {"b": 1.50}], agent=None, status=200)


def test_a_field_in_another_case_is_another_field() -> None:
    assert reason("record_id", Record_ID="r1") == "missing_field"
    assert record(URL="/b").extra == json.dumps({"URL": '"/b"'})


@pytest.mark.parametrize("name", FIELDS)
def test_a_missing_field_and_an_unexpected_null_are_rejected(name: str) -> None:
    assert reason(name) == "missing_field"
    assert reason(**changed(name, None)) == "wrong_type"


@pytest.mark.parametrize("name", ["user_id", "method", "url"])
def test_an_optional_field_may_lack_or_be_null_and_the_two_stay_apart(name: str) -> None:
    assert record(name, optional=(name,)) == PLAIN._replace(**changed(name, None))
    null = record(optional=(name,), **changed(name, None))
    assert null == PLAIN._replace(not_text=json.dumps({name: "null"}), **changed(name, None))
    assert reason(optional=(name,), **changed(name, 7)) == "wrong_type"


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [True, {"a": 1}, ["GET"], []])
def test_a_structure_in_the_place_of_a_text_is_rejected(name: str, value: object) -> None:
    assert reason(**changed(name, value)) == "wrong_type"


@pytest.mark.parametrize("name", ["user_id", "method", "url"])
def test_a_number_in_the_place_of_a_text_is_rejected(name: str) -> None:
    assert reason(**changed(name, 1)) == "wrong_type"


def test_an_id_may_be_a_number_and_is_not_the_same_as_its_text() -> None:
    assert record(record_id=7) == PLAIN._replace(record_id="7", not_text='{"record_id": "7"}')
    assert record(record_id="7") == PLAIN._replace(record_id="7")


def test_a_time_may_be_an_epoch() -> None:
    found = record(inDate=1679061662)

    assert (found.inDate, found.not_text) == ("1679061662", '{"inDate": "1679061662"}')
    assert (found.event_time, found.dt, found.hour) == (1_679_061_662_000_000, "2023-03-17", "14")


def test_an_empty_id_is_none() -> None:
    assert reason(record_id="") == "missing_field"


@pytest.mark.parametrize("time", ["", "yesterday", "9999-12-31T23:59:59.999999", -1, 1e300])
def test_a_time_that_is_none_is_rejected(time: object) -> None:
    assert reason(inDate=time) == "bad_time"


def test_every_reason_belongs_to_a_stage_and_every_stage_has_one() -> None:
    assert set(REASONS.values()) == set(STAGES)
