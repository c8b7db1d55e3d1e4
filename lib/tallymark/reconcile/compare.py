"""Compares the two objects of a pair inside one task, in step and in bounded memory.

Equal blocks are counted. Of other blocks equal raw records cancel as a multiset; what is left waits in a window
for its partner, is then canonicalised, hashed and cancelled again. What still stands at the end leaves as `Residue`,
which `settle` sets off against the residue of all pairs. Where the first window overflows, the records of the pair
leave as digests of their raw bytes instead (`digests`).
Records are dropped on the way only together with an equal one of the other side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tallymark.reconcile.block import Block
from tallymark.reconcile.canonical import CanonicalForm
from tallymark.reconcile.formats import Records
from tallymark.reconcile.validity import Validity
from tallymark.reconcile.window import (
    BACKUP,
    SOURCE,
    Digests,
    HashedWindow,
    Identity,
    PairCounts,
    RawWindow,
    Residue,
    digests_of,
)

_NO_BLOCK = Block(b"", [])
PAIR_CONTENT_BYTES = 8 << 20
_LONELY_CONTENT_BYTES = 2 << 20


def compare_pair(
    source: Records, backup: Records, form: CanonicalForm, window: int, counts: PairCounts
) -> Iterator[Residue | Digests]:
    """Yields the residue of a pair and fills ``counts``; ``window`` is in records a side."""
    hashed = HashedWindow(window, counts, PAIR_CONTENT_BYTES)
    if source.dialect != backup.dialect:
        sides = ((SOURCE, source), (BACKUP, backup))
        identities = [Identity(form, records) for _, records in sides]
        for step in _in_step(source, backup, window, counts):
            for (side, _), identity, block in zip(sides, identities, step):
                yield from hashed.add_all(side, identity, block.records, _first_ordinal(side, block, counts))
    else:
        raw = RawWindow(window, Identity(form, source), counts)
        overflowed = False
        for left, right in _in_step(source, backup, window, counts):
            if left.text == right.text:
                raw.count_equal(left.records)
            else:
                _cancel(left, right, raw, window, counts)
            if raw.is_full():
                overflowed = True
                yield from raw.overflow()
        if overflowed:  # its other copy may have left as a digest
            yield from raw.overflow()
        else:
            yield from raw.spill(hashed)
    yield from hashed.flush()


def digest_records(side: int, records: Records, form: CanonicalForm, counts: PairCounts) -> Iterator[Digests]:
    """Yields every record of a lonely object as a digest."""
    identity = Identity(form, records)
    validity = Validity(identity.reason)
    for block in records.blocks:
        first = _advance(side, block, counts)
        size = len(block.records)
        yield digests_of(side, block.records, [1] * size, range(first, first + size), identity, validity, counts)


def hash_records(
    side: int, records: Records, form: CanonicalForm, window: int, counts: PairCounts
) -> Iterator[Residue]:
    """Yields every record of one object as residue: a lonely object, or the plain definition."""
    hashed = HashedWindow(window, counts, _LONELY_CONTENT_BYTES)
    identity = Identity(form, records)
    for block in records.blocks:
        first = _advance(side, block, counts)
        yield from hashed.add_all(side, identity, block.records, first)
    yield from hashed.flush()


def count_identical(records: Records, form: CanonicalForm, counts: PairCounts) -> None:
    """Counts the records of an object whose counterpart is proven to hold the same bytes."""
    raw = RawWindow(0, Identity(form, records), counts)
    for block in records.blocks:
        _advance(SOURCE, block, counts)
        _advance(BACKUP, block, counts)
        raw.count_equal(block.records)


def _in_step(source: Records, backup: Records, window: int, counts: PairCounts) -> Iterator[tuple[Block, Block]]:
    """Yields blocks of both sides so that neither runs ahead by much more than a quarter of the window."""
    slack = window // 4
    left: Block | None = _NO_BLOCK
    right: Block | None = _NO_BLOCK
    while left is not None or right is not None:
        ahead = counts.source_records - counts.backup_records
        read_left = left is not None and (right is None or ahead <= slack)
        read_right = right is not None and (left is None or -ahead <= slack)
        if read_left:
            left = next(source.blocks, None)
        if read_right:
            right = next(backup.blocks, None)
        step = (left if read_left and left else _NO_BLOCK, right if read_right and right else _NO_BLOCK)
        _advance(SOURCE, step[0], counts)
        _advance(BACKUP, step[1], counts)
        yield step


def _advance(side: int, block: Block, counts: PairCounts) -> int:
    """Counts the block and returns the ordinal of its first record."""
    if side == SOURCE:
        counts.source_records += len(block.records)
    else:
        counts.backup_records += len(block.records)
    return _first_ordinal(side, block, counts)


def _first_ordinal(side: int, block: Block, counts: PairCounts) -> int:
    return (counts.source_records if side == SOURCE else counts.backup_records) - len(block.records)


def _cancel(left: Block, right: Block, raw: RawWindow, window: int, counts: PairCounts) -> None:
    """Cancels equal raw records of two blocks, slice by slice; the surplus of each goes to the window."""
    ordinals = (_first_ordinal(SOURCE, left, counts), _first_ordinal(BACKUP, right, counts))
    step = max(1, window // 2)
    for start in range(0, max(len(left.records), len(right.records)), step):
        lefts, rights = left.records[start : start + step], right.records[start : start + step]
        if lefts == rights:
            raw.count_equal(lefts)
            continue
        surplus = _surplus(Counter(lefts), Counter(rights))
        raw.count_equal([record for record in lefts if record not in surplus] if surplus else lefts)
        raw.add(SOURCE, lefts, surplus, ordinals[0] + start)
        raw.add(BACKUP, rights, surplus, ordinals[1] + start)


def _surplus(left: Counter[bytes], right: Counter[bytes]) -> set[bytes]:
    """Returns the records that do not occur equally often on both sides."""
    if len(left) == left.total() and len(right) == right.total():
        return left.keys() ^ right.keys()
    return {record for record, _ in left.items() ^ right.items()}
