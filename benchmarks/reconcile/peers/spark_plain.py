"""Spark as its users write it: each record as JSON with sorted names, its SHA-256, a full outer join on that.

    python spark_plain.py CASE FOLDER OUT

Spark's defaults: all cores, adaptive execution, the driver memory that ours has too, a schema inferred from all data.
`datacompy_spark.py` reads its records here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyspark
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F


def session(name: str) -> SparkSession:
    spark = SparkSession.builder.appName(name).master("local[*]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def records(spark: SparkSession, case: str, place: Path) -> DataFrame:
    reader = spark.read.option("recursiveFileLookup", "true")
    if case == "g":
        return reader.csv(str(place), header=True)
    return reader.json(str(place), multiLine=case == "f")


def main(case: str, folder: Path, out: Path) -> None:
    spark = session("spark plain")
    sides, counts = {}, {}
    for side in ("source", "backup"):
        frame = records(spark, case, folder / side)
        record = F.to_json(F.struct(*sorted(frame.columns)))
        sides[side] = frame.select(F.sha2(record, 256).alias("hash"), record.alias("record"))
        counts[side] = sides[side].groupBy("hash").agg(F.count("*").alias(side))
    joined = counts["source"].join(counts["backup"], "hash", "full_outer").fillna(0)
    joined.where("source <> backup").write.parquet(str(out / "counts"))
    different = spark.read.parquet(str(out / "counts"))
    more = F.col("source") - F.col("backup")
    answer = different.agg(
        F.coalesce(F.sum(F.greatest(more, F.lit(0))), F.lit(0)).alias("source_only"),
        F.coalesce(F.sum(F.greatest(-more, F.lit(0))), F.lit(0)).alias("backup_only"),
    ).collect()[0]
    for side, only in (("source", "source > backup"), ("backup", "backup > source")):
        sides[side].join(different.where(only), "hash").write.parquet(str(out / f"{side}_only"))
    print(json.dumps({**answer.asDict(), "version": pyspark.__version__}))
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
