"""The rows that travel from decoding to merging: every item becomes one, and each task adds one with its counts.

A place is where a row belongs: ``dt=2026-03-17/hour=14`` for a record, QUARANTINE_PLACE for a rejected item,
COUNTED for the counts. All rows of a place meet in one task, in the order of key and position.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tallymark.ingest.record import LogRecord

QUARANTINE_PLACE = "quarantine"
COUNTED = "counted"
BATCH_ROWS = 2_048
"""Rows that leave a task together; with more of them, the records that wait no longer fit into the caches."""

TRAVELLING = pa.schema(
    [
        ("place", pa.string()),
        ("key", pa.string()),  # record_id, or the digest of a rejected item
        ("position", pa.int64()),  # of the item in the whole input: the first of two is kept
        ("user_id", pa.string()),
        ("method", pa.string()),
        ("url", pa.string()),
        ("inDate", pa.string()),
        ("event_time", pa.int64()),
        ("extra", pa.string()),
        ("not_text", pa.string()),
        ("ciphertext", pa.string()),
        ("sealed", pa.bool_()),
        ("reason", pa.string()),
        ("source", pa.string()),
        ("note", pa.string()),  # of COUNTED: a task's counts, as JSON
    ]
)
_OF_RECORD = TRAVELLING.names[:10]
_OF_REJECTED = ["place", "key", "position", "ciphertext", "sealed", "reason", "source"]
CONTENT = ("user_id", "method", "url", "inDate", "extra", "not_text")
"""Two records with one record_id are the same record where these are equal."""


class RejectedItem(NamedTuple):
    """An item that goes to quarantine."""

    digest: str
    position: int
    ciphertext: str
    sealed: bool
    reason: str
    source: str


def place_of(dt: str, hour: str) -> str:
    """Return the place of an hour; it is also the folder of the hour in the table."""
    return f"dt={dt}/hour={hour}"


def hour_of(place: str) -> tuple[str, str]:
    """Return day and hour of a place.

    >>> hour_of("dt=2026-03-17/hour=14")
    ('2026-03-17', '14')
    """
    return place[3:13], place[19:21]


def record_batch(records: list[tuple[int, LogRecord]]) -> pa.RecordBatch:
    """Return records with their positions as a batch of TRAVELLING."""
    columns = list(zip(*(record for _, record in records), strict=True))
    record_id, user_id, method, url, in_date, event_time, extra, not_text, dt, hour = columns
    places = map(place_of, dt, hour)
    positions = [position for position, _ in records]
    values = (places, record_id, positions, user_id, method, url, in_date, event_time, extra, not_text)
    return travelling_batch(dict(zip(_OF_RECORD, values, strict=True)), len(records))


def rejected_batch(items: list[RejectedItem]) -> pa.RecordBatch:
    """Return rejected items as a batch of TRAVELLING."""
    values = ([QUARANTINE_PLACE] * len(items), *zip(*items, strict=True))
    return travelling_batch(dict(zip(_OF_REJECTED, values, strict=True)), len(items))


def counts_batch(task: int, note: str) -> pa.RecordBatch:
    """Return the counts of a task as a batch of TRAVELLING."""
    return travelling_batch({"place": [COUNTED], "key": [str(task)], "position": [task], "note": [note]}, 1)


def travelling_batch(columns: Mapping[str, Iterable[object] | pa.Array], rows: int) -> pa.RecordBatch:
    """Return columns, by name, as a batch of TRAVELLING; those that are not given are null."""
    return pa.record_batch([_column(columns.get(field.name), rows, field.type) for field in TRAVELLING], TRAVELLING)


def _column(values: Iterable[object] | pa.Array | None, rows: int, form: pa.DataType) -> pa.Array:
    if values is None:
        return pa.nulls(rows, form)
    return values if isinstance(values, pa.Array) else pa.array(list(values), form)


def by_place(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, Iterator[pa.RecordBatch]]]:
    """Yield each place with its batches, of batches that are sorted by place; nothing is held."""
    for place, pieces in groupby(_pieces(batches), key=itemgetter(0)):
        yield place, (batch for _, batch in pieces)


def _pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
    for batch in batches:
        if not batch.num_rows:
            continue
        start = 0
        places = pc.run_end_encode(batch.column("place"))
        for place, end in zip(places.values.to_pylist(), places.run_ends.to_pylist(), strict=True):
            yield place, batch.slice(start, end - start)
            start = end
