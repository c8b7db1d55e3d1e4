"""Where an hour lies: T15, and how it is split: T16."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallymark.ingest.event_time import partition
from tallymark.ingest.layout import folder_of, minutes_of, object_name, parts_of
from tallymark.ingest.travelling import hour_of, place_of


def test_the_folders_of_an_hour() -> None:
    place = place_of("2026-03-07", "04")

    assert folder_of(place, "hive") == "dt=2026-03-07/hour=04"
    assert folder_of(place, "folders") == "data/2026_y/03_m/07_d/04_h"


@given(st.integers(946_684_800_000_000, 4_102_444_799_999_999))
def test_a_hive_folder_has_its_zeros(moment: int) -> None:
    """T15: `hour=7` is never found by a projection of two digits."""
    place = place_of(*partition(moment))

    assert re.fullmatch(r"dt=20\d\d-\d\d-\d\d/hour=([01]\d|2[0-3])", folder_of(place, "hive"))
    assert hour_of(place) == partition(moment)


@pytest.mark.parametrize(
    ("records", "most", "parts"),
    [(0, 10, 1), (1, 10, 1), (10, 10, 1), (11, 10, 2), (60, 10, 6), (61, 10, 10), (600, 10, 60), (10_000, 10, 60)],
)
def test_an_hour_is_split_by_its_size(records: int, most: int, parts: int) -> None:
    assert parts_of(records, most) == parts


@given(st.integers(0, 10**7), st.integers(1, 10**6))
def test_the_parts_of_an_hour_are_all_of_its_minutes_once(records: int, most: int) -> None:
    parts = parts_of(records, most)

    minutes = [minute for part in range(parts) for minute in range(*minutes_of(part, parts))]
    assert minutes == list(range(60))


def test_names_say_the_part_and_sort_by_time() -> None:
    assert object_name(0, 1) == "logs.json.gz"
    assert [object_name(part, 12) for part in (0, 2, 11)] == [
        "logs-00-of-12.json.gz",
        "logs-02-of-12.json.gz",
        "logs-11-of-12.json.gz",
    ]
