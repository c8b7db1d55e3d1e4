"""Plans a run: which object is compared with which, by which proof.

Works on listings alone; reads no object. Objects pair by their path below the prefix, and `x.json` pairs with
`x.json.gz`. The proof that is planned is the cheapest one that may hold; the task falls back to `compare`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

IDENTICAL = "identical"
COMPARE = "compare"
LONELY = "lonely"
FULL = "full"


class Listed(Protocol):
    """What the plan needs to know of an object."""

    @property
    def path(self) -> str: ...

    @property
    def size(self) -> int: ...


Object = TypeVar("Object", bound=Listed)


@dataclass(frozen=True, slots=True)
class Pair(Generic[Object]):
    """Two objects to compare, or one lonely object; ``number`` orders pairs by their path."""

    number: int
    source: Object | None
    backup: Object | None

    @property
    def file_path(self) -> str:
        named = self.source or self.backup
        return named.path if named is not None else ""

    @property
    def is_lonely(self) -> bool:
        return self.source is None or self.backup is None

    @property
    def bytes(self) -> int:
        return sum(side.size for side in (self.source, self.backup) if side is not None)


def pair_objects(source: Iterable[Object], backup: Iterable[Object]) -> list[Pair[Object]]:
    """Returns all pairs and lonely objects, by path; equal paths pair before paths that differ only in `.gz`."""
    sources = {item.path: item for item in source}
    backups = {item.path: item for item in backup}
    partner: dict[str, str] = {path: path for path in sources.keys() & backups.keys()}
    free = {_logical(path): path for path in sorted(backups.keys() - partner.keys(), reverse=True)}
    for path in sorted(sources.keys() - partner.keys()):
        if _logical(path) in free:
            partner[path] = free.pop(_logical(path))
    taken = set(partner.values())
    couples = [(sources[path], backups[partner[path]] if path in partner else None) for path in sources]
    couples_and_lonely = couples + [(None, item) for path, item in backups.items() if path not in taken]
    ordered = sorted(couples_and_lonely, key=lambda couple: (_path(couple), couple[0] is None))
    return [Pair(number, left, right) for number, (left, right) in enumerate(ordered)]


def _path(couple: tuple[Object | None, Object | None]) -> str:
    named = couple[0] or couple[1]
    return named.path if named is not None else ""


def _logical(path: str) -> str:
    return path[:-3] if path.lower().endswith(".gz") else path
