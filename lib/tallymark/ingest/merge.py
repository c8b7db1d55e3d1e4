"""What is new in an hour: rows in the order of key and position against the rows that the table has of the hour.

The first row of a key is kept, and what the table has came before. A later one with the same content is a duplicate,
one with another content a conflict. An insert-only MERGE of Delta would neither compare contents nor drop the
repetitions of its own source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


@dataclass
class Settled:
    """Counts of one place: ``rows = new + duplicates + conflicts``."""

    rows: int = 0
    new: int = 0
    duplicates: int = 0
    conflicts: int = 0


Known = Callable[[str, str], pa.Table]
"""First and last key -> the rows that the table has of the keys between them: `key` and the content, and maybe more."""


class Merge:
    """Merges the rows of one place; the counts are in ``settled`` when all are through.

    Args:
        content: the columns in which two rows of one key must be equal.
        conflict: gets each row that contradicts another.
    """

    def __init__(self, known: Known, content: Sequence[str], conflict: Callable[[dict[str, Any]], None]) -> None:
        self.settled = Settled()
        self._known = known
        self._content = list(content)
        self._conflict = conflict
        self._kept: list[pa.Table] = []  # the first row of the last key, which the next batch may begin with

    def new_rows(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the rows that are new, of batches that are sorted by `key` and then by their coming."""
        for batch in batches:
            keys = batch.column("key")
            came = pa.Table.from_batches([batch]).select(["key", *self._content])
            rows = pa.concat_tables([self._known(keys[0].as_py(), keys[-1].as_py()), *self._kept, came])
            first = pc.index_in(keys, value_set=rows["key"].combine_chunks())
            itself = pa.array(range(len(rows) - len(came), len(rows)), pa.int32())
            is_new = pc.equal(first, itself)
            new = batch.filter(is_new)
            self.settled.rows += batch.num_rows
            self.settled.new += new.num_rows
            if new.num_rows < batch.num_rows:
                is_late = pc.invert(is_new)
                self._compare(batch.filter(is_late), rows.take(first.filter(is_late)))
            self._kept = [rows.slice(first[-1].as_py(), 1)]
            if new.num_rows:
                yield new

    def _compare(self, late: pa.RecordBatch, first: pa.Table) -> None:
        """Find out what the late rows are: each has the first row of its key beside it."""
        differs = pa.array([False] * late.num_rows)
        for name in self._content:
            ours, theirs = late.column(name), first[name]
            equal = pc.if_else(pc.is_null(ours), pc.is_null(theirs), pc.fill_null(pc.equal(ours, theirs), False))
            differs = pc.or_(differs, pc.invert(equal))
        conflicts = late.filter(differs)
        self.settled.conflicts += conflicts.num_rows
        self.settled.duplicates += late.num_rows - conflicts.num_rows
        for row in conflicts.to_pylist():
            self._conflict(row)
