"""Spark and delta-rs on gs://: the connector, Delta's own log store, and the options of delta-rs, on one emulator."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from gcs_server import GcsBucket
from tallymark.io.session import gcs_settings


def test_spark_and_delta_rs_write_and_read_one_table(spark: SparkSession, gcs: GcsBucket) -> None:
    hadoop: Any = spark.sparkContext._jsc.hadoopConfiguration()
    for key, value in gcs_settings(os.environ).items():
        hadoop.set(key, value)
    place = f"{gcs.uri}/table"
    spark.range(5).write.format("delta").save(place)
    spark.range(2).write.format("delta").mode("append").save(place)
    assert spark.read.format("delta").load(place).count() == 7
