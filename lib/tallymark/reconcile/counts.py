"""What was counted for the pairs of a run, as it travels from the tasks to the driver and is added up there.

Each task ends with one list of such counts, a mapping for each pair: `pair` is its number, numbers under the names of
`_SUMMED` add up over the stages, the other names (`proof`, `error`, ...) are told once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import orjson

from tallymark.reconcile.window import PairCounts

Counts = dict[str, Any]

OF_PAIR = tuple(field.name for field in fields(PairCounts))
"""What the comparing of a pair counts."""

_SUMMED = frozenset(
    (
        *OF_PAIR,
        "moved_out",
        "moved_in",
        "left_source",
        "left_backup",
        "changed",
        "residue",
        "contents",
        "digests",
        "unsettled",
        "open",
        "open_contents",
    )
)


def packed(counts: Iterable[Counts]) -> bytes:
    """Returns the counts of one task as JSON."""
    return orjson.dumps(list(counts))


def unpacked(counts: bytes) -> list[Counts]:
    """Returns what `packed` packed."""
    told: list[Counts] = orjson.loads(counts)
    return told


def add_counts(new: Counts, onto: dict[int, Counts]) -> None:
    """Adds what one stage counted for a pair onto the counts by pair."""
    of_pair = onto.setdefault(new["pair"], {})
    for name, value in new.items():
        of_pair[name] = of_pair.get(name, 0) + value if name in _SUMMED else value
