"""What a run compares of what it has listed: everything, or a part that its options named.

A part is never called the whole: `Scope` travels with the summary, and every report says it. Called by
`tallymark.runs.reconcile`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tallymark.reconcile.plan import Pair


class Aged(Protocol):
    """What the scope needs to know of an object."""

    @property
    def path(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def modified_ns(self) -> int: ...


Object = TypeVar("Object", bound=Aged)


@dataclass(frozen=True)
class Scope:
    """How much of what was listed a run has compared.

    Attributes:
        listed: pairs and lonely objects under both prefixes.
        left_alone: those of them that were younger than ``min_age``.
        only_failed_from: the run whose failed files were compared, None for all files.
        left_out: pairs that did not fail there.
    """

    listed: int
    left_alone: int = 0
    left_out: int = 0
    min_age: str | None = None
    only_failed_from: str | None = None

    @property
    def compared(self) -> int:
        return self.listed - self.left_alone - self.left_out

    @property
    def is_partial(self) -> bool:
        """Whether something was listed and not compared."""
        return self.compared < self.listed


def is_young(pair: Pair[Object], before_ns: int) -> bool:
    """Tells whether an object of the pair was written at this moment or later: a copy of it may be on its way."""
    return any(item is not None and item.modified_ns >= before_ns for item in (pair.source, pair.backup))


def failed_pairs(
    pairs: Sequence[Pair[Object]], sources: Collection[str], backups: Collection[str]
) -> list[Pair[Object]]:
    """Returns the pairs one of whose objects is named by its path, on the side where it was."""
    return [
        pair
        for pair in pairs
        if (pair.source is not None and pair.source.path in sources)
        or (pair.backup is not None and pair.backup.path in backups)
    ]
