"""Builds the rows of the tables `files` and `mismatches` from what was counted, settled and explained."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tallymark.reconcile.counts import OF_PAIR, Counts
from tallymark.reconcile.result import match_rate
from tallymark.reconcile.tables import (
    FILES,
    STATUS_DIFFERENT,
    STATUS_ERROR,
    STATUS_LEFT_ALONE,
    STATUS_MATCH,
    STATUS_MISSING_IN_BACKUP,
    STATUS_MISSING_IN_SOURCE,
)

_ORDER = ("file_path", "bucket_type", "hash")

LEFT_ALONE = "left_alone"
"""Stands as the proof of a pair of which none was looked for."""

_TAKEN = (*OF_PAIR, "moved_out", "moved_in")


def file_row(counts: Counts, place: dict[str, Any]) -> dict[str, Any]:
    """Returns the row of one pair with the columns of `tables.FILES`.

    Args:
        counts: of all stages, added up (`counts.add_counts`); ``place``: the columns that name the pair and the run.

    The counts of a pair in error are null: what could not be read is neither matched nor missing. A pair that was
    read but could not be read again to explain its leftovers is an error too (``unexplained``), and keeps its counts.
    """
    row: dict[str, Any] = dict.fromkeys(FILES) | place | {"proof": counts["proof"]}
    row |= {"status": _status(counts, place), "error": counts.get("error", counts.get("unexplained"))}
    if "error" in counts:
        return row
    row |= {name: counts.get(name, 0) for name in _TAKEN}
    left_source, left_backup, changed = (counts.get(name, 0) for name in ("left_source", "left_backup", "changed"))
    matched = row["identical_records"] + row["normalised_records"]
    return row | {
        "matched_records": matched,
        "mismatched_records": changed,
        "missing_in_backup": left_source - changed,
        "missing_in_source": left_backup - changed,
        "match_rate": match_rate(matched + row["moved_out"], row["source_records"], row["backup_records"]),
    }


def left_alone_row(place: dict[str, Any]) -> dict[str, Any]:
    """Returns the row of a pair that was too young to be compared; its counts are null."""
    return dict.fromkeys(FILES) | place | {"proof": LEFT_ALONE, "status": STATUS_LEFT_ALONE}


def _status(counts: Counts, place: dict[str, Any]) -> str:
    if "error" in counts or "unexplained" in counts:
        return STATUS_ERROR
    if place["backup_path"] is None:
        return STATUS_MISSING_IN_BACKUP
    if place["source_path"] is None:
        return STATUS_MISSING_IN_SOURCE
    return STATUS_DIFFERENT if counts.get("left_source") or counts.get("left_backup") else STATUS_MATCH


def mismatch_rows(explained: DataFrame, run_time: str, partitions: int) -> DataFrame:
    """Returns the rows with the columns of `tables.MISMATCHES` but for the run, in order over so many partitions."""
    rows = explained.withColumn("run_time", F.lit(run_time))
    spread = rows.repartitionByRange(partitions, *_ORDER) if partitions > 1 else rows.coalesce(1)
    return spread.sortWithinPartitions(*_ORDER)
