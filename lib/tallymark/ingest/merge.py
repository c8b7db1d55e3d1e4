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
        self._last: dict[str, Any] | None = None  # the kept row of the last key, where that was in no table

    def new_rows(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the rows that are new, of batches that are sorted by `key` and then by their coming."""
        for batch in batches:
            keys = batch.column("key")
            before = self._known(keys[0].as_py(), keys[-1].as_py())
            in_table = pc.index_in(keys, value_set=before.column("key").combine_chunks())
            late = pc.or_(pc.is_valid(in_table), self._repeats(keys))
            fresh = batch.filter(pc.invert(late))
            self.settled.rows += batch.num_rows
            self.settled.new += fresh.num_rows
            if fresh.num_rows < batch.num_rows:
                self._compare(batch, late.to_pylist(), in_table, before)
            else:
                self._last = batch.slice(batch.num_rows - 1).to_pylist()[0]
            if fresh.num_rows:
                yield fresh

    def _repeats(self, keys: pa.Array) -> pa.Array:
        """Tell of each key whether the row before it has it too."""
        first = self._last is not None and self._last["key"] == keys[0].as_py()
        return pa.concat_arrays([pa.array([first]), pc.equal(keys[1:], keys[:-1])])

    def _compare(self, batch: pa.RecordBatch, late: list[bool], in_table: pa.Array, before: pa.Table) -> None:
        """Find out what the late rows are."""
        known = before.select(self._content).to_pylist() if in_table.null_count < len(in_table) else []
        for row, is_late, at in zip(batch.to_pylist(), late, in_table.to_pylist(), strict=True):
            if not is_late:
                self._last = row
                continue
            first = known[at] if at is not None else self._last
            if first is not None and all(row[name] == first[name] for name in self._content):
                self.settled.duplicates += 1
            else:
                self.settled.conflicts += 1
                self._conflict(row)
