"""Staging, on the driver: records are read and judged once, and wait in Spark's cache in even partitions.

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
from tallymark.runs.bulkload.measuring import REASON, stage, staged_schema
from tallymark.runs.bulkload.targets import Reading, Source, Target, pack

_FILE = "FILE "


@dataclass(frozen=True)
class Staged:
    """The rows of one table; records with a key that another has are duplicates, those that are no rows rejected."""

    rows: DataFrame
    count: int
    duplicates: int
    rejected: dict[str, int]
    errors: list[str]


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
    return {
        target: _stage(
            spark, reading, target, [one for one in sources if one.target == target], cores, most_connections
        )
        for target in targets
    }


def _stage(
    spark: SparkSession, reading: Reading, target: Target, sources: Sequence[Source], cores: int, partitions: int
) -> Staged:
    tasks = pack(sources, cores)
    frame = spark.range(0, len(tasks), 1, max(1, len(tasks))).mapInArrow(
        stage(reading, target, tasks), from_arrow_schema(staged_schema(target))
    )
    everything = frame.persist(StorageLevel.DISK_ONLY)
    refused = everything.where(F.col(REASON).isNotNull()).groupBy(REASON).count().collect()  # a row a reason
    reasons = {row[REASON]: int(row["count"]) for row in refused}
    good = everything.where(F.col(REASON).isNull()).drop(REASON)
    all_rows = good.count()
    distinct = (
        good.dropDuplicates([f"`{name}`" if "." in name else name for name in target.key]) if target.key else good
    )
    rows = distinct.repartition(max(partitions, cores)).persist(StorageLevel.MEMORY_AND_DISK)
    count = rows.count()
    everything.unpersist()
    return Staged(
        rows=rows,
        count=count,
        duplicates=all_rows - count,
        rejected={reason: n for reason, n in reasons.items() if not reason.startswith(_FILE)},
        errors=[reason.removeprefix(_FILE) for reason in reasons if reason.startswith(_FILE)],
    )
