"""Sets residue off against each other: inside of each pair, then across; equal bytes first, then equal values.

Copies of one record are counted, never joined: of `n` copies on one side and `m` on the other `least(n, m)` settle,
so nothing fans out. Which files the settled copies are taken from follows the order of the pairs by path; across,
lonely objects come before others, which is what `digests` has begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa

from tallymark.reconcile.window import BACKUP, SOURCE

KINDS = ("identical", "normalised", "moved", "missing")


def settle(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yields the rows with four more counts each: ``identical``, ``normalised``, ``moved``, ``missing``.

    Args:
        batches: columns of `stages.RESIDUE`, ordered by hash, pair and ordinal; a hash may span batches.

    ``identical + normalised + moved + missing = count`` in each row.
    """
    for rows in _whole_hashes(batches):
        hashes, pairs, raws, sides, left, lonely = (
            rows.column(name).to_pylist() for name in ("hash", "pair", "raw", "side", "count", "lonely")
        )
        in_pair = list(zip(pairs, raws))
        settled = [[0] * len(rows) for _ in KINDS[:-1]]
        for _, of_hash in groupby(range(len(rows)), key=hashes.__getitem__):
            group = list(of_hash)
            if len(group) == 1 or len({sides[at] for at in group}) == 1:
                continue
            lonely_first = sorted(group, key=lambda at: not lonely[at])
            for kind, places, equal in (
                (0, group, in_pair),
                (1, group, pairs),
                (2, lonely_first, raws),
                (2, group, hashes),
            ):
                for of_one in _grouped(places, equal):
                    for at, count in set_off(left, sides, of_one):
                        settled[kind][at] += count
        yield _with_counts(rows, [*settled, left])


def _grouped(places: Sequence[int], keys: Sequence[Any]) -> Iterable[list[int]]:
    groups: dict[Any, list[int]] = {}
    for at in places:
        groups.setdefault(keys[at], []).append(at)
    return groups.values()


def set_off(left: list[int], sides: Sequence[int], places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Takes the least of both sides off the counts at ``places``, in their order; yields where how many settled."""
    by_side = [[at for at in places if sides[at] == side] for side in (SOURCE, BACKUP)]
    least = min(sum(left[at] for at in of_side) for of_side in by_side)
    for of_side in by_side:
        still_open = least
        for at in of_side:
            if not still_open:
                break
            settled = min(left[at], still_open)
            left[at] -= settled
            still_open -= settled
            yield at, settled


def _whole_hashes(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yields the rows so that all of one hash come together."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if not len(batch):
            continue
        waiting.append(batch)
        hashes = batch.column("hash")
        last = hashes[-1]
        start = len(batch) - 1
        while start and hashes[start - 1] == last:
            start -= 1
        if start or (len(waiting) > 1 and waiting[-2].column("hash")[-1] != last):
            waiting[-1] = batch.slice(0, start)
            yield pa.concat_batches(waiting)
            waiting = [batch.slice(start)]
    if waiting:
        yield pa.concat_batches(waiting)


def _with_counts(rows: pa.RecordBatch, counts: list[list[int]]) -> pa.RecordBatch:
    arrays = [*rows.columns, *(pa.array(count, pa.int64()) for count in counts)]
    return pa.RecordBatch.from_arrays(arrays, names=[*rows.schema.names, *KINDS])
