"""The tasks between comparing and settling, on the executors: digests meet, and what they leave is read again.

Only runs in which a window overflowed, or in which many records lie in lonely objects, have digests.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np
import pyarrow as pa

from tallymark.errors import ObjectError
from tallymark.reconcile.compare import PAIR_CONTENT_BYTES
from tallymark.reconcile.counts import Counts
from tallymark.reconcile.digests import ROW, DigestRows, settle_digests
from tallymark.reconcile.stages import CANONICAL, UNSETTLED, arrow_schema
from tallymark.reconcile.window import HashedWindow, PairCounts, Residue
from tallymark.runs.reconcile.arrow_rows import batches, counts_batch
from tallymark.runs.reconcile.read_contents import Contents
from tallymark.runs.reconcile.shipping import Broadcast, ObjectPair, PackedTasks, Row, Settings, by_pair

_UNSETTLED = arrow_schema(UNSETTLED)
_CANONICAL = arrow_schema(CANONICAL)


def settle_parts(
    task_of_pair: Broadcast[list[int]], in_error: Sequence[int]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Returns the function for `mapInArrow` over columns part and digests, sorted by part; it yields `UNSETTLED`.

    Args:
        task_of_pair: the number of the task of each pair.
        in_error: pairs whose digests prove nothing, because an object of theirs could not be read to its end.
    """

    def run(arriving: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        tasks = np.array(task_of_pair.value, "int32")
        packed = (row for batch in arriving for row in zip(batch["part"].to_pylist(), batch["digests"].to_pylist()))
        sums = []
        for _, of_part in groupby(packed, key=itemgetter(0)):
            rows = np.concatenate([np.frombuffer(digests, ROW) for _, digests in of_part])
            left, settled = settle_digests(rows[~np.isin(rows["pair"], in_error)] if in_error else rows)
            sums += [{"pair": pair, **counts} for pair, counts in settled.items()]
            of_pairs, unsettled = np.unique(left["pair"], return_counts=True)
            sums += [{"pair": pair, "unsettled": n} for pair, n in zip(of_pairs.tolist(), unsettled.tolist())]
            columns = {
                "task": tasks[left["pair"]],
                "pair": left["pair"].astype("int32"),
                "side": left["side"].astype("int32"),
                "count": left["count"].astype("int64"),
                "ordinal": left["ordinal"].astype("int64"),
            }
            counts = pa.nulls(len(left), pa.binary())
            yield pa.RecordBatch.from_arrays([*map(pa.array, columns.values()), counts], schema=_UNSETTLED)
        yield counts_batch(sums, _UNSETTLED)

    return run


def read_unsettled(
    settings: Settings, tasks: PackedTasks
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Returns the function for `mapInArrow` over `UNSETTLED`, sorted; it yields `CANONICAL`."""

    def run(arriving: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        all_counts = []
        for task, pair, rows in by_pair(arriving, tasks):
            reading = _Reading(pair, settings)
            yield from batches(task, pair, reading.residue(rows), _CANONICAL, DigestRows(1))
            all_counts.append(reading.told())
        yield counts_batch(all_counts, _CANONICAL)

    return run


class _Reading:
    """One pair whose unsettled records are read again."""

    def __init__(self, pair: ObjectPair, settings: Settings) -> None:
        self._pair = pair
        self._settings = settings
        self._found = PairCounts()
        self._left = Counter[str]()
        self._rows = [0, 0]
        self._error: str | None = None

    def residue(self, rows: Iterable[Row]) -> Iterator[Residue]:
        """Yields the records as residue; never raises."""
        counted = self._counted(rows)
        items = (self._pair.source, self._pair.backup)
        contents = {side: Contents(item, self._settings) for side, item in enumerate(items) if item}
        hashed = HashedWindow(self._settings.window, self._found, PAIR_CONTENT_BYTES)
        try:
            for row in counted:
                new = contents[row["side"]].residue(row["side"], row["count"], row["ordinal"])
                yield from self._told(hashed.add(new))
            yield from self._told(hashed.flush())
        except ObjectError as failure:
            self._error = str(failure)
            deque(counted, 0)

    def _counted(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self._rows[row["side"]] += row["count"]
            yield row

    def _told(self, residue: Iterable[Residue]) -> Iterator[Residue]:
        for row in residue:
            self._left.update(residue=1, contents=row.content is not None)
            yield row

    def told(self) -> Counts:
        if self._error is not None:  # what was yielded is not taken then: all of it is left, and why is unknown
            left_source, left_backup = self._rows
            return {
                "pair": self._pair.number,
                "unexplained": self._error,
                "left_source": left_source,
                "left_backup": left_backup,
            }
        # The invalid ones were counted when they left as digests.
        found = {
            "identical_records": self._found.identical_records,
            "normalised_records": self._found.normalised_records,
        }
        return {"pair": self._pair.number, **found, **self._left}
