"""The second task of `reconcile`, on the executors: gives the leftovers their content and their key.

The leftovers of a pair arrive together, in the order of their ordinals, so the content that did not travel is
read again in one pass over just these objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa

from tallymark.errors import ObjectError
from tallymark.io.stored import StoredObject, shown
from tallymark.reconcile.canonical import InvalidRecord
from tallymark.reconcile.changes import key_of
from tallymark.reconcile.stages import READ, arrow_schema
from tallymark.runs.compare_objects import batches_of, read_records
from tallymark.runs.shipping import Broadcast, ObjectPair, Settings, unpack_task

_SCHEMA = arrow_schema(READ)


def read_contents(
    settings: Settings, tasks: Broadcast
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Returns the function for `mapInArrow` over `stages.LEFTOVERS`, sorted; it yields `stages.READ`."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = (row for batch in batches for row in batch.to_pylist())
        return batches_of(_read(settings, tasks, rows), _SCHEMA)

    return run


def _read(settings: Settings, tasks: Broadcast, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for task, of_task in groupby(rows, key=itemgetter("task")):
        pairs = {pair.number: pair for pair in unpack_task(tasks.value[task])}
        for number, of_pair in groupby(of_task, key=itemgetter("pair")):
            try:
                yield from _read_pair(settings, pairs[number], of_pair)
            except ObjectError as failure:
                yield {"task": task, "pair": number, "error": str(failure)}


def _read_pair(settings: Settings, pair: ObjectPair, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    contents = {side: _Contents(item, settings) for side, item in enumerate((pair.source, pair.backup)) if item}
    for row in rows:
        content = row["content"] if row["content"] is not None else contents[row["side"]].at(row["ordinal"])
        key = key_of(content, settings.key) if settings.key and row["reason"] is None else None
        yield row | {"content": content, "key": key}


class _Contents:
    """The records of one object by ascending ordinal; opens the object only when it is asked."""

    def __init__(self, item: StoredObject, settings: Settings) -> None:
        self._item = item
        self._settings = settings
        self._blocks: Iterator[list[bytes]] | None = None
        self._block: list[bytes] = []
        self._first = 0

    def at(self, ordinal: int) -> bytes:
        """Returns the content of the record; raises ObjectError if the object ends before."""
        if self._blocks is None:
            records = read_records(self._item, self._settings)
            self._blocks = (block.records for block in records.blocks)
            self._to_json = records.to_json
        while ordinal >= self._first + len(self._block):
            self._first += len(self._block)
            following = next(self._blocks, None)
            if following is None:
                raise ObjectError(shown(self._item.uri), "CHANGED_DURING_RUN", f"record {ordinal} is gone; run again")
            self._block = following
        record = self._block[ordinal - self._first]
        try:
            return self._to_json(record)
        except InvalidRecord:
            return record
