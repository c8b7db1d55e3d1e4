"""Staging, on the driver: records are read and judged once, and wait in Spark's cache, on disk, in even partitions.

What reading costs is measured here, so that it is part of no cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from tallymark.config.bulkload import BulkloadConfig
from tallymark.runs.bulkload.begun import Run
from tallymark.runs.bulkload.measuring import PACKED, REASON, pack_rows, stage, staged_schema
from tallymark.runs.bulkload.targets import Reading, Source, Target, pack

_FILE = "FILE "
ARROW_ROWS = "spark.sql.execution.arrow.maxRecordsPerBatch"
MOST_AT_ONCE = 5_000
"""Rows of a transaction of the benchmark, unless a batch is larger."""


@dataclass(frozen=True)
class Staged:
    """The rows of one table, for Spark's writer and (``packed``) for our methods.

    ``duplicates``: records with a key that another has; ``rejected``: those that are no rows, by reason.
    """

    rows: DataFrame
    packed: DataFrame
    count: int
    duplicates: int
    rejected: dict[str, int]
    errors: list[str]

    def forget(self) -> None:
        """Frees what Spark keeps of it."""
        self.packed.unpersist()
        self.rows.unpersist()


def stage_all(
    spark: SparkSession,
    config: BulkloadConfig,
    run: Run,
    targets: Sequence[Target],
    sources: Sequence[Source],
    most_connections: int,
) -> dict[Target, Staged]:
    """Stages the files of every table, in as many partitions as a cell can have connections."""
    reading = Reading(run.store, config.nul, config.time_zone)
    cores = spark.sparkContext.defaultParallelism
    at_once = max(MOST_AT_ONCE, *config.batch_size)
    staged = {}
    for target in targets:
        files = [source for source in sources if source.target == target]
        staged[target] = _stage(spark, reading, target, pack(files, cores), max(cores, most_connections), at_once)
    return staged


def _stage(
    spark: SparkSession,
    reading: Reading,
    target: Target,
    tasks: Sequence[Sequence[Source]],
    partitions: int,
    rows_at_once: int,
) -> Staged:
    frame = spark.range(0, len(tasks), 1, max(1, len(tasks))).mapInArrow(
        stage(reading, target, tasks), from_arrow_schema(staged_schema(target))
    )
    everything = frame.persist(StorageLevel.DISK_ONLY)
    refused = everything.where(F.col(REASON).isNotNull()).groupBy(REASON).count().collect()  # a row a reason
    reasons = {row[REASON]: int(row["count"]) for row in refused}
    good = everything.where(F.col(REASON).isNull()).drop(REASON)
    all_rows = good.count()
    distinct = good.dropDuplicates(list(target.key)) if target.key else good
    rows = distinct.repartition(partitions).persist(StorageLevel.DISK_ONLY)
    count = rows.count()
    spark.conf.set(ARROW_ROWS, rows_at_once)
    packed = rows.mapInArrow(pack_rows, from_arrow_schema(PACKED)).persist(StorageLevel.DISK_ONLY)
    packed.count()
    # What is packed goes to Python one by one, so that memory does not grow with the rows.
    spark.conf.set(ARROW_ROWS, 1)
    everything.unpersist()
    return Staged(
        rows=rows,
        packed=packed,
        count=count,
        duplicates=all_rows - count,
        rejected={reason: n for reason, n in reasons.items() if not reason.startswith(_FILE)},
        errors=[reason.removeprefix(_FILE) for reason in reasons if reason.startswith(_FILE)],
    )
