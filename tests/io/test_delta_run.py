"""The rows of a run in a table: its tasks write files, one commit names them, or nothing is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from tallymark.columns import arrow_schema
from tallymark.errors import IncompleteError
from tallymark.io.delta import append_run
from tallymark.io.objects import ObjectStore

COLUMNS = {"n": "bigint", "name": "string", "run_id": "string"}


def test_each_task_writes_a_file_and_one_commit_names_them(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.range(0, 10, 1, 2).selectExpr("concat('x', id) AS name", "id AS n")
    for run_id in ("one", "two"):
        append_run(ObjectStore(), str(tmp_path), run_id, rows, arrow_schema(COLUMNS))
    table = DeltaTable(tmp_path)

    assert table.version() == 2
    found = table.to_pyarrow_table(filters=[("run_id", "=", "two")]).sort_by("n").to_pylist()
    assert found == [{"n": n, "name": f"x{n}", "run_id": "two"} for n in range(10)]
    parts = [path.name[:10] for path in sorted((tmp_path / "run_id=two").iterdir())]
    assert parts == ["part-00000", "part-00001"]
    assert [row["num_records"] for row in pa.table(table.get_add_actions(flatten=True)).to_pylist()] == [5] * 4


def test_spark_reads_what_it_is_told_of(spark: SparkSession, tmp_path: Path) -> None:
    append_run(ObjectStore(), str(tmp_path), "a", spark.createDataFrame([(1, "é")], "n long, name string"),
               arrow_schema(COLUMNS))  # fmt: skip

    assert [tuple(row) for row in spark.read.format("delta").load(str(tmp_path)).collect()] == [(1, "é", "a")]


def test_a_table_of_an_older_version_gets_the_column_that_it_lacks(spark: SparkSession, tmp_path: Path) -> None:
    older = {name: kind for name, kind in COLUMNS.items() if name != "name"}
    append_run(ObjectStore(), str(tmp_path), "old", spark.range(1).selectExpr("id AS n"), arrow_schema(older))
    append_run(ObjectStore(), str(tmp_path), "new", spark.range(1).selectExpr("id AS n", "'x' AS name"),
               arrow_schema(COLUMNS))  # fmt: skip

    found = {row["run_id"]: row["name"] for row in DeltaTable(tmp_path).to_pyarrow_table().to_pylist()}
    assert found == {"old": None, "new": "x"}


def test_no_rows_make_the_table_and_no_commit(spark: SparkSession, tmp_path: Path) -> None:
    append_run(ObjectStore(), str(tmp_path), "a", spark.range(0).selectExpr("id AS n", "'x' AS name"),
               arrow_schema(COLUMNS))  # fmt: skip

    assert DeltaTable(tmp_path).version() == 0


def test_a_task_that_fails_commits_nothing_and_says_why(spark: SparkSession, tmp_path: Path) -> None:
    def refuse(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.column("n").to_pylist() == [1]:
                raise IncompleteError("this one is broken; mend it")
            yield batch

    schema = "n long, name string"
    rows = spark.range(0, 2, 1, 2).selectExpr("id AS n", "'x' AS name").mapInArrow(refuse, schema)

    with pytest.raises(IncompleteError, match=r"^this one is broken; mend it$"):
        append_run(ObjectStore(), str(tmp_path), "a", rows, arrow_schema(COLUMNS))
    assert not (tmp_path / "_delta_log").exists()
