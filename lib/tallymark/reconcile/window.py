"""The two windows in which records of a pair wait for their partner: first as raw bytes, then as hashes.

Both hold surpluses only: whatever meets its equal is counted and dropped at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tallymark.reconcile.canonical import CanonicalForm, InvalidRecord
from tallymark.reconcile.formats import Records

SOURCE = 0
BACKUP = 1
_WINDOW_BYTES = 48 << 20


@dataclass(slots=True)
class PairCounts:
    """What was counted inside of the task; `settle` adds what it finds for the residue."""

    source_records: int = 0
    backup_records: int = 0
    identical_records: int = 0
    normalised_records: int = 0
    invalid_source: int = 0
    invalid_backup: int = 0


@dataclass(frozen=True, slots=True)
class Residue:
    """``count`` equal records of one side without a partner so far.

    ``hash``: 32 bytes, SHA-256 of the canonical form (of the raw bytes where ``reason`` says it is invalid);
    ``raw``: 16 bytes that stand for the raw bytes and the dialect; ``ordinal``: position of the first one in its
    object; ``content``: JSON text (raw bytes of an invalid one), None where it must be read again.
    """

    side: int
    hash: bytes
    raw: bytes
    count: int
    ordinal: int
    reason: str | None
    content: bytes | None


class Identity:
    """What a raw record of one object is: its JSON text, hash, reason and raw digest."""

    def __init__(self, form: CanonicalForm, records: Records) -> None:
        self._form = form
        self._to_json = records.to_json
        self._dialect = hashlib.sha256(records.dialect + b"\n") if records.dialect else hashlib.sha256()

    def reason(self, record: bytes) -> str | None:
        """Returns the reason code of an invalid record, None for a valid one."""
        try:
            return self._form.invalid_reason(self._to_json(record))
        except InvalidRecord as invalid:
            return invalid.reason

    def residue(self, side: int, record: bytes, count: int, ordinal: int) -> Residue:
        raw = self._dialect.copy()
        raw.update(record)
        try:
            text = self._to_json(record)
            digest, reason = self._form.digest(text)
        except InvalidRecord as invalid:
            text, digest, reason = record, hashlib.sha256(record).digest(), invalid.reason
        return Residue(side, digest, raw.digest()[:16], count, ordinal, reason, text)


class RawWindow:
    """Surpluses of raw records of two objects of one dialect; positive counts stand for the source."""

    def __init__(self, window: int, identity: Identity, counts: PairCounts) -> None:
        self.identity = identity
        self._limit = 2 * window
        self._counts = counts
        self._surplus: dict[bytes, tuple[int, int]] = {}
        self._bytes = 0

    def add(self, side: int, records: Sequence[bytes], surplus: set[bytes], first_ordinal: int) -> None:
        """Adds those of ``records`` that are in ``surplus``, which cancels earlier ones of the other side."""
        if not surplus:
            return
        sign = 1 if side == SOURCE else -1
        for ordinal, record in enumerate(records, first_ordinal):
            if record in surplus:
                self._add_one(record, sign, ordinal)

    def _add_one(self, record: bytes, sign: int, ordinal: int) -> None:
        held, first = self._surplus.get(record, (0, ordinal))
        if held * sign < 0:
            self._count_match(record)
        if held + sign == 0:
            del self._surplus[record]
            self._bytes -= len(record)
            return
        if held == 0:
            self._bytes += len(record)
        self._surplus[record] = (held + sign, first)

    def _count_match(self, record: bytes) -> None:
        self._counts.identical_records += 1
        if self.identity.reason(record) is not None:
            self._counts.invalid_source += 1
            self._counts.invalid_backup += 1

    def is_full(self) -> bool:
        return len(self._surplus) > self._limit or self._bytes > _WINDOW_BYTES

    def spill(self, hashed: HashedWindow) -> Iterator[Residue]:
        """Empties the window into the next one."""
        waiting, self._surplus, self._bytes = self._surplus, {}, 0
        for record, (count, ordinal) in waiting.items():
            side = SOURCE if count > 0 else BACKUP
            yield from hashed.add(self.identity.residue(side, record, abs(count), ordinal))


class HashedWindow:
    """Surpluses of canonical records; the residues of one hash are all of one side.

    ``content_bytes`` of content travel with the residue of the pair, so that a few differences need no second
    reading; the content of the rest is read again if it stays unmatched.
    """

    def __init__(self, window: int, counts: PairCounts, content_bytes: int) -> None:
        self._limit = 2 * window
        self._counts = counts
        self._held: dict[bytes, list[Residue]] = {}
        self._content_left = content_bytes

    def add_all(self, side: int, identity: Identity, records: Sequence[bytes], first_ordinal: int) -> Iterator[Residue]:
        """Adds each record; yields what had to leave."""
        for ordinal, record in enumerate(records, first_ordinal):
            yield from self.add(identity.residue(side, record, 1, ordinal))

    def add(self, new: Residue) -> Iterator[Residue]:
        """Adds a residue, which cancels held ones of the other side; yields what had to leave."""
        if new.reason is not None:
            if new.side == SOURCE:
                self._counts.invalid_source += new.count
            else:
                self._counts.invalid_backup += new.count
        held = self._held.setdefault(new.hash, [])
        if held and held[0].side != new.side:
            self._cancel(held, new)
        else:
            self._hold(held, new)
        if len(self._held) > self._limit:
            for residue in self.flush():
                yield replace(residue, content=None)

    def _hold(self, held: list[Residue], new: Residue) -> None:
        for position, old in enumerate(held):
            if old.raw == new.raw:
                held[position] = replace(old, count=old.count + new.count)
                return
        held.append(self._within_budget(new))

    def _within_budget(self, new: Residue) -> Residue:
        size = len(new.content or b"")
        if size > self._content_left:
            return replace(new, content=None)
        self._content_left -= size
        return new

    def _cancel(self, held: list[Residue], new: Residue) -> None:
        left = new.count
        for old in sorted(held, key=lambda old: old.raw != new.raw):
            used = min(left, old.count)
            if not used:
                break
            if old.raw == new.raw:
                self._counts.identical_records += used
            else:
                self._counts.normalised_records += used
            left -= used
            held.remove(old)
            if old.count > used:
                held.append(replace(old, count=old.count - used))
            elif old.content is not None:
                self._content_left += len(old.content)
        if left:
            self._hold(held, replace(new, count=left))
        elif not held:
            del self._held[new.hash]

    def flush(self) -> Iterator[Residue]:
        """Yields all that is held and forgets it."""
        waiting, self._held = self._held, {}
        for residues in waiting.values():
            yield from residues
