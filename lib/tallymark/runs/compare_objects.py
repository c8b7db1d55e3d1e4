"""The first task of `reconcile`, on the executors: reads the objects of its pairs and compares them.

Yields for each pair its residue and, last, one row of counts. An object that cannot be read makes its pair an
error row; the others go on.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, fields
from itertools import zip_longest
from typing import Any, Protocol

import pyarrow as pa

from tallymark.errors import ObjectError
from tallymark.io.gzip_stream import decompress
from tallymark.io.objects import is_s3, single_part_md5
from tallymark.io.stored import StoredObject, shown
from tallymark.reconcile.compare import compare_pair, count_identical, hash_records
from tallymark.reconcile.formats import Records, open_records
from tallymark.reconcile.plan import COMPARE, FULL, IDENTICAL, LONELY
from tallymark.reconcile.stages import COMPARED, arrow_schema
from tallymark.reconcile.window import BACKUP, SOURCE, PairCounts, Residue
from tallymark.runs.shipping import Broadcast, ObjectPair, Settings, unpack_task

logger = logging.getLogger(__name__)

_SCHEMA = arrow_schema(COMPARED)
_RESIDUE_FIELDS = tuple(field.name for field in fields(Residue))
_BATCH_ROWS = 10_000
_BATCH_BYTES = 4 << 20


class Accumulator(Protocol):
    """A Spark accumulator: feeds the progress, never a result (a task that runs twice adds twice)."""

    def add(self, term: int) -> None: ...


Done = tuple[Accumulator, Accumulator, Accumulator]
"""Files, records and bytes that are done."""


def compare_objects(
    settings: Settings, tasks: Broadcast, done: Done
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Returns the function for `mapInArrow` over task numbers (column ``id``); it yields COMPARED."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column("id").to_pylist():
                rows = _compare_task(settings, task, unpack_task(tasks.value[task]), done)
                yield from batches_of(rows, _SCHEMA)

    return run


def _compare_task(settings: Settings, task: int, pairs: list[ObjectPair], done: Done) -> Iterator[dict[str, Any]]:
    for pair in pairs:
        counts = PairCounts()
        proof, error = _planned_proof(pair, settings), None
        try:
            if proof == IDENTICAL and not _proven_identical(pair, settings, counts):
                proof = COMPARE
            for residue in _residue(pair, proof, settings, counts):
                yield {"task": task, "pair": pair.number, **_fields(residue)}
        except ObjectError as failure:
            error = str(failure)
        except Exception as failure:  # a defect met by one object must not stop the proof of all others
            logger.exception("unexpected failure on %s", shown(pair.file_path))
            error = f"UNEXPECTED on {shown(pair.file_path)}: {type(failure).__name__}: {failure}"
        yield _counts_row(task, pair, proof, counts, error)
        for accumulator, term in zip(done, (1, counts.source_records + counts.backup_records, pair.bytes)):
            accumulator.add(term)


def _fields(residue: Residue) -> dict[str, Any]:
    # dataclasses.asdict would copy each of millions of rows deeply.
    return {name: getattr(residue, name) for name in _RESIDUE_FIELDS}


def _planned_proof(pair: ObjectPair, settings: Settings) -> str:
    if settings.full:
        return FULL
    if pair.source is None or pair.backup is None:
        return LONELY
    return IDENTICAL if pair.source.size == pair.backup.size else COMPARE


def _residue(pair: ObjectPair, proof: str, settings: Settings, counts: PairCounts) -> Iterator[Residue]:
    if proof == COMPARE and pair.source is not None and pair.backup is not None:
        source, backup = read_records(pair.source, settings), read_records(pair.backup, settings)
        yield from compare_pair(source, backup, settings.form, settings.window, counts)
    elif proof in (LONELY, FULL):
        for side, item in ((SOURCE, pair.source), (BACKUP, pair.backup)):
            if item is not None:
                records = read_records(item, settings)
                yield from hash_records(side, records, settings.form, settings.window, counts)


def read_records(item: StoredObject, settings: Settings) -> Records:
    """Returns the records of one object: read, inflated, split."""
    return _records(settings.store.read_chunks(item), item, settings)


def _records(chunks: Iterable[bytes], item: StoredObject, settings: Settings) -> Records:
    uri = shown(item.uri)
    return open_records(decompress(chunks, uri), uri, item.path, settings.format)


def _proven_identical(pair: ObjectPair, settings: Settings, counts: PairCounts) -> bool:
    """Counts the pair and returns True if both objects hold the same bytes; else leaves ``counts`` at zero."""
    if pair.source is None or pair.backup is None:
        return False
    chunks = _proven_chunks(pair.source, pair.backup, settings)
    if chunks is None:
        return False
    proven = PairCounts()
    try:
        count_identical(_records(chunks, pair.source, settings), settings.form, proven)
        for _ in chunks:  # the end of the object proves it, and a splitter may stop before
            pass
    except _NotIdenticalError:
        return False
    for name, value in asdict(proven).items():
        setattr(counts, name, value)
    return True


class _NotIdenticalError(Exception):
    """The bytes that are being counted are not those of the other side."""


def _proven_chunks(source: StoredObject, backup: StoredObject, settings: Settings) -> Iterator[bytes] | None:
    """Returns the source's bytes, which raise _NotIdenticalError where they stop proving the backup's."""
    store = settings.store
    if not is_s3(source.uri) and not is_s3(backup.uri):
        return _equal_chunks(store.read_chunks(source), store.read_chunks(backup))
    expected = single_part_md5(backup)
    if expected is not None and expected == single_part_md5(source):
        return _hashed_chunks(store.read_chunks(source), expected)
    checksum = store.checksum(source)
    if checksum is not None and checksum == store.checksum(backup):
        return iter(store.read_chunks(source))
    return None


def _equal_chunks(source: Iterable[bytes], backup: Iterable[bytes]) -> Iterator[bytes]:
    for left, right in zip_longest(source, backup):
        if left != right:
            raise _NotIdenticalError
        yield left


def _hashed_chunks(source: Iterable[bytes], expected: str) -> Iterator[bytes]:
    """The MD5 is computed, not believed: the ETag of an SSE-KMS object looks like one and is none."""
    md5 = hashlib.md5(usedforsecurity=False)
    for chunk in source:
        md5.update(chunk)
        yield chunk
    if md5.hexdigest() != expected:
        raise _NotIdenticalError


def _counts_row(task: int, pair: ObjectPair, proof: str, counts: PairCounts, error: str | None) -> dict[str, Any]:
    return {
        "task": task,
        "pair": pair.number,
        "file_path": shown(pair.file_path),
        "source_path": shown(pair.source.path) if pair.source else None,
        "backup_path": shown(pair.backup.path) if pair.backup else None,
        "source_bytes": pair.source.size if pair.source else None,
        "backup_bytes": pair.backup.size if pair.backup else None,
        **asdict(counts),
        "proof": proof,
        "error": error,
    }


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
