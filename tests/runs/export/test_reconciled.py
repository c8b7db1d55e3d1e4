"""A table is proven equal after export -> bulkload -> export, by the jobs themselves: `reconcile` takes two exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from pyspark.sql import SparkSession

from export_runs import Export
from tallymark.io.postgres import Server
from tallymark.runs.bulkload.run import bulkload
from tallymark.runs.reconcile.run import reconcile

COLUMNS = [
    ("id", "bigint"), ("v", "text"), ("n", "numeric"), ("d", "double precision"), ("at", "timestamptz"),
    ("ok", "boolean"), ("doc", "jsonb"),
]  # fmt: skip
TABLE = r"""
CREATE TABLE t AS SELECT i::bigint AS id,
CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN E'a,"b"\\\n\té' ELSE '\N' END AS v,
i * 12345678901234567.89 AS n, i / 7.0::float8 AS d,
'2024-03-31 00:59:59.999999+00'::timestamptz + i * interval '1 minute' AS at,
nullif(i % 3, 0) = 1 AS ok, jsonb_build_object('k', i / 8.0, 'list', ARRAY[i, NULL]) AS doc
FROM generate_series(1, 2500) i;
ALTER TABLE t ADD PRIMARY KEY (id)
"""


def test_a_table_equals_its_copy_after_export_bulkload_and_export(
    spark: SparkSession, database: psycopg.Connection[Any], fresh_database: Server, run: Export, tmp_path: Path
) -> None:
    """The copy is cut into other parts, so records stand in other files."""
    database.execute(TABLE)
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    run(to=first, format="jsonl")
    loaded = bulkload(
        spark,
        **{name: getattr(fresh_database, name) for name in ("host", "port", "user", "dbname")},
        input=first,
        output_dir=str(tmp_path / "load"),
        exclude=["manifest.json"],
        tables=[
            {"pattern": "part-*", "table": "copy", "key": ["id"],
             "columns": [{"name": name, "type": kind} for name, kind in COLUMNS]},
        ],
        load=True,
        method=["copy_text"],
        batch_size=[500],
        connections=[2],
    )  # fmt: skip

    run(table="copy", to=second, format="jsonl", batch_size=700)
    summary = reconcile(
        spark, source=first, backup=second, out=str(tmp_path / "result"), exclude=["manifest.json"]
    ).summary

    assert loaded.exit_code == 0
    assert summary.exit_code == 0
    assert summary.totals.source_records == 2_500
    assert summary.totals.matched_records + summary.totals.moved_out == 2_500
