"""Remembers the results of pairs from run to run, so that what did not change is not read again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tallymark.io import delta
from tallymark.io.objects import ObjectStore
from tallymark.io.stored import StoredObject, shown
from tallymark.reconcile.changes import BACKUP_ONLY, CHANGED, SOURCE_ONLY
from tallymark.reconcile.counts import OF_PAIR, Counts
from tallymark.reconcile.ledger import REMEMBERED, is_trusted, ledger_row, settings_of
from tallymark.reconcile.plan import Pair
from tallymark.reconcile.stages import RESIDUE, arrow_schema
from tallymark.reconcile.tables import FILES, LEDGER, LEDGER_RESIDUE, MISMATCHES, ddl
from tallymark.runs.reconcile.begun import Run
from tallymark.runs.reconcile.shipping import ObjectPair, Row, Settings, Shipped

_MOST_RESIDUE = 2_000_000
"""More rows than this are not worth keeping: their pairs are read again."""

_TOLD = {CHANGED: "mismatched_records", SOURCE_ONLY: "missing_in_backup", BACKUP_ONLY: "missing_in_source"}
"""Where the row of a run in `runs` tells how many records its rows in `mismatches` hold, by their ``bucket_type``."""

_STATE = ("uri", "size", "modified_ns", "inode", "etag")
IDENTITY = tuple(f"{side}_{name}" for side in ("source", "backup") for name in _STATE)
"""The columns of the ledger that name two objects in the state in which they were listed."""

Recalled = tuple[ObjectPair, Row]
"""A pair of this run and its row in the ledger."""


@dataclass(frozen=True)
class Ledger:
    """The ledger of one output folder, for pairs of two prefixes under the settings of one run."""

    store: ObjectStore
    run: Run
    settings: Settings
    is_wanted: bool

    def identified(self, pairs: list[ObjectPair]) -> list[ObjectPair]:
        """Returns the pairs with the checksums of those objects that nothing in a listing tells from others."""
        if not self._is_kept:
            return pairs
        found = self.store.checksums(item for pair in pairs for item in (pair.source, pair.backup) if item is not None)

        def told(item: StoredObject | None) -> StoredObject | None:
            return item if item is None or item.uri not in found else replace(item, checksum=found[item.uri])

        return [Pair(pair.number, told(pair.source), told(pair.backup)) for pair in pairs] if found else pairs

    def repeat(self, pairs: list[ObjectPair]) -> tuple[pa.Table, str] | None:
        """Takes over the results of an earlier run if nothing at all has changed since.

        Returns the rows of `files` and the fingerprint, or None where something is to be done.
        """
        found = self.repeated(pairs)
        if found is None:
            return None
        earlier, rows = found
        now = {"run_id": self.run.run_id, "run_time": self.run.run_time_text, "proof": REMEMBERED}
        sorted_rows = sorted((row | now for row in rows), key=lambda row: str(row["file_path"]))
        delta.copy_run(
            self.store, self.run.table("mismatches"), earlier["run_id"], self.run.run_id,
            {"run_time": self.run.run_time_text}, arrow_schema(MISMATCHES),
        )  # fmt: skip
        return pa.Table.from_pylist(sorted_rows, arrow_schema(FILES)), self._fingerprint(pairs)

    def repeated(self, pairs: list[ObjectPair]) -> tuple[Row, list[Row]] | None:
        """Returns the earlier run since which nothing has changed, and its rows of `files`."""
        if not self._is_kept or not pairs:
            return None
        fingerprint = self._fingerprint(pairs)
        alike = delta.read_rows(self.store, self.run.table("runs"), {"fingerprint": fingerprint})
        finished = [row for batch in alike for row in batch.to_pylist() if row["verdict"] is not None]
        if not finished:
            return None
        earlier = max(finished, key=lambda row: row["run_time"])
        rows = [
            row
            for batch in delta.read_rows(self.store, self.run.table("files"), {"run_id": earlier["run_id"]})
            for row in batch.to_pylist()
        ]
        if len(rows) != len(pairs) or not self._has_its_mismatches(earlier):  # somebody has tidied up
            return None
        return earlier, rows

    def _has_its_mismatches(self, earlier: Row) -> bool:
        found = delta.sum_run(self.store, self.run.table("mismatches"), earlier["run_id"], "count", by="bucket_type")
        told = {name: earlier[column] for name, column in _TOLD.items() if earlier[column]}
        return found == told

    def recall(self, pairs: list[ObjectPair]) -> list[Recalled]:
        """Returns the pairs that are as they were, with what is remembered of them."""
        if not self._is_kept:
            return []
        known: dict[tuple[Any, ...], Row] = {}
        for batch in delta.read_rows(self.store, self.run.table("ledger"), self._place):
            known |= {tuple(row[name] for name in IDENTITY): row for row in batch.to_pylist()}
        found = ((pair, known.get(tuple(identity(pair).values()))) for pair in pairs if self._may_know(pair))
        return [(pair, row) for pair, row in found if row is not None]

    def record(
        self, pairs: list[ObjectPair], counts: dict[int, Counts], settled: DataFrame | None, new: int
    ) -> str | None:
        """Remembers what this run compared; returns its fingerprint if the state of every object is certain.

        Args:
            settled: columns of `stages.SETTLED`; None where there is no residue.
            new: the tasks below this number have compared; the residue of the others is remembered already.
        """
        if not self._is_kept:
            return None
        certain = [pair for pair in pairs if self._is_certain(pair, counts[pair.number])]
        compared = [pair for pair in certain if counts[pair.number]["proof"] != REMEMBERED and self._may_know(pair)]
        rows = [self._row(pair, counts[pair.number]) for pair in compared]
        if sum(row["open"] for row in rows) > _MOST_RESIDUE:
            rows = [row for row in rows if not row["open"]]
        if any(row["open"] for row in rows) and settled is not None:
            self._record_residue(settled.where(f"task < {new} AND moved + missing > 0"))
        if rows:
            delta.append_rows(self.store, self.run.table("ledger"), pa.Table.from_pylist(rows, arrow_schema(LEDGER)))
        return self._fingerprint(pairs) if len(certain) == len(pairs) else None

    def _fingerprint(self, pairs: list[ObjectPair]) -> str:
        """Returns SHA-256 of all that the result of the run depends on."""
        digest = hashlib.sha256(orjson.dumps([self._place, list(map(str, self.settings.mask))]))
        for pair in pairs:
            digest.update(orjson.dumps([shown(pair.file_path), *identity(pair).values()]))
        return digest.hexdigest()

    def _record_residue(self, left: DataFrame) -> None:
        rows = left.withColumn("count", F.col("moved") + F.col("missing"))
        if self.settings.mask:  # what is masked is written nowhere
            rows = rows.withColumn("content", F.lit(None).cast("binary"))
        table = self.run.table("ledger_residue")
        delta.append_run(self.store, table, self.run.recording, rows, arrow_schema(LEDGER_RESIDUE))

    def residue(self, spark: SparkSession, recalled: list[Recalled], shipped: Shipped) -> DataFrame:
        """Returns the residue of the recalled pairs, columns of `stages.RESIDUE`."""
        numbers = [
            (row["run_id"], row["pair"], shipped.task_of_pair[pair.number], pair.number, pair.is_lonely)
            for pair, row in recalled
            if row["open"]
        ]
        wanted = spark.createDataFrame(numbers, "run_id string, old int, task int, pair int, lonely boolean")
        table = self.run.table("ledger_residue")
        files = delta.run_files(self.store, table, {row[0] for row in numbers})
        kept = delta.read_files(spark, table, files, ddl(LEDGER_RESIDUE))
        return kept.withColumnRenamed("pair", "old").join(F.broadcast(wanted), ["run_id", "old"]).select(*RESIDUE)

    @property
    def _is_kept(self) -> bool:
        return self.is_wanted and not self.settings.full

    @property
    def _place(self) -> Row:
        form, key = self.settings.form, self.settings.key
        settings = settings_of(form, self.settings.format, self.settings.window, key)
        return {"source": self.run.source, "backup": self.run.backup, "settings": settings}

    def _may_know(self, pair: ObjectPair) -> bool:
        # Digests of lonely objects meet before there is residue, so all of them must be there.
        return not (pair.is_lonely and self.settings.lonely_as_digests)

    def _is_certain(self, pair: ObjectPair, counts: Counts) -> bool:
        """Tells whether the pair was read without error, from objects whose state a listing tells for sure."""
        if "error" in counts or "unexplained" in counts:
            return False
        if counts["proof"] == REMEMBERED:
            return True
        sides = ((pair.source, "source_told"), (pair.backup, "backup_told"))
        listed_ns = int(self.run.run_time.timestamp() * 1e9)
        return all(item is None or is_trusted(item, counts.get(told, False), listed_ns) for item, told in sides)

    def _row(self, pair: ObjectPair, counts: Counts) -> Row:
        of_run = {"run_id": self.run.recording, "run_time": self.run.run_time_text}
        if self.settings.mask:
            counts = counts | {"open_contents": 0}
        return ledger_row(counts, self._place | identity(pair) | of_run)


def identity(pair: ObjectPair) -> Row:
    """Returns the columns `IDENTITY` of a pair, null for an object that is missing."""
    values = (getattr(item, name, None) for item in (pair.source, pair.backup) for name in _STATE)
    known = dict(zip(IDENTITY, (shown(value) if isinstance(value, str) else value for value in values)))
    for side, item in (("source", pair.source), ("backup", pair.backup)):
        if item is not None and item.checksum is not None:
            known[f"{side}_etag"] = f"{item.etag} {item.checksum}"
    return known


def counts_of(recalled: Recalled) -> Counts:
    """Returns what is remembered of a pair as counts of this run."""
    pair, row = recalled
    counts = {name: row[name] for name in OF_PAIR}
    return {"pair": pair.number, "proof": REMEMBERED, **counts, "residue": row["open"], "contents": row["contents"]}
