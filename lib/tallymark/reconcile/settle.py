"""Sets the residue of all pairs off against each other, in Spark: first inside of each pair, then across.

Copies of one record are counted, never joined: of `n` copies on one side and `m` on the other `least(n, m)` settle,
so nothing fans out. Which files the settled copies are taken from follows the order of the pairs by path.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tallymark.reconcile.stages import RESIDUE
from tallymark.reconcile.window import BACKUP, SOURCE

def settle(residue: DataFrame, partitions: int) -> DataFrame:
    """Returns the residue with four more counts a row: ``identical``, ``normalised``, ``moved``, ``missing``.

    Args:
        residue: columns of RESIDUE; a record may stand in several rows.
        partitions: over how many the hashes are spread.

    ``identical + normalised + moved + missing = count`` in each row.
    """
    rows = residue.repartition(partitions, "hash").withColumn("missing", F.col("count"))
    rows = _set_off(rows, ["hash", "pair", "raw"], "identical")
    rows = _set_off(rows, ["hash", "pair"], "normalised")
    rows = _set_off(rows, ["hash"], "moved")
    return rows.select(*RESIDUE, "identical", "normalised", "moved", "missing")


def _set_off(rows: DataFrame, keys: list[str], name: str) -> DataFrame:
    """Settles what is ``missing`` among the rows with equal ``keys``, into the new column ``name``."""
    ordered = Window.partitionBy(*keys, "side").orderBy("pair", "ordinal")
    before = F.coalesce(F.sum("missing").over(ordered.rowsBetween(Window.unboundedPreceding, -1)), F.lit(0))
    group = Window.partitionBy(*keys)
    settled = F.least(_sum_of(SOURCE).over(group), _sum_of(BACKUP).over(group))
    return (
        rows.withColumn("before", before)
        .withColumn("settled", settled)
        .withColumn(name, F.greatest(F.lit(0), F.least(F.col("missing"), F.col("settled") - F.col("before"))))
        .withColumn("missing", F.col("missing") - F.col(name))
        .drop("before", "settled")
    )


def _sum_of(side: int) -> Column:
    return F.sum(F.when(F.col("side") == side, F.col("missing")).otherwise(0))
