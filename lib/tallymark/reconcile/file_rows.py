"""Builds the rows of the tables `files` and `mismatches` from what was counted, settled and explained."""

from __future__ import annotations

from collections.abc import Iterator

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tallymark.reconcile.changes import CHANGED
from tallymark.reconcile.tables import FILES, MISMATCHES
from tallymark.reconcile.window import BACKUP, SOURCE

STATUS_MATCH = "MATCH"
STATUS_DIFFERENT = "DIFFERENT"
STATUS_MISSING_IN_BACKUP = "MISSING_IN_BACKUP"
STATUS_MISSING_IN_SOURCE = "MISSING_IN_SOURCE"
STATUS_ERROR = "ERROR"

_PLACED = ("file_path", "source_path", "backup_path", "source_bytes", "backup_bytes", "proof", "error")
_COUNTED = (
    "source_records",
    "backup_records",
    "identical_records",
    "normalised_records",
    "invalid_source",
    "invalid_backup",
)
_SETTLED = {
    "identical_records": f"if(side = {SOURCE}, identical, 0)",
    "normalised_records": f"if(side = {SOURCE}, normalised, 0)",
    "moved_out": f"if(side = {SOURCE}, moved, 0)",
    "moved_in": f"if(side = {BACKUP}, moved, 0)",
    "left_source": f"if(side = {SOURCE}, missing, 0)",
    "left_backup": f"if(side = {BACKUP}, missing, 0)",
}
_SUMMED = (*_COUNTED, "moved_out", "moved_in", "left_source", "left_backup", "changed")
_FOUND = "(identical_records + normalised_records + moved_out)"
_DERIVED = {
    "matched_records": "identical_records + normalised_records",
    "mismatched_records": "changed",
    "missing_in_backup": "left_source - changed",
    "missing_in_source": "left_backup - changed",
    # div is exact on integers, and it cuts: the rate never rounds up to 100.
    "match_rate": f"""if(greatest(source_records, backup_records) = 0, null,
        (1000000 * {_FOUND}) div greatest(source_records, backup_records) / 10000)""",
}
_STATUS = f"""CASE
    WHEN error IS NOT NULL OR unexplained IS NOT NULL THEN '{STATUS_ERROR}'
    WHEN backup_path IS NULL THEN '{STATUS_MISSING_IN_BACKUP}'
    WHEN source_path IS NULL THEN '{STATUS_MISSING_IN_SOURCE}'
    WHEN left_source + left_backup > 0 THEN '{STATUS_DIFFERENT}'
    ELSE '{STATUS_MATCH}' END"""


def file_rows(
    compared: DataFrame, settled: DataFrame, explained: DataFrame, run_id: str, run_time: str, partitions: int
) -> DataFrame:
    """Returns one row a pair with the columns of `tables.FILES`, ordered by path.

    Args:
        compared: columns of `stages.COMPARED`; settled: of `settle`; explained: of `stages.EXPLAINED`.

    The counts of a pair in error are null: what could not be read is neither matched nor missing. A pair that was
    read but could not be read again to explain its leftovers is an error too, and keeps its counts.
    """
    counted = compared.where("file_path IS NOT NULL").select("pair", *_PLACED, *_COUNTED)
    found = settled.selectExpr("pair", *(f"{rule} AS {name}" for name, rule in _SETTLED.items()))
    versions = explained.selectExpr(
        "pair", f"if(bucket_type = '{CHANGED}', count, 0) AS changed", "error AS unexplained"
    )
    parts = counted.unionByName(found, allowMissingColumns=True).unionByName(versions, allowMissingColumns=True)
    sums = [F.max(name).alias(name) for name in (*_PLACED, "unexplained")]
    sums += [F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in _SUMMED]
    rows = parts.repartition(partitions, "pair").groupBy("pair").agg(*sums)
    # One file of rows in order: the listing fits on the driver, so its rows fit in one task.
    return rows.coalesce(1).sortWithinPartitions("pair").selectExpr(*_final(run_id, run_time))


def _final(run_id: str, run_time: str) -> Iterator[str]:
    """Yields the SQL of each column of the table, in its order."""
    certain = {
        "status": _STATUS,
        "error": "coalesce(error, unexplained)",
        "run_id": f"'{run_id}'",
        "run_time": f"'{run_time}'",
    }
    for name, kind in FILES.items():
        if name in _PLACED or name in certain:
            yield f"{certain.get(name, name)} AS {name}"
        else:
            yield f"cast(if(error IS NULL, {_DERIVED.get(name, name)}, null) AS {kind}) AS {name}"


def mismatch_rows(explained: DataFrame, run_id: str, run_time: str, partitions: int) -> DataFrame:
    """Returns the rows with the columns of `tables.MISMATCHES`, ordered by path, bucket and hash."""
    stamped = explained.where("error IS NULL").selectExpr("*", f"'{run_id}' AS run_id", f"'{run_time}' AS run_time")
    order = ("pair", "bucket_type", "hash")
    spread = stamped.repartitionByRange(partitions, *order) if partitions > 1 else stamped.coalesce(1)
    return spread.sortWithinPartitions(*order).select(*MISMATCHES)
