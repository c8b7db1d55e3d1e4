"""The rows of the tasks of `reconcile` as Arrow batches of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

import pyarrow as pa

from tallymark.reconcile.counts import Counts, packed
from tallymark.reconcile.digests import DigestRows
from tallymark.reconcile.window import Digests, Residue
from tallymark.runs.reconcile.shipping import ObjectPair

_RESIDUE_FIELDS = tuple(field.name for field in fields(Residue))
_BATCH_ROWS = 10_000
_BATCH_BYTES = 4 << 20


def batches(
    task: int, pair: ObjectPair, items: Iterable[Residue | Digests], schema: pa.Schema, digests: DigestRows
) -> Iterator[pa.RecordBatch]:
    """Yields residue as batches of bounded size; digests gather over pairs and leave when they are many."""
    waiting: list[Residue] = []
    size = 0
    for item in items:
        if isinstance(item, Digests):
            digests.add(pair.number, pair.is_lonely, item)
            if digests.is_full():
                yield from digest_batches(digests, schema)
            continue
        waiting.append(item)
        size += len(item.content or b"")
        if len(waiting) >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield _residue_batch(task, pair, waiting, schema)
            waiting, size = [], 0
    if waiting:
        yield _residue_batch(task, pair, waiting, schema)


def _residue_batch(task: int, pair: ObjectPair, residue: list[Residue], schema: pa.Schema) -> pa.RecordBatch:
    columns: dict[str, list[Any]] = {name: [getattr(row, name) for row in residue] for name in _RESIDUE_FIELDS}
    place = {"task": task, "pair": pair.number, "lonely": pair.is_lonely}
    return _batch(columns | {name: [value] * len(residue) for name, value in place.items()}, schema)


def counts_batch(counts: Iterable[Counts], schema: pa.Schema) -> pa.RecordBatch:
    """Returns the one row with the counts of a task."""
    return _batch({"counts": [packed(counts)]}, schema)


def digest_batches(digests: DigestRows, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yields the packed rows of each part."""
    for part, rows in digests.take():
        yield _batch({"part": [part], "digests": [rows]}, schema)


def _batch(columns: dict[str, list[Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Returns the columns as a batch; those that are not given are null."""
    rows = len(next(iter(columns.values())))
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def batches_of(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yields the rows as batches of bounded size."""
    waiting: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        waiting.append(row)
        size += len(row.get("content") or b"")
        if len(waiting) >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield pa.RecordBatch.from_pylist(waiting, schema)
            waiting, size = [], 0
    if waiting:
        yield pa.RecordBatch.from_pylist(waiting, schema)
