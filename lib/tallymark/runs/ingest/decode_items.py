"""The task that decodes: reads items, decrypts, parses, checks, and emits one row for each (see `travelling`).

Runs on executors, in one pass over the items. The keys come with the function and lie nowhere else.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tallymark.errors import ObjectError
from tallymark.ingest.plaintext import read_fields
from tallymark.ingest.record import LogRecord, to_record
from tallymark.ingest.tables import Rejected
from tallymark.ingest.tokens import Keys, digest, looks_like_token
from tallymark.ingest.travelling import BATCH_ROWS, RejectedItem, counts_batch, record_batch, rejected_batch
from tallymark.io.gzip_stream import decompress
from tallymark.io.objects import ObjectStore
from tallymark.io.stored import StoredObject, shown
from tallymark.records.formats import open_records
from tallymark.runs.ingest.files import local_copy

_POSITIONS = 40
"""Bits of a position that count items; those above number the objects."""
_BATCH_BYTES = 32 << 20
"""Bytes of items after which rows are sent on, however few: an item may have 64 MB, and a batch at most 2 GB."""


class _Item(msgspec.Struct):
    data: str


_read_item = msgspec.json.Decoder(_Item | str).decode


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


def _decode_task(task: int, objects: list[Numbered], decoding: Decoding) -> Iterator[pa.RecordBatch]:
    records: list[tuple[int, LogRecord]] = []
    rejected: list[RejectedItem] = []
    extracted = held = 0
    errors: list[tuple[str, str, str]] = []
    for number, obj in objects:
        position = number << _POSITIONS
        try:
            for token, raw, source in _tokens(obj, decoding):
                position += 1
                try:
                    records.append((position, _read(token, decoding)))
                except Rejected as cause:
                    rejected.append(_rejected(token, raw, position, cause.reason, source, decoding.keys))
                held += len(raw)
                if len(records) + len(rejected) >= BATCH_ROWS or held >= _BATCH_BYTES:
                    yield from _batches(records, rejected)
                    held = 0
        except ObjectError as error:
            errors.append((shown(error.uri), error.reason, error.detail))
        extracted += position - (number << _POSITIONS)
    yield from _batches(records, rejected)
    yield counts_batch(task, json.dumps({"extracted": extracted, "errors": errors}))


def _batches(records: list[tuple[int, LogRecord]], rejected: list[RejectedItem]) -> Iterator[pa.RecordBatch]:
    """Yield what is held, and hold nothing."""
    if records:
        yield record_batch(records)
        records.clear()
    if rejected:
        yield rejected_batch(rejected)
        rejected.clear()


def _read(token: str | None, decoding: Decoding) -> LogRecord:
    if token is None:
        raise Rejected("no_token")
    return to_record(read_fields(decoding.keys.decrypt(token)), decoding.optional)


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


def _rejected(token: str | None, raw: bytes, position: int, reason: str, source: str, keys: Keys) -> RejectedItem:
    if token is not None and looks_like_token(token):
        return RejectedItem(digest(token), position, token, False, reason, source)
    # Not encrypted by anyone, as far as one can see: it may be a payload in clear.
    return RejectedItem(digest(raw), position, keys.seal(raw), True, reason, source)
