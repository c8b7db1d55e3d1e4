"""Looks once through the mismatches of a run: which paths changed how often, and some records to show.

In bounded memory but for one count a path: a few records of each combination of changed paths are kept, and none that
is too large to be read by a person. Called by `tallymark.runs.reconcile.summary`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from tallymark.reconcile.changes import BACKUP_ONLY, CHANGED, SOURCE_ONLY

_COMBINATIONS = 50
_OF_EACH = 5
_LARGEST = 100_000
"""Characters of a record that is kept, both versions together."""
_JOIN = "\x1f"
_SHOWN = ("file_path", "bucket_type", "changed_paths", "json_content", "backup_content", "count", "reason")


@dataclass(frozen=True)
class Example:
    """A row of the table `mismatches`, with masked values masked."""

    file_path: str
    bucket_type: str
    changed_paths: tuple[str, ...]
    source: str | None
    backup: str | None
    count: int
    reason: str | None


@dataclass
class Evidence:
    """What was seen so far.

    Attributes:
        paths: path -> changed records that differ in it.
        alone: path -> changed records that differ in nothing else.
        combinations: changed paths -> records kept of those that differ in just these; at most 50 times 5.
        missing: a few records that are on one side only.
    """

    paths: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    combinations: dict[str, list[Example]] = field(default_factory=dict)
    missing: dict[str, list[Example]] = field(default_factory=lambda: {SOURCE_ONLY: [], BACKUP_ONLY: []})

    def add(self, mismatches: pa.RecordBatch) -> None:
        """Adds rows of the table `mismatches`."""
        for kind, kept in self.missing.items():
            if len(kept) < _OF_EACH:
                rows = _small(mismatches.filter(pc.equal(mismatches.column("bucket_type"), kind)))
                kept.extend(_examples(rows.slice(0, _OF_EACH - len(kept))))
        changed = mismatches.filter(pc.equal(mismatches.column("bucket_type"), CHANGED))
        if len(changed):
            self._count(changed)
            self._keep(_small(changed))

    def _count(self, changed: pa.RecordBatch) -> None:
        lists, counts = changed.column("changed_paths"), changed.column("count")
        for counter, chosen in ((self.paths, None), (self.alone, pc.equal(pc.list_value_length(lists), 1))):
            of_lists, of_counts = (lists, counts) if chosen is None else (lists.filter(chosen), counts.filter(chosen))
            each = {"path": pc.list_flatten(of_lists), "count": of_counts.take(pc.list_parent_indices(of_lists))}
            summed = pa.table(each).group_by("path").aggregate([("count", "sum")])
            counter.update(dict(zip(summed["path"].to_pylist(), summed["count_sum"].to_pylist())))

    def _keep(self, changed: pa.RecordBatch) -> None:
        rows = pa.table({"paths": pc.binary_join(changed.column("changed_paths"), _JOIN), "row": range(len(changed))})
        first = rows.group_by("paths").aggregate([("row", "min"), ("row", "max"), ("row", "count")])
        for found in first.sort_by([("row_count", "descending")]).slice(0, _COMBINATIONS).to_pylist():
            if found["paths"] not in self.combinations and len(self.combinations) >= _COMBINATIONS:
                continue
            kept = self.combinations.setdefault(found["paths"], [])
            for row in sorted({found["row_min"], found["row_max"]}):
                if len(kept) < _OF_EACH:
                    kept += _examples(changed.slice(row, 1))

    def examples(self, most: int) -> list[Example]:
        """Returns changed records, of different changes first, then records that are missing on a side."""
        changed = [kept for _, kept in sorted(self.combinations.items(), key=self._frequent_first)]
        by_turns = [kept[turn] for turn in range(_OF_EACH) for kept in changed if turn < len(kept)]
        missing = [kept[0] for kept in self.missing.values() if kept]
        return by_turns[: most - len(missing)] + missing

    def _frequent_first(self, item: tuple[str, list[Example]]) -> tuple[int, str]:
        paths = item[0].split(_JOIN)
        return -min(self.paths[path] for path in paths), item[0]


def _small(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Returns the rows whose records are small enough to be shown."""
    source, backup = (pc.binary_length(pc.fill_null(rows.column(name), "")) for name in _SHOWN[3:5])
    return rows.filter(pc.less_equal(pc.add(source, backup), _LARGEST))


def _examples(rows: pa.RecordBatch) -> list[Example]:
    return [
        Example(
            row["file_path"],
            row["bucket_type"],
            tuple(row["changed_paths"] or ()),
            row["json_content"],
            row["backup_content"],
            row["count"],
            row["reason"],
        )
        for row in rows.select(list(_SHOWN)).to_pylist()
    ]
