"""Remembers the results of pairs from run to run, so that what did not change is not read again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tallymark.io import delta
from tallymark.io.objects import ObjectStore
from tallymark.reconcile.counts import Counts
from tallymark.reconcile.ledger import COUNTED, REMEMBERED, identity, is_trusted, ledger_row, settings_of
from tallymark.reconcile.stages import RESIDUE, arrow_schema
from tallymark.reconcile.tables import LEDGER, LEDGER_RESIDUE, ddl
from tallymark.runs.begun import Run
from tallymark.runs.shipping import ObjectPair, Settings, Shipped

_MOST_RESIDUE = 2_000_000
"""More rows than this are not worth keeping: their pairs are read again."""

Row = dict[str, Any]
Recalled = tuple[ObjectPair, Row]
"""A pair of this run and its row in the ledger."""


@dataclass(frozen=True)
class Ledger:
    """The ledger of one output folder, for pairs of two prefixes under the settings of one run."""

    store: ObjectStore
    run: Run
    settings: Settings

    def recall(self, pairs: list[ObjectPair]) -> list[Recalled]:
        """Returns the pairs that are as they were, with what is remembered of them."""
        if not self._is_kept:
            return []
        known: dict[tuple[Any, ...], Row] = {}
        for batch in delta.read_rows(self.store, self.run.table("ledger"), self._place):
            known |= {tuple(row[name] for name in _IDENTITY): row for row in batch.to_pylist()}
        found = ((pair, known.get(tuple(identity(pair).values()))) for pair in pairs if self._may_know(pair))
        return [(pair, row) for pair, row in found if row is not None]

    def record(self, pairs: list[ObjectPair], counts: dict[int, Counts], settled: DataFrame | None, new: int) -> None:
        """Remembers the pairs that were compared in this run.

        Args:
            settled: columns of `settle.settle`; None where there is no residue.
            new: the tasks below this number have compared; the residue of the others is remembered already.
        """
        if not self._is_kept:
            return
        rows = [self._row(pair, counts[pair.number]) for pair in pairs if self._knows(pair, counts[pair.number])]
        if sum(row["open"] for row in rows) > _MOST_RESIDUE:
            rows = [row for row in rows if not row["open"]]
        if any(row["open"] for row in rows) and settled is not None:
            self._record_residue(settled.where(f"task < {new} AND moved + missing > 0"))
        if rows:
            delta.append_rows(self.store, self.run.table("ledger"), pa.Table.from_pylist(rows, arrow_schema(LEDGER)))

    def _record_residue(self, left: DataFrame) -> None:
        content = "cast(null AS binary)" if self.settings.mask else "content"  # what is masked is written nowhere
        replaced = {"count": "moved + missing", "content": content, "run_id": f"'{self.run.recording}'"}
        rows = left.selectExpr(*(f"{replaced.get(name, name)} AS {name}" for name in LEDGER_RESIDUE))
        delta.append_run(rows, self.run.table("ledger_residue"))

    def residue(self, spark: SparkSession, recalled: list[Recalled], shipped: Shipped) -> DataFrame:
        """Returns the residue of the recalled pairs, columns of `stages.RESIDUE`."""
        numbers = [
            (row["run_id"], row["pair"], shipped.task_of_pair[pair.number], pair.number, pair.is_lonely)
            for pair, row in recalled
            if row["open"]
        ]
        wanted = spark.createDataFrame(numbers, "run_id string, old int, task int, pair int, lonely boolean")
        table = self.run.table("ledger_residue")
        kept = delta.read_runs(spark, self.store, table, {row[0] for row in numbers}, ddl(LEDGER_RESIDUE))
        return kept.withColumnRenamed("pair", "old").join(F.broadcast(wanted), ["run_id", "old"]).select(*RESIDUE)

    @property
    def _is_kept(self) -> bool:
        return self.settings.ledger and not self.settings.full

    @property
    def _place(self) -> Row:
        form, key = self.settings.form, self.settings.key
        settings = settings_of(form, self.settings.format, self.settings.window, key)
        return {"source": self.run.source, "backup": self.run.backup, "settings": settings}

    def _may_know(self, pair: ObjectPair) -> bool:
        # Digests of lonely objects meet before there is residue, so all of them must be there.
        return not (pair.is_lonely and self.settings.lonely_as_digests)

    def _knows(self, pair: ObjectPair, counts: Counts) -> bool:
        if counts["proof"] == REMEMBERED or "error" in counts or "unexplained" in counts or not self._may_know(pair):
            return False
        sides = ((pair.source, "source_told"), (pair.backup, "backup_told"))
        listed_ns = int(self.run.run_time.timestamp() * 1e9)
        return all(item is None or is_trusted(item, counts.get(told, False), listed_ns) for item, told in sides)

    def _row(self, pair: ObjectPair, counts: Counts) -> Row:
        of_run = {"run_id": self.run.recording, "run_time": self.run.run_time_text}
        if self.settings.mask:
            counts = counts | {"open_contents": 0}
        return ledger_row(pair, counts, self._place | of_run)


_IDENTITY = [name for name in LEDGER if name.endswith(("_uri", "_size", "_modified_ns", "_inode", "_etag"))]


def counts_of(recalled: Recalled) -> Counts:
    """Returns what is remembered of a pair as counts of this run."""
    pair, row = recalled
    counts = {name: row[name] for name in COUNTED}
    return {"pair": pair.number, "proof": REMEMBERED, **counts, "residue": row["open"], "contents": row["contents"]}
