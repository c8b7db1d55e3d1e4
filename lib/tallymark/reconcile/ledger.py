"""When the result of a pair is known already: same objects, same settings.

The ledger holds what the comparing of a pair gave before other files came into play, so it stays true whatever
happens to those: the counts, and as rows of the table `ledger_residue` the records that no record of the pair met.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from tallymark.reconcile.canonical import VERSION, CanonicalForm
from tallymark.reconcile.counts import OF_PAIR, Counts
from tallymark.reconcile.tables import LEDGER

REMEMBERED = "remembered"

_TICK_NS = 20_000_000
_COARSE_NS = 2_000_000_000


class Identified(Protocol):
    """What tells one state of an object from another; see `io.stored.StoredObject`."""

    @property
    def modified_ns(self) -> int: ...

    @property
    def inode(self) -> int | None: ...

    @property
    def checksum(self) -> str | None: ...


def settings_of(form: CanonicalForm, format: str, window: int, key: tuple[str, ...]) -> str:
    """Returns the settings on which the result of a pair depends, as JSON text."""
    relaxed = {name: list(map(str, getattr(form, name))) for name in ("ignore", "unordered")}
    plain = {"unicode": form.unicode, "numbers": form.numbers, "format": format, "chunk_size": window, "key": key}
    return json.dumps({"canonical_version": VERSION, **relaxed, **plain}, sort_keys=True)


def is_trusted(item: Identified, told_by_etag: bool, listed_ns: int) -> bool:
    """Tells whether an object in another state would surely look different in a listing.

    Args:
        told_by_etag: the MD5 of the bytes that were read is the ETag.
        listed_ns: when the object was listed.

    On S3 such an ETag tells, or the checksum that it keeps over the whole object: the ETag of many parts, or under
    SSE-KMS, is no MD5. A file is told by size, time and inode, unless it was written so shortly before that a second
    write may have left the same time: file systems have a tick of some milliseconds, or of a second or two.
    """
    if item.inode is None:
        return told_by_etag or item.checksum is not None
    margin = _COARSE_NS if item.modified_ns % 1_000_000_000 == 0 else _TICK_NS
    return item.modified_ns + margin < listed_ns


def ledger_row(counts: Counts, place: dict[str, Any]) -> dict[str, Any]:
    """Returns what is remembered of a pair, columns of `tables.LEDGER`; ``place`` names its objects and the run."""
    known = place | {name: counts.get(name, 0) for name in OF_PAIR}
    known |= {"pair": counts["pair"], "proof": counts["proof"]}
    known |= {"open": counts.get("open", 0), "contents": counts.get("open_contents", 0)}
    return {name: known[name] for name in LEDGER}
