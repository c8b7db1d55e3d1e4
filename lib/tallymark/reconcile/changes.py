"""Finds, among the records of a pair that nothing settled, those that are one record in two versions.

With a key: the leftovers of both sides that share it. Without: the nearest leftover, the one that shares most
fields and more than half of them. The rest is missing on one side.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tallymark.reconcile.canonical import CanonicalForm
from tallymark.reconcile.window import SOURCE
from tallymark.records.json_tree import Node, differing_paths, leaves

SOURCE_ONLY = "source_only"
BACKUP_ONLY = "backup_only"
CHANGED = "changed"

_COMMON_VALUE = 64
"""A value that more leftovers share does not tell which of them is the nearest."""
_CANDIDATES = 8
_AS_IT_IS = CanonicalForm()


@dataclass(frozen=True)
class Leftover:
    """``count`` equal records of one side that nothing settled; ``content`` is JSON text or raw bytes."""

    side: int
    hash: bytes
    count: int
    reason: str | None
    content: bytes


@dataclass(frozen=True)
class Mismatch:
    """One row of the table `mismatches`, without its run and file; ``hash`` is the source's where there is one."""

    bucket_type: str
    hash: bytes
    count: int
    source: bytes | None
    backup: bytes | None
    changed_paths: tuple[str, ...]
    reason: str | None


Fields = dict[str, bytes]


def find_changes(leftovers: Sequence[Leftover], key: Sequence[str], form: CanonicalForm) -> list[Mismatch]:
    """Returns the mismatches of one pair, in a fixed order.

    Args:
        leftovers: both sides, any order; the result does not depend on it.
        key: paths such as ``$.id`` whose values tell which record a version belongs to; empty for the nearest.
        form: the canonical form of the run; what it ignores is no change.
    """
    ordered = sorted(leftovers, key=lambda leftover: leftover.hash)
    sources = [leftover for leftover in ordered if leftover.side == SOURCE]
    backups = [leftover for leftover in ordered if leftover.side != SOURCE]
    # An invalid record has no fields, so it is no version of another.
    trees = [[{} if each.reason else form.tree(each.content) for each in side] for side in (sources, backups)]
    couples = _by_key(sources, backups, key) if key else _by_nearest(*(list(map(_fields, side)) for side in trees))
    found = []
    for i, j in list(couples):
        both = min(sources[i].count, backups[j].count)
        paths = differing_paths(trees[0][i], trees[1][j])
        found.append(_changed(sources[i], backups[j], both, paths))
        sources[i] = replace(sources[i], count=sources[i].count - both)
        backups[j] = replace(backups[j], count=backups[j].count - both)
    found += [_alone(leftover) for leftover in sources + backups if leftover.count]
    return sorted(found, key=lambda row: (row.bucket_type, row.hash))


def key_of(content: bytes, key: Sequence[str]) -> bytes | None:
    """Returns the values of the key in a valid record, or None where it lacks one; equal keys give equal bytes."""
    fields = leaves(_AS_IT_IS.tree(content))
    # Canonical texts hold no control characters, so the values cannot run into each other.
    return b"\0".join(fields[path] for path in key) if all(path in fields for path in key) else None


def _fields(tree: Node) -> Fields:
    return leaves(tree) if tree else {}


def _by_key(sources: Sequence[Leftover], backups: Sequence[Leftover], key: Sequence[str]) -> Iterator[tuple[int, int]]:
    waiting: dict[bytes | None, list[int]] = defaultdict(list)
    for j, backup in enumerate(backups):
        waiting[None if backup.reason else key_of(backup.content, key)].append(j)
    for i, source in enumerate(sources):
        tie = None if source.reason else key_of(source.content, key)
        if tie is not None and waiting[tie]:
            yield i, waiting[tie].pop(0)


def _by_nearest(left: list[Fields], right: list[Fields]) -> Iterator[tuple[int, int]]:
    """Yields couples, the most similar first; a leftover is used once."""
    holders: dict[tuple[str, bytes], list[int]] = defaultdict(list)
    for j, fields in enumerate(right):
        for field in fields.items():
            holders[field].append(j)
    scored = []
    for i, fields in enumerate(left):
        shared: Counter[int] = Counter()
        for field in fields.items():
            if len(holders.get(field, ())) <= _COMMON_VALUE:
                shared.update(holders.get(field, ()))
        for j, _ in sorted(shared.items(), key=lambda item: (-item[1], item[0]))[:_CANDIDATES]:
            same = len(fields.items() & right[j].items())
            size = max(len(fields), len(right[j]))
            if 2 * same > size:
                scored.append((-same / size, i, j))
    used_left: set[int] = set()
    used_right: set[int] = set()
    for _, i, j in sorted(scored):
        if i not in used_left and j not in used_right:
            used_left.add(i)
            used_right.add(j)
            yield i, j


def _changed(source: Leftover, backup: Leftover, count: int, paths: list[str]) -> Mismatch:
    return Mismatch(CHANGED, source.hash, count, source.content, backup.content, tuple(paths), None)


def _alone(leftover: Leftover) -> Mismatch:
    on_source = leftover.side == SOURCE
    return Mismatch(
        SOURCE_ONLY if on_source else BACKUP_ONLY,
        leftover.hash,
        leftover.count,
        leftover.content if on_source else None,
        None if on_source else leftover.content,
        (),
        leftover.reason,
    )
