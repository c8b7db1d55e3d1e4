"""The task of `reconcile` that settles residue, on the executors: all rows of a hash arrive together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from tallymark.reconcile.counts import Counts
from tallymark.reconcile.settle import settle
from tallymark.reconcile.stages import SETTLED, arrow_schema
from tallymark.reconcile.window import SOURCE
from tallymark.runs.reconcile.arrow_rows import counts_batch

_SCHEMA = arrow_schema(SETTLED)
_OF_SOURCE = {
    "identical": "identical_records",
    "normalised": "normalised_records",
    "moved": "moved_out",
    "missing": "left_source",
}
_OF_BACKUP = {"moved": "moved_in", "missing": "left_backup"}


def settle_residue(arriving: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The function for `mapInArrow` over RESIDUE, sorted by hash, pair and ordinal; it yields SETTLED."""
    all_counts: list[Counts] = []
    for rows in settle(arriving):
        all_counts += _counts(pa.table(rows))
        yield pa.RecordBatch.from_arrays([*rows.columns, pa.nulls(len(rows), pa.binary())], schema=_SCHEMA)
    yield counts_batch(all_counts, _SCHEMA)


def _counts(rows: pa.Table) -> Iterator[Counts]:
    is_open = pc.greater(pc.add(rows["moved"], rows["missing"]), 0)
    kept = pc.and_(is_open, pc.is_valid(rows["content"]))
    rows = rows.append_column("open", is_open.cast(pa.int64())).append_column("open_contents", kept.cast(pa.int64()))
    names = ("identical", "normalised", "moved", "missing", "open", "open_contents")
    sums = rows.group_by(["pair", "side"]).aggregate([(name, "sum") for name in names])
    for row in sums.to_pylist():
        renamed = _OF_SOURCE if row["side"] == SOURCE else _OF_BACKUP
        yield {
            "pair": row["pair"],
            "open": row["open_sum"],
            "open_contents": row["open_contents_sum"],
            **{name: row[f"{kind}_sum"] for kind, name in renamed.items()},
        }
