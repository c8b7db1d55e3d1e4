"""Builds the rows of the tables `files` and `mismatches` from what was counted, settled and explained."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tallymark.reconcile.changes import CHANGED
from tallymark.reconcile.stages import COUNTS
from tallymark.reconcile.tables import FILES, MISMATCHES
from tallymark.reconcile.window import BACKUP, SOURCE

STATUS_MATCH = "MATCH"
STATUS_DIFFERENT = "DIFFERENT"
STATUS_MISSING_IN_BACKUP = "MISSING_IN_BACKUP"
STATUS_MISSING_IN_SOURCE = "MISSING_IN_SOURCE"
STATUS_ERROR = "ERROR"

_PLACED = ("file_path", "source_path", "backup_path", "proof", "error")
_NEVER_UNKNOWN = {*_PLACED, "status", "source_bytes", "backup_bytes", "run_id", "run_time"}


def file_rows(
    compared: DataFrame, settled: DataFrame, explained: DataFrame, run_id: str, run_time: str, partitions: int
) -> DataFrame:
    """Returns one row a pair with the columns of `tables.FILES`, ordered by path.

    Args:
        compared: columns of `stages.COMPARED`; settled: of `settle`; explained: of `stages.EXPLAINED`.

    The counts of a pair in error are null: what could not be read is neither matched nor missing.
    """
    counted = compared.where(F.col("file_path").isNotNull()).select("pair", *COUNTS)
    found = settled.select(
        "pair",
        _on(SOURCE, "identical").alias("identical_records"),
        _on(SOURCE, "normalised").alias("normalised_records"),
        _on(SOURCE, "moved").alias("moved_out"),
        _on(BACKUP, "moved").alias("moved_in"),
        _on(SOURCE, "missing").alias("missing_in_backup"),
        _on(BACKUP, "missing").alias("missing_in_source"),
    )
    changed = F.when(F.col("bucket_type") == CHANGED, F.col("count")).otherwise(0)
    versions = explained.select("pair", changed.alias("mismatched_records"), "error")
    parts = counted.unionByName(found, allowMissingColumns=True).unionByName(versions, allowMissingColumns=True)
    sums = [_total(parts, name) for name in parts.columns if name != "pair"]
    return _finished(parts.repartition(partitions, "pair").groupBy("pair").agg(*sums), run_id, run_time)


def _on(side: int, column: str) -> Column:
    return F.when(F.col("side") == side, F.col(column)).otherwise(0)


def _total(parts: DataFrame, name: str) -> Column:
    of_text = name in _PLACED or name.endswith("_bytes")
    return (F.max(name) if of_text else F.coalesce(F.sum(name), F.lit(0))).alias(name)


def _finished(sums: DataFrame, run_id: str, run_time: str) -> DataFrame:
    matched = F.col("identical_records") + F.col("normalised_records")
    different = F.col("mismatched_records") + F.col("missing_in_backup") + F.col("missing_in_source") > 0
    # div is exact on integers; the rate is cut, so that it never rounds up to 100.
    rate = "(1000000 * (matched_records + moved_out)) div greatest(source_records, backup_records) / 10000"
    rows = (
        sums.withColumn("matched_records", matched)
        .withColumn("missing_in_backup", F.col("missing_in_backup") - F.col("mismatched_records"))
        .withColumn("missing_in_source", F.col("missing_in_source") - F.col("mismatched_records"))
        .withColumn("match_rate", F.when(F.expr("greatest(source_records, backup_records) > 0"), F.expr(rate)))
        .withColumn(
            "status",
            F.when(F.col("error").isNotNull(), STATUS_ERROR)
            .when(F.col("backup_path").isNull(), STATUS_MISSING_IN_BACKUP)
            .when(F.col("source_path").isNull(), STATUS_MISSING_IN_SOURCE)
            .when(different, STATUS_DIFFERENT)
            .otherwise(STATUS_MATCH),
        )
        .withColumn("run_id", F.lit(run_id))
        .withColumn("run_time", F.lit(run_time))
    )
    known = F.col("error").isNull()
    columns = [
        (F.col(name) if name in _NEVER_UNKNOWN else F.when(known, F.col(name))).cast(kind).alias(name)
        for name, kind in FILES.items()
    ]
    # One file of rows in order: a listing fits on the driver, so its rows fit in one task.
    return rows.coalesce(1).sortWithinPartitions("pair").select(*columns)


def mismatch_rows(explained: DataFrame, run_id: str, run_time: str, partitions: int) -> DataFrame:
    """Returns the rows with the columns of `tables.MISMATCHES`, ordered by path, bucket and hash."""
    rows = explained.where(F.col("error").isNull())
    stamped = rows.withColumn("run_id", F.lit(run_id)).withColumn("run_time", F.lit(run_time))
    order = ("pair", "bucket_type", "hash")
    spread = stamped.repartitionByRange(partitions, *order) if partitions > 1 else stamped.coalesce(1)
    return spread.sortWithinPartitions(*order).select(*MISMATCHES)
