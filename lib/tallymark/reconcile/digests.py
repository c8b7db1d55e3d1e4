"""Raw records in bulk: where whole objects stay unmatched, 16 bytes of SHA-256 of each raw record meet first.

Two kinds of record come here: those of a pair whose window overflowed, and those of lonely objects where there are
many. Equal digests settle inside of a pair, or between lonely objects; only what is left has to be read again and
canonicalised. Digests travel as packed arrays, because Spark spends more on a row than a digest weighs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from tallymark.reconcile.settle import set_off
from tallymark.reconcile.window import BACKUP, SOURCE, Digests

ROW = np.dtype(
    [
        ("high", "<u8"),
        ("low", "<u8"),
        ("pair", "<i4"),
        ("side", "u1"),
        ("lonely", "u1"),
        ("count", "<u4"),
        ("ordinal", "<u8"),
    ]
)
"""34 bytes: the two halves of a digest, where the record lies, and for how many equal ones it stands."""

Rows = npt.NDArray[np.void]
Sums = dict[int, dict[str, int]]
"""By pair: how many records settled, under the names of `stages.COUNTS`."""

_FLUSH_ROWS = 400_000


class DigestRows:
    """Collects the rows of one task and gives them away in parts by digest; equal digests are of one part."""

    def __init__(self, parts: int) -> None:
        self._parts = np.uint64(parts)
        self._waiting: list[Rows] = []
        self._size = 0

    def add(self, pair: int, lonely: bool, new: Digests) -> None:
        """Adds one row for each digest."""
        rows = np.empty(len(new.digests), ROW)
        halves = np.frombuffer(b"".join(new.digests), "<u8").reshape(-1, 2)
        rows["high"], rows["low"], rows["count"], rows["ordinal"] = halves[:, 0], halves[:, 1], new.copies, new.ordinals
        rows["pair"], rows["lonely"], rows["side"] = pair, lonely, new.side
        self._waiting.append(rows)
        self._size += len(rows)

    def is_full(self) -> bool:
        return self._size >= _FLUSH_ROWS

    def take(self) -> Iterator[tuple[int, bytes]]:
        """Yields the number and the packed rows of each part that has any, and forgets them."""
        if not self._size:
            return
        rows = np.concatenate(self._waiting)
        self._waiting, self._size = [], 0
        part_of = rows["high"] % self._parts
        rows = rows[np.argsort(part_of, kind="stable")]
        numbers, sizes = np.unique(part_of, return_counts=True)
        for number, of_part in zip(numbers.tolist(), np.split(rows, np.cumsum(sizes)[:-1])):
            yield number, of_part.tobytes()


def settle_digests(rows: Rows) -> tuple[Rows, Sums]:
    """Returns what stays, with its count, and what settled; the result does not depend on the order of the rows.

    First inside each pair, then among lonely objects, `least` of both sides each; who settles first follows pair and
    ordinal. All rows of a digest must be given at once.
    """
    rows = rows[np.argsort(rows["high"], kind="stable")]
    if not len(rows):
        return rows, {}
    starts = np.flatnonzero(np.concatenate(([True], rows["high"][1:] != rows["high"][:-1])))
    signed = np.where(rows["side"] == SOURCE, 1, -1) * rows["count"].astype(np.int64)
    is_even = np.add.reduceat(signed, starts) == 0
    is_one = _is_one(rows["low"], starts)
    of_one_pair = is_one & is_even & _is_one(rows["pair"], starts)
    of_lonely = is_one & is_even & (np.minimum.reduceat(rows["lonely"], starts) == 1)
    of_one_side = _is_one(rows["side"], starts)
    plain = ~(of_one_pair | of_lonely | of_one_side)

    sizes = np.diff(np.append(starts, len(rows)))
    of_one_pair, of_lonely, of_one_side, plain = (
        np.repeat(groups, sizes) for groups in (of_one_pair, of_lonely, of_one_side, plain)
    )
    sums: Sums = {}
    _count(sums, rows[of_one_pair & (rows["side"] == SOURCE)], "identical_records")
    _count(sums, rows[of_lonely & (rows["side"] == SOURCE)], "moved_out")
    _count(sums, rows[of_lonely & (rows["side"] == BACKUP)], "moved_in")
    uneven = _settle_plainly(rows[plain], sums)
    return np.concatenate((rows[of_one_side], uneven)), sums


def _is_one(values: Any, starts: Any) -> Any:
    return np.minimum.reduceat(values, starts) == np.maximum.reduceat(values, starts)


def _count(sums: Sums, rows: Rows, name: str) -> None:
    pairs, where = np.unique(rows["pair"], return_inverse=True)
    totals = np.bincount(where, weights=rows["count"]).astype(np.int64)
    for pair, total in zip(pairs.tolist(), totals.tolist()):
        _add(sums, pair, name, total)


def _add(sums: Sums, pair: int, name: str, count: int) -> None:
    if count:
        of_pair = sums.setdefault(pair, {})
        of_pair[name] = of_pair.get(name, 0) + count


def _settle_plainly(rows: Rows, sums: Sums) -> Rows:
    """The same by its definition, one row after the other: for digests that both sides hold unevenly."""
    rows = np.sort(rows, order=["high", "low", "pair", "ordinal"])
    left, pairs, sides = (rows[name].tolist() for name in ("count", "pair", "side"))
    digests = list(zip(rows["high"].tolist(), rows["low"].tolist()))
    for _, of_digest in groupby(range(len(rows)), key=digests.__getitem__):
        group = list(of_digest)
        for pair, of_pair in groupby(group, key=pairs.__getitem__):
            for at, count in set_off(left, sides, list(of_pair)):
                _add(sums, pair, "identical_records", count if sides[at] == SOURCE else 0)
        for at, count in set_off(left, sides, [at for at in group if rows["lonely"][at]]):
            _add(sums, pairs[at], "moved_out" if sides[at] == SOURCE else "moved_in", count)
    rows["count"] = left
    return rows[rows["count"] > 0]
