"""The rows of a table's files by ranges of their key, as a task reads them. Runs on executors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


class SortedRows:
    """The rows of some files of a table by ranges of their key, a few row groups at a time.

    Files that were written sorted by the key are read in step; others (after OPTIMIZE) as a whole.
    """

    def __init__(self, paths: Sequence[Path], schema: pa.Schema) -> None:
        """Open the files; the key is the first column of the schema."""
        self._schema = schema
        key = schema.names[0]
        self._groups = [
            (low, high, file, group) for file in map(pq.ParquetFile, paths) for low, high, group in _ranges(file, key)
        ]
        self._loaded: dict[int, pa.Table] = {}

    def between(self, low: str, high: str) -> pa.Table:
        """Return rows that include all from ``low`` to ``high``; asked in rising order of ``low``."""
        wanted = {
            number
            for number, (least, most, _, _) in enumerate(self._groups)
            if (least is None or least <= high) and (most is None or most >= low)
        }
        self._loaded = {number: self._loaded.get(number) or self._read(number) for number in sorted(wanted)}
        return pa.concat_tables([self._schema.empty_table(), *self._loaded.values()])

    def _read(self, number: int) -> pa.Table:
        _, _, file, group = self._groups[number]
        return file.read_row_group(group, columns=self._schema.names).select(self._schema.names).cast(self._schema)


def _ranges(file: pq.ParquetFile, key: str) -> Iterator[tuple[str | None, str | None, int]]:
    column = file.schema_arrow.names.index(key)
    for group in range(file.metadata.num_row_groups):
        statistics = file.metadata.row_group(group).column(column).statistics
        known = statistics is not None and statistics.has_min_max
        yield (statistics.min, statistics.max, group) if known else (None, None, group)
