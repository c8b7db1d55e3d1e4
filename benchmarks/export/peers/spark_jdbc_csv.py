"""Spark's partitioned JDBC read to CSV, on two cores. Arguments: DSN TABLE OUT ROWS."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg
from pyspark.sql import SparkSession

dsn, table, out, rows = sys.argv[1:]
(driver,) = (Path(__file__).parents[3] / ".jars/spark").glob("postgresql-*.jar")
place = psycopg.conninfo.conninfo_to_dict(dsn)
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.driver.extraClassPath", str(driver))
    .config("spark.ui.enabled", "false")
    .getOrCreate()
)
read = spark.read.format("jdbc").options(
    url=f"jdbc:postgresql://{place['host']}:{place['port']}/{place['dbname']}",
    user=str(place["user"]),
    dbtable=table,
    fetchsize="10000",
    partitionColumn="id",
    lowerBound="1",
    upperBound=rows,
    numPartitions="4",
)
read.load().write.mode("overwrite").option("header", True).csv(out)
spark.stop()
