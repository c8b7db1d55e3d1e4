"""Units follow from the content of a file alone."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tallymark.bulkload import units as module
from tallymark.bulkload.units import Unit, units
from tallymark.errors import ObjectError
from tallymark.records.formats import open_records

LINES = b"".join(b'{"id":%d}\n' % number for number in range(1000))
ARRAY = json.dumps([{"id": number} for number in range(1000)]).encode()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNIT_BYTES", 3000)
    monkeypatch.setattr("tallymark.records.formats.BLOCK_BYTES", 1000)


def cut(text: bytes, size: int) -> Iterator[bytes]:
    return (text[start : start + size] for start in range(0, len(text), size))


@pytest.mark.parametrize("text", [LINES, ARRAY])
def test_units_are_the_same_however_the_file_is_read_and_leave_no_gap(text: bytes) -> None:
    found = [list(units(open_records(cut(text, size), "u", "f.json").blocks)) for size in (1, 777, 10**6)]

    assert found[0] == found[1] == found[2]
    assert len(found[0]) > 2
    assert [unit.start for unit in found[0]] == [0, *(unit.end for unit in found[0][:-1])]
    assert [unit.is_last for unit in found[0]] == [*[False] * (len(found[0]) - 1), True]
    assert [json.loads(record)["id"] for unit in found[0] for record in unit.records] == list(range(1000))


def test_an_empty_file_is_one_empty_unit() -> None:
    (unit,) = units(open_records([], "u", "f.json").blocks)

    assert (unit.start, unit.end, unit.records, unit.is_last) == (0, 0, [], True)


def test_a_file_that_breaks_off_gives_the_units_before_the_place_and_no_last_one() -> None:
    got: list[Unit] = []
    with pytest.raises(ObjectError, match="CUT_ARRAY"):
        got.extend(units(open_records(cut(ARRAY[:-5], 100), "u", "f.json").blocks))

    assert got
    assert not any(unit.is_last for unit in got)
