"""The rows between decoding and merging."""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tallymark.ingest.record import LogRecord
from tallymark.ingest.travelling import (
    TRAVELLING,
    RejectedItem,
    by_place,
    counts_batch,
    record_batch,
    rejected_batch,
)

NOTHING = dict.fromkeys(TRAVELLING.names)


def test_a_record_travels_with_its_place_and_position() -> None:
    record = LogRecord(
        "r1", "u", None, "/a", "2023-03-17T14:00:00", 1_679_061_600_000_000, "{}", None, "2023-03-17", "14"
    )
    batch = record_batch([(7, record), (9, record._replace(record_id="r2", hour="15"))])

    assert batch.schema == TRAVELLING
    first = {"place": "dt=2023-03-17/hour=14", "key": "r1", "position": 7, "user_id": "u", "url": "/a", "extra": "{}"}
    first |= {"inDate": "2023-03-17T14:00:00", "event_time": 1_679_061_600_000_000}
    second = first | {"place": "dt=2023-03-17/hour=15", "key": "r2", "position": 9}
    assert batch.to_pylist() == [NOTHING | first, NOTHING | second]


def test_a_rejected_item_travels_as_ciphertext() -> None:
    batch = rejected_batch([RejectedItem("d1", 3, "gAAA", True, "no_token", "s3://b/x")])

    expected = {"place": "quarantine", "key": "d1", "position": 3, "ciphertext": "gAAA", "sealed": True}
    assert batch.schema == TRAVELLING
    assert batch.to_pylist() == [NOTHING | expected | {"reason": "no_token", "source": "s3://b/x"}]


def test_the_counts_of_a_task_travel_as_a_row() -> None:
    batch = counts_batch(4, "{}")

    assert batch.schema == TRAVELLING
    assert batch.to_pylist() == [NOTHING | {"place": "counted", "key": "4", "position": 4, "note": "{}"}]


@given(st.lists(st.sampled_from("abc"), max_size=30).map(sorted), st.lists(st.integers(0, 30), max_size=6).map(sorted))
def test_every_row_comes_under_its_place_once_wherever_batches_are_cut(places: list[str], cuts: list[int]) -> None:
    whole = pa.RecordBatch.from_pydict({"place": pa.array(places, pa.string()), "at": list(range(len(places)))})
    edges = [0, *(min(cut, len(places)) for cut in cuts), len(places)]
    batches = [whole.slice(start, end - start) for start, end in pairwise(edges)]

    found = [
        (place, [row for piece in pieces for row in piece["at"].to_pylist()]) for place, pieces in by_place(batches)
    ]
    expected = [(place, [at for at, other in enumerate(places) if other == place]) for place in sorted(set(places))]
    assert found == expected


def test_a_place_that_is_left_unread_does_not_leak_into_the_next() -> None:
    batch = pa.RecordBatch.from_pydict({"place": ["a", "a", "b"], "at": [0, 1, 2]})

    assert [place for place, _ in by_place([batch, batch.slice(2)])] == ["a", "b"]
