"""The checkpoint tells whether it is whole, and what has changed."""

from __future__ import annotations

import pytest

from tallymark.errors import ConfigError
from tallymark.export.checkpoint import Chunk, State, decode, encode, require_equal
from tallymark.export.spans import Span

SPAN = Span(1, 10, None, ("a", None))
CHUNK = Chunk(SPAN, "part-1", 3, 30, 30, "f", "s", 1, 5.0, 0.5, 9)
STATE = State("r", 1.0, {"table": "t"}, "snapshot", {"name": "x"}, 2.0, (CHUNK,), (Span(2, 10, ("a", None), None),))


def test_it_comes_back_as_it_was() -> None:
    assert decode(encode(STATE)) == STATE


@pytest.mark.parametrize("at", [0, 70, -3])
def test_any_damage_is_noticed(at: int) -> None:
    content = bytearray(encode(STATE))
    content[at] ^= 1

    assert decode(bytes(content)) is None
    assert decode(encode(STATE)[:at]) is None
    assert decode(b"") is None


def test_a_chunk_that_must_be_made_again_is_planned_as_before() -> None:
    again = STATE.without({1})

    assert again.chunks == ()
    assert [span.number for span in again.planned] == [1, 2]
    assert again.with_chunk(CHUNK) == STATE


def test_what_differs_is_listed() -> None:
    require_equal({"where": None, "columns": [["a", "int"]]}, {"where": None, "columns": (("a", "int"),)}, "x")
    with pytest.raises(ConfigError, match=r'(?s)x holds.*columns: it was \["a"\], now it is \["b"\]'):
        require_equal({"where": None, "columns": ["a"]}, {"where": None, "columns": ["b"]}, "x")
