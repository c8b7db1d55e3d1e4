"""The stages of `reconcile` in Spark, in their order: compare, settle digests, settle residue, explain.

Each stage keeps its rows on the executors and ends with one job, by which the counts of its pairs reach the driver.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from types import TracebackType

from py4j.protocol import Py4JError
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tallymark.reconcile.counts import Counts, add_counts, unpacked
from tallymark.reconcile.stages import CANONICAL, COMPARED, EXPLAINED, LEFTOVERS, READ, RESIDUE, SETTLED, UNSETTLED
from tallymark.reconcile.tables import ddl
from tallymark.runs.reconcile.compare_objects import compare_objects
from tallymark.runs.reconcile.explain_leftovers import explain_leftovers
from tallymark.runs.reconcile.read_contents import read_contents
from tallymark.runs.reconcile.settle_digests import read_unsettled, settle_parts
from tallymark.runs.reconcile.settle_residue import settle_residue
from tallymark.runs.reconcile.shipping import ObjectPair, Settings, Shipped

_ROWS_A_PARTITION = 500_000
_DIGESTS_A_PARTITION = 1_000_000
_LEFTOVERS_A_TASK = 5_000
_INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}

Poll = Callable[[], tuple[int, int, int]]
"""Returns the files, records and bytes that are done so far."""
ShowProgress = Callable[[int, int, Poll], AbstractContextManager[object]]
"""Given the files and bytes of the run and its poll; shows the progress while entered."""


class Stages:
    """The stages of one run; ``counts`` has those of each pair, added up as far as the run has come.

    While entered, Spark is set up for small queries; afterwards it is as it was and the executors hold nothing.
    """

    def __init__(self, spark: SparkSession, settings: Settings, shipped: Shipped) -> None:
        self.counts: dict[int, Counts] = {}
        self._spark = spark
        self._settings = settings
        self._shipped = shipped
        self._kept: list[DataFrame] = []
        self._former: dict[str, str | None] = {}

    def __enter__(self) -> Stages:  # noqa: PYI034 - typing.Self is Python 3.11
        # To compile a query takes Spark longer than to run it over the few rows of a healthy run.
        for name, value in _INTERPRETED.items():
            self._former[name] = self._spark.conf.get(name, None)
            self._spark.conf.set(name, value)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Where the run failed because Spark is gone, this fails too, and must not hide why.
        with nullcontext() if failure is None else suppress(Py4JError, PySparkException):
            for name, value in self._former.items():
                if value is None:
                    self._spark.conf.unset(name)
                else:
                    self._spark.conf.set(name, value)
            for frame in self._kept:
                frame.unpersist()
            self._shipped.tasks.destroy()

    def compare(self, pairs: list[ObjectPair], show_progress: ShowProgress) -> DataFrame:
        """Compares the pairs of the comparing tasks; returns their residue, columns of `stages.RESIDUE`."""
        count = self._shipped.comparing
        files, records, size = (self._spark.sparkContext.accumulator(0) for _ in range(3))
        compare = compare_objects(self._settings, self._shipped.tasks, (files, records, size))
        rows = self._keep(self._spark.range(0, count, 1, max(1, count)).mapInArrow(compare, ddl(COMPARED)))
        total = sum(pair.bytes for pair in pairs)
        with show_progress(len(pairs), total, lambda: (files.value, records.value, size.value)):
            self._add_up(rows)
        # What was read before an error proves nothing.
        in_error = [pair for pair, counts in self.counts.items() if "error" in counts]
        for pair in in_error:
            self.counts[pair] |= {"residue": 0, "contents": 0, "digests": 0}
        residue = self._without(rows.where("hash IS NOT NULL").select(*RESIDUE), in_error)
        return residue.unionByName(self._settle_digests(rows, in_error)) if self.total("digests") else residue

    def _settle_digests(self, rows: DataFrame, in_error: list[int]) -> DataFrame:
        """Returns as residue what no digest met."""
        parts = rows.where("part IS NOT NULL").select("part", "digests")
        parts = parts.repartition(1 + self.total("digests") // _DIGESTS_A_PARTITION, "part")
        parts = parts.sortWithinPartitions("part")
        task_of_pair = self._spark.sparkContext.broadcast(self._shipped.task_of_pair)
        unsettled = self._keep(parts.mapInArrow(settle_parts(task_of_pair, in_error), ddl(UNSETTLED)))
        self._add_up(unsettled)
        tasks = self._tasks(self.total("unsettled"))
        by_ordinal = unsettled.where("counts IS NULL").repartition(tasks, "task", "pair")
        by_ordinal = by_ordinal.sortWithinPartitions("task", "pair", "ordinal")
        read = read_unsettled(self._settings, self._shipped.tasks)
        canonical = self._keep(by_ordinal.mapInArrow(read, ddl(CANONICAL)))
        if self.total("unsettled"):
            self._add_up(canonical)
        unread = [pair for pair, counts in self.counts.items() if "unexplained" in counts]
        return self._without(canonical.where("counts IS NULL").select(*RESIDUE), unread)

    def recall(self, residue: DataFrame, known: list[Counts], kept: Callable[[], DataFrame]) -> DataFrame:
        """Adds what is remembered of pairs: their counts, and where they have residue the one that was ``kept``."""
        for counts in known:
            add_counts(counts, self.counts)
        return residue.unionByName(kept()) if any(counts["residue"] for counts in known) else residue

    def settle(self, residue: DataFrame) -> DataFrame | None:
        """Sets the residue of all pairs off; returns it as `stages.SETTLED`, None without any."""
        if not self.total("residue"):
            return None
        spread = residue.repartition(partitions(self.total("residue")), "hash")
        in_order = spread.sortWithinPartitions("hash", "pair", "ordinal")
        settled = self._keep(in_order.mapInArrow(settle_residue, ddl(SETTLED)))
        self._add_up(settled)
        return settled.where("counts IS NULL")

    def explain(self, settled: DataFrame | None) -> DataFrame | None:
        """Returns the mismatches, columns of `stages.EXPLAINED`, None without any; reads again what did not travel."""
        if settled is None or not self.total("left_source") + self.total("left_backup"):
            return None
        left = settled.where("missing > 0").withColumn("count", F.col("missing")).select(*LEFTOVERS)
        tasks = self._tasks(self.total("residue"))
        if self._settings.key or self.total("contents") < self.total("residue"):
            by_ordinal = left.repartition(tasks, "task", "pair").sortWithinPartitions("task", "pair", "ordinal")
            read = by_ordinal.mapInArrow(read_contents(self._settings, self._shipped.tasks), ddl(READ))
        else:
            read = left.selectExpr("*", "cast(null AS binary) AS key", "cast(null AS string) AS error")
        together = read.repartition(tasks, "task", "pair").sortWithinPartitions("task", "pair", "key", "ordinal")
        explain = explain_leftovers(self._settings, self._shipped.tasks)
        explained = self._keep(together.mapInArrow(explain, ddl(EXPLAINED)))
        self._add_up(explained)
        return explained.where("counts IS NULL")

    def total(self, name: str) -> int:
        """Returns the sum of one count over all pairs."""
        return sum(counts.get(name, 0) for counts in self.counts.values())

    def _keep(self, frame: DataFrame) -> DataFrame:
        # In memory Spark gathers all of a task's rows before it finds that they do not fit, and the JVM ends.
        kept = frame.persist(StorageLevel.DISK_ONLY)
        self._kept.append(kept)
        return kept

    def _add_up(self, rows: DataFrame) -> None:
        for row in rows.where("counts IS NOT NULL").select("counts").collect():
            for counts in unpacked(row.counts):
                add_counts(counts, self.counts)

    def _without(self, rows: DataFrame, pairs: list[int]) -> DataFrame:
        if not pairs:
            return rows
        excluded = self._spark.createDataFrame([(pair,) for pair in pairs], "pair int")
        return rows.join(F.broadcast(excluded), on="pair", how="left_anti").select(*rows.columns)

    def _tasks(self, rows: int) -> int:
        """Reading again costs more than a row weighs, so there are more tasks than rows alone would need."""
        return max(1, min(len(self._shipped.tasks.value), rows // _LEFTOVERS_A_TASK))


def partitions(rows: int) -> int:
    """In as many as the rows need: they are few in a healthy run, and every task has its price."""
    return 1 + rows // _ROWS_A_PARTITION
