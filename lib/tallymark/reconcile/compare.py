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

from tallymark.reconcile.canonical import CanonicalForm
from tallymark.reconcile.raw_window import RawWindow, digests_of
from tallymark.reconcile.validity import Validity
from tallymark.reconcile.window import BACKUP, SOURCE, Digests, HashedWindow, Identity, PairCounts, Residue
from tallymark.records.block import Block
from tallymark.records.formats import Records

_NO_BLOCK = Block(b"", lambda _: [])
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
                yield from hashed.add_all(side, identity, block.records, _advance(side, block, counts))
    else:
        raw = RawWindow(window, Identity(form, source), counts)
        for left, right in _in_step(source, backup, window, counts):
            if left.text == right.text:
                raw.count_equal_block(left)
            else:
                _cancel(left, right, raw, window, counts)
            if raw.is_full():
                yield from raw.overflow(hashed)
        yield from raw.finish(hashed)
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
        raw.count_equal_block(block)


def _in_step(source: Records, backup: Records, window: int, counts: PairCounts) -> Iterator[tuple[Block, Block]]:
    """Yields blocks of both sides so that neither runs ahead by much more than a quarter of the window.

    Who takes a block counts its records, which tells what to read next.
    """
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
        yield (left if read_left and left else _NO_BLOCK, right if read_right and right else _NO_BLOCK)


def _advance(side: int, block: Block, counts: PairCounts) -> int:
    """Counts the records of the block and returns the ordinal of its first one."""
    if side == SOURCE:
        first = counts.source_records
        counts.source_records += len(block.records)
    else:
        first = counts.backup_records
        counts.backup_records += len(block.records)
    return first


def _cancel(left: Block, right: Block, raw: RawWindow, window: int, counts: PairCounts) -> None:
    """Cancels equal raw records of two blocks, slice by slice; the surplus of each goes to the window."""
    ordinals = _advance(SOURCE, left, counts), _advance(BACKUP, right, counts)
    step = max(1, window // 2)
    for start in range(0, max(len(left.records), len(right.records)), step):
        lefts, rights = left.records[start : start + step], right.records[start : start + step]
        # Most records of two copies stand at the same place; only the others have to be looked for.
        common = min(len(lefts), len(rights))
        apart = [at for at in range(common) if lefts[at] != rights[at]]
        if len(apart) < common:
            elsewhere = set(apart)
            in_place = [lefts[at] for at in range(common) if at not in elsewhere] if apart else lefts[:common]
            raw.count_equal(in_place)
        others = [
            [(first + start + at, records[at]) for at in (*apart, *range(common, len(records)))]
            for first, records in zip(ordinals, (lefts, rights))
        ]
        surplus = _surplus(*(Counter(record for _, record in side) for side in others))
        raw.count_equal([record for _, record in others[0] if record not in surplus])
        raw.add(SOURCE, others[0], surplus)
        raw.add(BACKUP, others[1], surplus)


def _surplus(left: Counter[bytes], right: Counter[bytes]) -> set[bytes]:
    """Returns the records that do not occur equally often on both sides."""
    if len(left) == left.total() and len(right) == right.total():
        return left.keys() ^ right.keys()
    return {record for record, _ in left.items() ^ right.items()}
