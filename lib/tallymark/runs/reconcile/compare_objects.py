"""The first task of `reconcile`, on the executors: reads the objects of its pairs and compares them.

Yields for each pair its residue or digests, and last one row with the counts of all pairs of the task. An object that
cannot be read makes its pair an error; the others go on.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from itertools import zip_longest
from typing import Protocol

import pyarrow as pa

from tallymark.errors import ObjectError
from tallymark.io.gzip_stream import decompress
from tallymark.io.objects import ObjectStore, is_told_by_generation, single_part_md5
from tallymark.io.stored import StoredObject, shown
from tallymark.io.uris import is_remote
from tallymark.reconcile.compare import compare_pair, count_identical, digest_records, hash_records
from tallymark.reconcile.counts import Counts
from tallymark.reconcile.digests import DigestRows
from tallymark.reconcile.plan import COMPARE, FULL, IDENTICAL, LONELY
from tallymark.reconcile.stages import COMPARED, arrow_schema
from tallymark.reconcile.window import BACKUP, SOURCE, Digests, PairCounts, Residue
from tallymark.records.formats import Records, open_records
from tallymark.runs.reconcile.arrow_rows import batches, counts_batch, digest_batches
from tallymark.runs.reconcile.shipping import ObjectPair, PackedTasks, Settings, unpack_task

logger = logging.getLogger(__name__)

_SCHEMA = arrow_schema(COMPARED)
_TOLD = ("source_told", "backup_told")


class Accumulator(Protocol):
    """A Spark accumulator: feeds the progress, never a result (a task that runs twice adds twice)."""

    def add(self, term: int) -> None: ...


Done = tuple[Accumulator, Accumulator, Accumulator]
"""Files, records and bytes that are done."""


def compare_objects(
    settings: Settings, tasks: PackedTasks, done: Done
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Returns the function for `mapInArrow` over task numbers (column ``id``); it yields COMPARED."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column("id").to_pylist():
                pairs = unpack_task(tasks.value[task])
                with settings.store.read_ahead(_to_read(pairs, settings)) as store:
                    yield from _compare_task(replace(settings, store=store), task, pairs, done)

    return run


def _to_read(pairs: list[ObjectPair], settings: Settings) -> Iterator[StoredObject]:
    """Yields the objects that will surely be read, in their order; of two that may be identical, the first."""
    for pair in pairs:
        sides = (pair.source,) if planned_proof(pair, settings) == IDENTICAL else (pair.source, pair.backup)
        yield from (item for item in sides if item is not None)


def _compare_task(settings: Settings, task: int, pairs: list[ObjectPair], done: Done) -> Iterator[pa.RecordBatch]:
    digests = DigestRows(settings.digest_parts)
    all_counts = []
    for pair in pairs:
        comparing = _Comparing(pair, settings)
        yield from batches(task, pair, comparing.items(), _SCHEMA, digests)
        all_counts.append(comparing.told())
        records = comparing.counts.source_records + comparing.counts.backup_records
        for accumulator, term in zip(done, (1, records, pair.bytes)):
            accumulator.add(term)
    yield from digest_batches(digests, _SCHEMA)
    yield counts_batch(all_counts, _SCHEMA)


class _Comparing:
    """One pair on its way: its proof, what was counted, and why it could not be read."""

    def __init__(self, pair: ObjectPair, settings: Settings) -> None:
        self.counts = PairCounts()
        self._pair = pair
        self._settings = settings
        self._proof = planned_proof(pair, settings)
        self._error: str | None = None
        self._left = {"residue": 0, "contents": 0, "digests": 0}
        self._told = {"source_told": False, "backup_told": False}

    def items(self) -> Iterator[Residue | Digests]:
        """Yields what leaves the task; never raises."""
        try:
            if self._proof == IDENTICAL and not self._is_identical():
                self._proof = COMPARE
            for item in self._compare():
                if isinstance(item, Residue):
                    self._left["residue"] += 1
                    self._left["contents"] += item.content is not None
                else:
                    self._left["digests"] += len(item.digests)
                yield item
        except ObjectError as failure:
            self._error = str(failure)
        except Exception as failure:  # a defect met by one object must not stop the proof of all others
            path = shown(self._pair.file_path)
            logger.exception("unexpected failure on %s", path)
            self._error = f"UNEXPECTED on {path}: {type(failure).__name__}: {failure}"

    def _compare(self) -> Iterator[Residue | Digests]:
        pair, settings, counts = self._pair, self._settings, self.counts
        if self._proof == COMPARE and pair.source is not None and pair.backup is not None:
            source, backup = self._records(SOURCE, pair.source), self._records(BACKUP, pair.backup)
            yield from compare_pair(source, backup, settings.form, settings.window, counts)
        elif self._proof in (LONELY, FULL):
            for side, item in ((SOURCE, pair.source), (BACKUP, pair.backup)):
                if item is None:
                    continue
                records = self._records(side, item)
                if self._proof == LONELY and settings.lonely_as_digests:
                    yield from digest_records(side, records, settings.form, counts)
                else:
                    yield from hash_records(side, records, settings.form, settings.window, counts)

    def _records(self, side: int, item: StoredObject) -> Records:
        return _records(self._telling(side, item), item, self._settings)

    def _telling(self, side: int, item: StoredObject) -> Iterator[bytes]:
        """Yields the bytes of an object, and finds out whether its ETag tells them from others, as their MD5 does.

        So does the generation of an object on GCS.
        """
        chunks = self._settings.store.read_chunks(item)
        expected = single_part_md5(item)
        if expected is None:
            yield from chunks
            self._told[_TOLD[side]] = is_told_by_generation(item)
            return
        md5 = hashlib.md5(usedforsecurity=False)
        for chunk in chunks:
            md5.update(chunk)
            yield chunk
        self._told[_TOLD[side]] = md5.hexdigest() == expected

    def _is_identical(self) -> bool:
        """Counts the pair and returns True if both objects hold the same bytes; else leaves the counts at zero."""
        source, backup = self._pair.source, self._pair.backup
        if source is None or backup is None:
            return False
        same_md5 = single_part_md5(source) is not None and single_part_md5(source) == single_part_md5(backup)
        store = self._settings.store
        if not is_remote(source.uri) and not is_remote(backup.uri):
            chunks = _equal_chunks(store.read_chunks(source), store.read_chunks(backup))
        elif same_md5 or _equal_checksums(store, source, backup):
            chunks = self._telling(SOURCE, source)
        else:
            return False
        proven = PairCounts()
        try:
            count_identical(_records(chunks, source, self._settings), self._settings.form, proven)
            for _ in chunks:  # the end of the object proves it, and a splitter may stop before
                pass
        except _NotIdenticalError:
            return False
        # An ETag that looks like an MD5 is not believed: that of an SSE-KMS object is none.
        if same_md5 and not self._told["source_told"]:
            return False
        self._told["backup_told"] = same_md5 or is_told_by_generation(backup)
        self.counts = proven
        return True

    def told(self) -> Counts:
        error = {} if self._error is None else {"error": self._error}
        return {
            "pair": self._pair.number,
            "proof": self._proof,
            **asdict(self.counts),
            **self._left,
            **self._told,
            **error,
        }


def planned_proof(pair: ObjectPair, settings: Settings) -> str:
    """Returns the cheapest proof that may hold, by the listing alone."""
    if settings.full:
        return FULL
    if pair.source is None or pair.backup is None:
        return LONELY
    return IDENTICAL if pair.source.size == pair.backup.size else COMPARE


def read_records(item: StoredObject, settings: Settings) -> Records:
    """Returns the records of one object: read, inflated, split."""
    return _records(settings.store.read_chunks(item), item, settings)


def _records(chunks: Iterable[bytes], item: StoredObject, settings: Settings) -> Records:
    uri = shown(item.uri)
    return open_records(decompress(chunks, uri), uri, item.path, settings.format)


def _equal_checksums(store: ObjectStore, source: StoredObject, backup: StoredObject) -> bool:
    checksum = source.checksum or store.checksum(source)
    return checksum is not None and checksum == (backup.checksum or store.checksum(backup))


class _NotIdenticalError(Exception):
    """The bytes that are being counted are not those of the other side."""


def _equal_chunks(source: Iterable[bytes], backup: Iterable[bytes]) -> Iterator[bytes]:
    for left, right in zip_longest(source, backup):
        if left != right:
            raise _NotIdenticalError
        yield left
