"""Sets the residue of all pairs off against each other, in Spark: first inside of each pair, then across.

Copies of one record are counted, never joined: of `n` copies on one side and `m` on the other `least(n, m)` settle,
so nothing fans out. Which files the settled copies are taken from follows the order of the pairs by path; across, equal
bytes come before equal values and lonely objects before others, which is what `digests` has begun.
"""

from __future__ import annotations

from pyspark.sql import DataFrame

from tallymark.reconcile.window import BACKUP, SOURCE


def settle(residue: DataFrame, partitions: int) -> DataFrame:
    """Returns the residue with four more counts a row: ``identical``, ``normalised``, ``moved``, ``missing``.

    Args:
        residue: columns of `stages.RESIDUE`; a record may stand in several rows.
        partitions: over how many the hashes are spread.

    ``identical + normalised + moved + missing = count`` in each row.
    """
    rows = residue.repartition(partitions, "hash").selectExpr("*", "count AS missing")
    rows = _set_off(rows, "hash, pair, raw", "identical")
    rows = _set_off(rows, "hash, pair", "normalised")
    rows = _set_off(rows, "hash, raw", "moved_alike", "NOT lonely, pair, ordinal")
    rows = _set_off(rows, "hash", "moved_otherwise")
    kept = [*residue.columns, "identical", "normalised"]
    return rows.selectExpr(*kept, "moved_alike + moved_otherwise AS moved", "missing")


def _set_off(rows: DataFrame, keys: str, name: str, order: str = "pair, ordinal") -> DataFrame:
    """Settles what is ``missing`` among the rows with equal ``keys``, into the new column ``name``."""
    source, backup = (f"sum(if(side = {side}, missing, 0)) OVER (PARTITION BY {keys})" for side in (SOURCE, BACKUP))
    before = f"""coalesce(sum(missing) OVER (
        PARTITION BY {keys}, side ORDER BY {order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)"""
    kept = [column for column in rows.columns if column != "missing"]
    return rows.selectExpr(
        "*", f"greatest(0, least(missing, least({source}, {backup}) - {before})) AS {name}"
    ).selectExpr(*kept, name, f"missing - {name} AS missing")
