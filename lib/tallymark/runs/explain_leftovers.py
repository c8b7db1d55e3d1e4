"""The second task of `reconcile`, on the executors: turns what nothing settled into rows of `mismatches`.

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
from tallymark.io.objects import StoredObject, shown
from tallymark.reconcile.canonical import InvalidRecord
from tallymark.reconcile.changes import Leftover, Mismatch, find_changes
from tallymark.reconcile.json_path import Path, mask
from tallymark.reconcile.json_tree import parse, write
from tallymark.reconcile.stages import EXPLAINED, arrow_schema
from tallymark.runs.compare_objects import Broadcast, read_records
from tallymark.runs.shipping import ObjectPair, Settings, unpack_task

_SCHEMA = arrow_schema(EXPLAINED)
_GROUP_BYTES = 32 << 20
_HIDDEN = "***"


def explain_leftovers(
    settings: Settings, tasks: Broadcast
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Returns the function for `mapInArrow` over LEFTOVERS; it yields EXPLAINED."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = (row for batch in batches for row in batch.to_pylist())
        for task, of_task in groupby(rows, key=itemgetter("task")):
            pairs = {pair.number: pair for pair in unpack_task(tasks.value[task])}
            for number, of_pair in groupby(of_task, key=itemgetter("pair")):
                yield from _explain_pair(settings, pairs[number], of_pair)

    return run


def _explain_pair(settings: Settings, pair: ObjectPair, rows: Iterator[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
    contents = {side: _Contents(item, settings) for side, item in enumerate((pair.source, pair.backup)) if item}
    try:
        for group in _groups(rows, settings.window, contents):
            mismatches = find_changes(group, settings.key, settings.form)
            table = [_row(pair, mismatch, settings.mask) for mismatch in mismatches]
            yield pa.RecordBatch.from_pylist(table, _SCHEMA)
    except ObjectError as failure:
        yield pa.RecordBatch.from_pylist([{"pair": pair.number, "error": str(failure)}], _SCHEMA)


def _groups(rows: Iterator[dict[str, Any]], window: int, contents: dict[int, _Contents]) -> Iterator[list[Leftover]]:
    """Yields the leftovers in which one record's versions are looked for: all of a pair, or a window of them."""
    group: list[Leftover] = []
    size = 0
    for row in rows:
        content = row["content"] if row["content"] is not None else contents[row["side"]].at(row["ordinal"])
        group.append(Leftover(row["side"], row["hash"], row["count"], row["reason"], content))
        size += len(content)
        if len(group) >= 2 * window or size > _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


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


def _row(pair: ObjectPair, mismatch: Mismatch, masked: tuple[Path, ...]) -> dict[str, Any]:
    return {
        "pair": pair.number,
        "hash": mismatch.hash.hex(),
        "hash_short": mismatch.hash.hex()[:12],
        "file_path": shown(pair.file_path),
        "bucket_type": mismatch.bucket_type,
        "json_content": _text(mismatch.source, mismatch.reason, masked),
        "backup_content": _text(mismatch.backup, mismatch.reason, masked),
        "changed_paths": list(mismatch.changed_paths),
        "count": mismatch.count,
        "reason": mismatch.reason,
    }


def _text(content: bytes | None, reason: str | None, masked: tuple[Path, ...]) -> str | None:
    r"""Returns the content as text; bytes that are not UTF-8 show as `\xe9`, masked values as `***`."""
    if content is None:
        return None
    if not masked:
        return content.decode("utf-8", "backslashreplace")
    # The paths of an invalid record are unknown, so none of it may be shown.
    return _HIDDEN if reason is not None else write(mask(parse(content), masked)).decode("utf-8")
