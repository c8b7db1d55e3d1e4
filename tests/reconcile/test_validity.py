"""Invalid records among many equal ones must be found without parsing them all, and no valid one accused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallymark.reconcile import validity
from tallymark.reconcile.canonical import invalid_reason
from tallymark.reconcile.validity import Validity


@pytest.fixture(autouse=True)
def shapes_from_the_first_record_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few records are parsed one by one; here they stand for many."""
    monkeypatch.setattr(validity, "_FEW", 0)


GOOD = [json.dumps({"id": n, "t": {"a": [n, "x"], "b": None}, "s": "é\n"}).encode() for n in range(20)]


@pytest.mark.parametrize(
    "bad",
    [
        b'{"id": 1, "id": 2, "t": {"a": [1], "b": null}, "s": ""}',
        b'{"id": 01, "t": {"a": [1], "b": null}, "s": ""}',
        b'{"id": 1, "t": {"a": [1], "b": NaN}, "s": ""}',
        b'{"id": 1, "t": {"a": [1], "b": null}, "s": "\xe9"}',
        b'{"id": 1, "t": {"a": [1], "b": null}, "s": "\x01"}',
        b'{"id": 1, "t": {"a": [1], "b": null}, "s": ""} ',
        b'{"id": 1, "t": {"a": [1], "b": null}, "s": ""}x',
        b'{"id": 1, "t": {"a": [{"k": 1, "k": 2}], "b": null}, "s": ""}',
    ],
)
def test_an_invalid_record_among_valid_ones_of_its_shape_is_found(bad: bytes) -> None:
    found = Validity(invalid_reason)
    found.invalid(GOOD)

    assert found.invalid([*GOOD, bad, *GOOD]) == ([bad] if invalid_reason(bad) else [])


values = st.recursive(
    st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.none(), st.text(max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text('ab"\\é', max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)
texts = values.flatmap(
    lambda value: st.sampled_from(
        [json.dumps(value).encode(), json.dumps(value, indent=1, ensure_ascii=False).encode("utf-8", "replace")]
    )
)
damaged = st.tuples(texts, st.integers(0, 40), st.sampled_from([b"", b'"', b"}", b"\xff", b"1", b","])).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
)


@settings(max_examples=300)
@given(st.lists(st.one_of(texts, damaged), max_size=12), st.lists(st.one_of(texts, damaged), max_size=12))
def test_exactly_the_invalid_ones_are_found(first: list[bytes], second: list[bytes]) -> None:
    found = Validity(invalid_reason)
    for records in (first, second, first):
        assert found.invalid(records) == [record for record in records if invalid_reason(record) is not None]
