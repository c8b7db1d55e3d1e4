"""A table is proven equal after it was exported, loaded and exported again: `reconcile` takes two exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from pyspark.sql import SparkSession

from export_runs import Export
from tallymark.runs.reconcile.run import reconcile


def test_two_exports_of_a_table_and_of_its_copy_match(
    spark: SparkSession, database: psycopg.Connection[Any], run: Export, tmp_path: Path
) -> None:
    """The copy is cut into other parts, so records stand in other files."""
    database.execute(
        "CREATE TABLE t AS SELECT i AS id, CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'a,\"b\"' END AS v, "
        "i / 7.0 AS n FROM generate_series(1, 2500) i; ALTER TABLE t ADD PRIMARY KEY (id); CREATE TABLE copy (LIKE t)"
    )
    run(to=str(tmp_path / "first"))
    for part in sorted((tmp_path / "first").glob("part-*.csv")):
        with database.cursor().copy("COPY copy FROM STDIN (FORMAT csv, HEADER match)") as copy:
            copy.write(part.read_bytes())
    run(table="copy", order_by=("id",), to=str(tmp_path / "second"), batch_size=700)
    summary = reconcile(
        spark,
        source=str(tmp_path / "first"),
        backup=str(tmp_path / "second"),
        out=str(tmp_path / "result"),
        exclude=["manifest.json"],
    ).summary

    assert summary.exit_code == 0
    assert summary.totals.source_records == 2_500
    assert summary.totals.matched_records + summary.totals.moved_out == 2_500
