"""The task of `reconcile` before the last, on the executors: gives the leftovers their content and their key.

The leftovers of a pair arrive together, in the order of their ordinals, so the content that did not travel is
read again in one pass over just these objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from tallymark.errors import ObjectError
from tallymark.io.stored import StoredObject, shown
from tallymark.reconcile.canonical import InvalidRecord
from tallymark.reconcile.changes import key_of
from tallymark.reconcile.stages import READ, arrow_schema
from tallymark.reconcile.window import Identity, Residue
from tallymark.records.formats import Records
from tallymark.runs.reconcile.arrow_rows import batches_of
from tallymark.runs.reconcile.compare_objects import read_records
from tallymark.runs.reconcile.shipping import ObjectPair, PackedTasks, Row, Settings, by_pair

_SCHEMA = arrow_schema(READ)


def read_contents(
    settings: Settings, tasks: PackedTasks
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Returns the function for `mapInArrow` over `stages.LEFTOVERS`, sorted; it yields `stages.READ`."""

    def run(arriving: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return batches_of(_read(settings, tasks, arriving), _SCHEMA)

    return run


def _read(settings: Settings, tasks: PackedTasks, arriving: Iterable[pa.RecordBatch]) -> Iterator[Row]:
    for task, pair, rows in by_pair(arriving, tasks):
        try:
            yield from _read_pair(settings, pair, rows)
        except ObjectError as failure:
            yield {"task": task, "pair": pair.number, "error": str(failure)}


def _read_pair(settings: Settings, pair: ObjectPair, rows: Iterable[Row]) -> Iterator[Row]:
    contents = {side: Contents(item, settings) for side, item in enumerate((pair.source, pair.backup)) if item}
    for row in rows:
        content = row["content"] if row["content"] is not None else contents[row["side"]].content(row["ordinal"])
        key = key_of(content, settings.key) if settings.key and row["reason"] is None else None
        yield row | {"content": content, "key": key}


class Contents:
    """The records of one object by ascending ordinal; opens the object only when it is asked."""

    def __init__(self, item: StoredObject, settings: Settings) -> None:
        self._item = item
        self._settings = settings
        self._records: Records | None = None
        self._block: list[bytes] = []
        self._first = 0

    def residue(self, side: int, count: int, ordinal: int) -> Residue:
        """Returns the record as residue; raises ObjectError if the object ends before."""
        record, records = self._at(ordinal)
        return Identity(self._settings.form, records).residue(side, record, count, ordinal)

    def content(self, ordinal: int) -> bytes:
        """Returns the JSON text of the record, the raw bytes of an invalid one; raises ObjectError as `residue`."""
        record, records = self._at(ordinal)
        try:
            return records.to_json(record)
        except InvalidRecord:
            return record

    def _at(self, ordinal: int) -> tuple[bytes, Records]:
        if self._records is None:
            self._records = read_records(self._item, self._settings)
        while ordinal >= self._first + len(self._block):
            self._first += len(self._block)
            following = next(self._records.blocks, None)
            if following is None:
                raise ObjectError(shown(self._item.uri), "CHANGED_DURING_RUN", f"record {ordinal} is gone; run again")
            self._block = following.records
        return self._block[ordinal - self._first], self._records
