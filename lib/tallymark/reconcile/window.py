"""The second window in which records of a pair wait for their partner, as hashes, and what leaves it.

It holds surpluses only: whatever meets its equal is counted and dropped at once.
What it cannot hold goes on as residue.
The first window, of raw bytes, is in `raw_window`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tallymark.reconcile.canonical import CanonicalForm, InvalidRecord
from tallymark.records.formats import Records

SOURCE = 0
BACKUP = 1

Surplus = tuple[bytes, int, int]
"""A raw record, how many more of it the source holds (the backup, where negative), and the ordinal of the first."""


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


@dataclass(frozen=True, slots=True)
class Digests:
    """Raw records of one side in bulk: 16 bytes each, how many equal ones each stands for, the ordinal of the first."""

    side: int
    digests: list[bytes]
    copies: Sequence[int]
    ordinals: Sequence[int]


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

    def raw_digest(self, record: bytes) -> bytes:
        """Returns 16 bytes of SHA-256 that stand for the raw bytes and the dialect."""
        raw = self._dialect.copy()
        raw.update(record)
        return raw.digest()[:16]

    def digest(self, record: bytes) -> tuple[bytes, str | None, bytes]:
        """Returns the hash, the reason code of an invalid record, and the content."""
        try:
            text = self._to_json(record)
            digest, reason = self._form.digest(text)
            return digest, reason, text
        except InvalidRecord as invalid:
            return hashlib.sha256(record).digest(), invalid.reason, record

    def residue(self, side: int, record: bytes, count: int, ordinal: int) -> Residue:
        digest, reason, text = self.digest(record)
        return Residue(side, digest, self.raw_digest(record), count, ordinal, reason, text)


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

    def add_bulk(self, identity: Identity, surplus: list[Surplus]) -> Iterator[Residue]:
        """Adds what is left of both sides, none of which is equal in bytes."""
        digests = [identity.digest(record) for record, _, _ in surplus]
        met = self._met([digest for digest, _, _ in digests], surplus)
        self._counts.normalised_records += len(met)
        for (digest, reason, text), (record, count, ordinal) in zip(digests, surplus):
            if digest not in met:
                side = SOURCE if count > 0 else BACKUP
                raw = identity.raw_digest(record)
                yield from self.add(Residue(side, digest, raw, abs(count), ordinal, reason, text))

    @staticmethod
    def _met(digests: list[bytes], surplus: list[Surplus]) -> set[bytes]:
        """Returns the digests that stand once on each side."""
        sides = [{digest for digest, (_, count, _) in zip(digests, surplus) if count == one} for one in (1, -1)]
        if len(sides[0]) + len(sides[1]) < len(surplus):
            return set()
        return sides[0] & sides[1]

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
