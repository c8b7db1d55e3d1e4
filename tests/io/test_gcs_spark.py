"""One Delta table on gs:// for Spark by Google's connector and for delta-rs by its own client, upkeep included."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from gcs_server import GcsBucket
from tallymark.errors import ConfigError, IncompleteError, LockedError
from tallymark.io import delta, delta_append, delta_upkeep
from tallymark.io.cluster import require_filesystem
from tallymark.io.delta_commit import DataFile, Table
from tallymark.io.delta_rs import open_table
from tallymark.io.session import gcs_settings

ROWS = pa.table({"run_id": ["a", "a", "b"], "n": pa.array([1, 2, 3], pa.int64())})


@pytest.fixture
def gs_spark(spark: SparkSession, gcs: GcsBucket) -> SparkSession:
    """The session of the tests, told of the emulator after its start; each bucket has a file system of its own."""
    hadoop: Any = spark.sparkContext._jsc.hadoopConfiguration()
    for key, value in gcs_settings(os.environ).items():
        hadoop.set(key, value)
    return spark


def test_spark_and_delta_rs_write_and_read_one_table(gs_spark: SparkSession, gcs: GcsBucket) -> None:
    place = f"{gcs.uri}/out/my table"
    delta.append_rows(gcs.direct, place, ROWS)
    more = gs_spark.createDataFrame([("c", 4)], "run_id string, n long")
    more.write.format("delta").partitionBy("run_id").mode("append").save(place)
    delta.replace_run(gcs.direct, place, "a", pa.table({"run_id": ["a"], "n": pa.array([9], pa.int64())}))
    expected = [("a", 9), ("b", 3), ("c", 4)]
    assert sorted(map(tuple, gs_spark.read.format("delta").load(place).collect())) == expected
    found = [tuple(row.values()) for batch in delta.read_rows(gcs.direct, place, {}) for row in batch.to_pylist()]
    assert sorted(sorted(row, key=str)[::-1] for row in found) == [["a", 9], ["b", 3], ["c", 4]]
    table = delta_upkeep.find_table(gcs.direct, place)
    assert table is not None
    delta_upkeep.join_small_files(table, [])
    assert delta_upkeep.count_rows(table) == 3
    assert delta_upkeep.remove_old_files(table, 8, dry_run=False) == 0
    assert delta_upkeep.find_table(gcs.direct, f"{gcs.uri}/nothing") is None


def test_a_commit_of_files_is_refused_where_somebody_was_quicker(gcs: GcsBucket, tmp_path: Path) -> None:
    place, schema = f"{gcs.uri}/logs", pa.schema([("n", pa.int64())])
    first, second = (Table(gcs.direct, place, schema, (), "ingest") for _ in range(2))
    first.commit([DataFile("a.parquet", {}, 10, 1)], {"read": 1})
    with pytest.raises(LockedError, match="another process has written to gs://"):
        second.commit([DataFile("b.parquet", {}, 10, 1)], {"read": 2})
    assert [file.path for file in Table(gcs.direct, place, schema, (), "ingest").files()] == ["a.parquet"]


def test_a_file_is_appended_once_whoever_repeats_it(gcs: GcsBucket, tmp_path: Path) -> None:
    place, path = f"{gcs.uri}/table", tmp_path / "part.parquet"
    rows = pa.table({"n": pa.array([1, 2], pa.int64())})
    pa.parquet.write_table(rows, path)
    delta_append.open_plain(gcs.direct, place, rows.schema)
    assert [delta_append.append_once(gcs.direct, place, path, "part.parquet", 2, "chunk") for _ in range(2)] == [
        True,
        False,
    ]
    assert open_table(gcs.direct, place).to_pyarrow_table() == rows


def test_what_a_bucket_said_is_told(gcs: GcsBucket) -> None:
    """delta-rs draws it below a first line that says nothing."""
    with pytest.raises(IncompleteError, match=r"Generic GCS error: Error performing .*: \S.*; check the place"):
        delta.append_rows(gcs.direct, "gs://nobody-made-this/table", ROWS)


def test_a_spark_without_the_connector_says_what_to_run(gs_spark: SparkSession) -> None:
    hadoop: Any = gs_spark.sparkContext._jsc.hadoopConfiguration()
    hadoop.set("fs.gs.impl", "no.such.FileSystem")
    with pytest.raises(ConfigError, match=r"no connector for gs://bucket/out: run `make gcs` once"):
        require_filesystem(gs_spark, "gs://bucket/out")
