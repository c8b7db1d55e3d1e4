"""The task that decodes: reads items, decrypts, parses, checks, and emits one row for each (see `travelling`).

Runs on executors, in one pass over the items. The keys come with the function and lie nowhere else.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tallymark.errors import ObjectError
from tallymark.ingest.plaintext import read_fields
from tallymark.ingest.record import LogRecord, to_record
from tallymark.ingest.tables import Rejected
from tallymark.ingest.tokens import Keys, digest, looks_like_token
from tallymark.ingest.travelling import BATCH_ROWS, RejectedItem, counts_batch, record_batch, rejected_batch
from tallymark.ingest.usual_records import usual_records
from tallymark.io.gzip_stream import decompress
from tallymark.io.objects import ObjectStore
from tallymark.io.stored import StoredObject, shown
from tallymark.io.table_files import local_copy
from tallymark.records.formats import open_records

_POSITIONS = 40
"""Bits of a position that count items; those above number the objects."""
_BATCH_BYTES = 32 << 20
"""Bytes of items after which rows are sent on, however few: an item may have 64 MB, and a batch at most 2 GB."""


class _Data(msgspec.Struct):
    data: str


_read_item = msgspec.json.Decoder(_Data | str).decode


@dataclass(frozen=True)
class Decoding:
    """What a task must know; ``keys`` stay out of every repr."""

    store: ObjectStore
    keys: Keys
    optional: frozenset[str]
    quarantined: bool  # the objects are files of the table `quarantine`, to be taken again


Numbered = tuple[int, StoredObject]


def decode(batches: Iterator[pa.RecordBatch], tasks: Any, decoding: Decoding) -> Iterator[pa.RecordBatch]:
    """Yield batches of TRAVELLING for the tasks whose numbers come in.

    Args:
        tasks: broadcast; pickled `Numbered` objects by task.
    """
    for batch in batches:
        for task in batch.column(0).to_pylist():
            yield from _decode_task(task, pickle.loads(tasks.value[task]), decoding)  # noqa: S301 - from our own driver


class _Item(NamedTuple):
    token: str | None  # None where it has none
    raw: bytes
    source: str
    position: int


def _decode_task(task: int, objects: list[Numbered], decoding: Decoding) -> Iterator[pa.RecordBatch]:
    items: list[_Item] = []
    extracted = held = 0
    errors: list[tuple[str, str, str]] = []
    for number, obj in objects:
        position = number << _POSITIONS
        try:
            for token, raw, source in _tokens(obj, decoding):
                position += 1
                items.append(_Item(token, raw, source, position))
                held += len(raw)
                if len(items) >= BATCH_ROWS or held >= _BATCH_BYTES:
                    yield from _batches(items, decoding)
                    items, held = [], 0
        except ObjectError as error:
            errors.append((shown(error.uri), error.reason, error.detail))
        extracted += position - (number << _POSITIONS)
    yield from _batches(items, decoding)
    yield counts_batch(task, json.dumps({"extracted": extracted, "errors": errors}))


def _batches(items: list[_Item], decoding: Decoding) -> Iterator[pa.RecordBatch]:
    """Yield one row for each item: first those of the usual form, which are read together."""
    plains = decoding.keys.decrypt_all([item.token or "" for item in items])
    batches, others = usual_records(plains)
    positions = pa.array([item.position for item in items], pa.int64())
    for batch in batches:
        at = batch.schema.names.index("position")
        yield batch.set_column(at, "position", positions.take(batch.column(at)))
    records: list[tuple[int, LogRecord]] = []
    rejected: list[RejectedItem] = []
    for number in others:
        item = items[number]
        try:
            records.append((item.position, _read(item.token, plains[number], decoding)))
        except Rejected as cause:
            rejected.append(_rejected(item, cause.reason, decoding.keys))
    if records:
        yield record_batch(records)
    if rejected:
        yield rejected_batch(rejected)


def _read(token: str | None, plain: bytes | None, decoding: Decoding) -> LogRecord:
    if token is None:
        raise Rejected("no_token")
    fields = read_fields(decoding.keys.decrypt(token) if plain is None else plain)
    return to_record(fields, decoding.optional)


def _tokens(obj: StoredObject, decoding: Decoding) -> Iterator[tuple[str | None, bytes, str]]:
    """Yield token (None where the item has none), the raw item, and the object that it came in."""
    if decoding.quarantined:
        yield from _quarantined(obj, decoding)
        return
    source = shown(obj.uri)
    for raw in raw_items(decoding.store, obj):
        yield token_of(raw), raw, source


def raw_items(store: ObjectStore, obj: StoredObject) -> Iterator[bytes]:
    """Yield the items of an object, plain or gzip; raise ObjectError where it cannot be read to its end."""
    source = shown(obj.uri)
    for block in open_records(decompress(store.read_chunks(obj), source), source, obj.path).blocks:
        yield from block.records


def token_of(raw: bytes) -> str | None:
    """Return the token of a raw item, or None where it has none."""
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        item = _read_item(raw)
        return item if isinstance(item, str) else item.data
    return None


def _quarantined(obj: StoredObject, decoding: Decoding) -> Iterator[tuple[str | None, bytes, str]]:
    with local_copy(decoding.store, obj.uri) as path, pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=["ciphertext", "sealed", "source"]):
            for row in batch.to_pylist():
                raw, token = row["ciphertext"].encode(), row["ciphertext"]
                if row["sealed"]:
                    with suppress(Rejected):  # its key is gone: it stays sealed, as a token like any other
                        raw = decoding.keys.decrypt(token)
                        token = token_of(raw)
                yield token, raw, row["source"]


def _rejected(item: _Item, reason: str, keys: Keys) -> RejectedItem:
    if item.token is not None and looks_like_token(item.token):
        return RejectedItem(digest(item.token), item.position, item.token, False, reason, item.source)
    # Not encrypted by anyone, as far as one can see: it may be a payload in clear.
    return RejectedItem(digest(item.raw), item.position, keys.seal(item.raw), True, reason, item.source)
