"""The last task of `reconcile`, on the executors: turns what nothing settled into rows of `mismatches`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from tallymark.io.stored import shown
from tallymark.reconcile.changes import CHANGED, Leftover, Mismatch, find_changes
from tallymark.reconcile.counts import Counts
from tallymark.reconcile.json_path import Path, mask
from tallymark.reconcile.stages import EXPLAINED, arrow_schema
from tallymark.records.json_tree import parse, write
from tallymark.runs.reconcile.arrow_rows import counts_batch
from tallymark.runs.reconcile.shipping import ObjectPair, PackedTasks, Row, Settings, by_pair

_SCHEMA = arrow_schema(EXPLAINED)
_GROUP_BYTES = 32 << 20
_HIDDEN = "***"


def explain_leftovers(
    settings: Settings, tasks: PackedTasks
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Returns the function for `mapInArrow` over `stages.READ`; it yields `stages.EXPLAINED`.

    The rows of a pair arrive together, those of one key next to each other, else in the order of their ordinals.
    """

    def run(arriving: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        all_counts: list[Counts] = []
        for _, pair, rows in by_pair(arriving, tasks):
            counts: Counts = {"pair": pair.number, "changed": 0}
            for group in _groups(rows, settings.window):
                yield pa.RecordBatch.from_pylist(list(_explain(settings, pair, group, counts)), _SCHEMA)
            all_counts.append(counts)
        yield counts_batch(all_counts, _SCHEMA)

    return run


def _groups(rows: Iterable[Row], window: int) -> Iterator[list[Row]]:
    """Yields the rows among which one record's versions are looked for: all of a pair, or a window of them.

    A window never ends between rows of one key.
    """
    group: list[Row] = []
    size = 0
    for row in rows:
        is_full = len(group) >= 2 * window or size > _GROUP_BYTES
        if is_full and (row["key"] is None or row["key"] != group[-1]["key"]):
            yield group
            group, size = [], 0
        group.append(row)
        size += len(row["content"] or b"")
    if group:
        yield group


def _explain(settings: Settings, pair: ObjectPair, group: list[Row], counts: Counts) -> Iterator[Row]:
    leftovers = []
    for row in group:
        if row["error"] is not None:
            counts["unexplained"] = row["error"]
        else:
            leftovers.append(Leftover(row["side"], row["hash"], row["count"], row["reason"], row["content"]))
    for mismatch in find_changes(leftovers, settings.key, settings.form):
        counts["changed"] += mismatch.count if mismatch.bucket_type == CHANGED else 0
        yield _row(pair, mismatch, settings.mask)


def _row(pair: ObjectPair, mismatch: Mismatch, masked: tuple[Path, ...]) -> Row:
    return {
        "pair": pair.number,
        "counts": None,
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
