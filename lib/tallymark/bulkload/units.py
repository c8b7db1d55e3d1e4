"""Load units: stretches of one file that are loaded whole or not at all.

Where a unit starts and ends follows from the file's content alone, never from batch size, connections or partitions:
a later run with other ones finds the same units, and the ledger tells it which of them are loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tallymark.records.block import Block

UNIT_BYTES = 4 << 20
MOST_RECORDS = 50_000


@dataclass(frozen=True)
class Unit:
    """Records between two places of the decoded text of a file; ``sha256`` is of that text.

    Args:
        is_last: whether the file ends here; without such a unit a file is not loaded whole.
    """

    start: int
    end: int
    sha256: bytes
    records: list[bytes]
    is_last: bool


def units(blocks: Iterable[Block]) -> Iterator[Unit]:
    """Yields the units of one file, which leave no gap; a file without records is one empty unit.

    A broken file raises from ``blocks`` after the units before the broken place.
    """
    start = end = 0
    digest = hashlib.sha256()
    records: list[bytes] = []
    for block in blocks:
        if end > start and (end - start + len(block.text) > UNIT_BYTES or len(records) >= MOST_RECORDS):
            yield Unit(start, end, digest.digest(), records, is_last=False)
            start, digest, records = end, hashlib.sha256(), []
        digest.update(block.text)
        records.extend(block.records)
        end += len(block.text)
    yield Unit(start, end, digest.digest(), records, is_last=True)
