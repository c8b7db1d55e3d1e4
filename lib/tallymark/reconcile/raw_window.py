"""The first window in which records of a pair wait for their partner: as raw bytes.

It holds surpluses only: whatever meets its equal is counted and dropped at once. Where it overflows, the records go on
as hashes (`window`) or as digests of their raw bytes (`digests`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tallymark.reconcile.validity import Validity
from tallymark.reconcile.window import (
    BACKUP,
    SOURCE,
    Digests,
    HashedWindow,
    Identity,
    PairCounts,
    Residue,
    Surplus,
)
from tallymark.records.block import Block

_WINDOW_BYTES = 48 << 20
_TRIED = 50
_NEAR = 1_000


class RawWindow:
    """Surpluses of raw records of two objects of one dialect; positive counts stand for the source."""

    def __init__(self, window: int, identity: Identity, counts: PairCounts) -> None:
        self.identity = identity
        self.validity = Validity(identity.reason)
        self._limit = 2 * window
        self._counts = counts
        self._surplus: dict[bytes, tuple[int, int]] = {}
        self._bytes = 0
        self._has_digests = False

    def count_equal_block(self, block: Block) -> None:
        """Counts the records of a block that both sides hold."""
        self._counts.source_records += len(block.records)
        self._counts.backup_records += len(block.records)
        self.count_equal(block.records)

    def count_equal(self, records: list[bytes]) -> None:
        """Counts records that both sides hold."""
        invalid = len(self.validity.invalid(records))
        self._counts.identical_records += len(records)
        self._counts.invalid_source += invalid
        self._counts.invalid_backup += invalid

    def add(self, side: int, records: Sequence[tuple[int, bytes]], surplus: set[bytes]) -> None:
        """Adds those records, with their ordinals, that are in ``surplus``; they cancel others of the other side."""
        if not surplus:
            return
        sign = 1 if side == SOURCE else -1
        waiting = self._surplus
        matched = []
        for ordinal, record in records:
            if record not in surplus:
                continue
            held, first = waiting.get(record, (0, ordinal))
            if held * sign < 0:
                matched.append(record)
            if held + sign == 0:
                del waiting[record]
                self._bytes -= len(record)
                continue
            if held == 0:
                self._bytes += len(record)
            waiting[record] = (held + sign, first)
        self.count_equal(matched)

    def is_full(self) -> bool:
        return len(self._surplus) > self._limit or self._bytes > _WINDOW_BYTES

    def overflow(self, hashed: HashedWindow) -> Iterator[Residue | Digests]:
        """Empties the full window: as hashes where the records seem to be written in another form, else as digests."""
        taken = [(record, count, ordinal) for record, (count, ordinal) in self._take().items()]
        if self._meet_as_hashes(taken):
            yield from hashed.add_bulk(self.identity, taken)
        else:
            self._has_digests = True
            yield from self._digests(taken)

    def finish(self, hashed: HashedWindow) -> Iterator[Residue | Digests]:
        """Empties the window at the end of the pair."""
        taken = [(record, count, ordinal) for record, (count, ordinal) in self._take().items()]
        if self._has_digests:  # its other copy may have left as a digest
            yield from self._digests(taken)
        else:
            yield from hashed.add_bulk(self.identity, taken)

    def _take(self) -> dict[bytes, tuple[int, int]]:
        taken, self._surplus, self._bytes = self._surplus, {}, 0
        return taken

    def _meet_as_hashes(self, taken: list[Surplus]) -> bool:
        """Tries some records of both sides: copies in another form meet about where they stand, shuffled ones not."""
        sides = [{ordinal: record for record, count, ordinal in taken if count * sign > 0} for sign in (1, -1)]
        if not all(sides):
            return False
        middle = min(map(max, sides)) - _NEAR
        tried = [record for ordinal, record in sides[0].items() if abs(ordinal - middle) <= _TRIED]
        near = [record for ordinal, record in sides[1].items() if abs(ordinal - middle) <= _TRIED + _NEAR]
        known = {self.identity.digest(record)[0] for record in near}
        return 2 * sum(self.identity.digest(record)[0] in known for record in tried) > len(tried)

    def _digests(self, taken: list[Surplus]) -> Iterator[Digests]:
        for side, sign in ((SOURCE, 1), (BACKUP, -1)):
            held = [(record, sign * count, ordinal) for record, count, ordinal in taken if sign * count > 0]
            if held:
                records, copies, ordinals = zip(*held)
                yield digests_of(side, records, copies, ordinals, self.identity, self.validity, self._counts)


def digests_of(
    side: int,
    records: Sequence[bytes],
    copies: Sequence[int],
    ordinals: Sequence[int],
    identity: Identity,
    validity: Validity,
    counts: PairCounts,
) -> Digests:
    """Returns raw records as digests, and counts the invalid ones."""
    invalid = set(validity.invalid(records))
    number = sum(count for record, count in zip(records, copies) if record in invalid) if invalid else 0
    if side == SOURCE:
        counts.invalid_source += number
    else:
        counts.invalid_backup += number
    return Digests(side, [identity.raw_digest(record) for record in records], copies, ordinals)
