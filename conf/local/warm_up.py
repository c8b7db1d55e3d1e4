"""The run that `setup.sh classes` records: it makes the JVM load what a job loads, and leaves nothing behind.

Reads, shuffles and joins, commits to Delta and reads it back, loads S3A; no server is contacted.
"""

from __future__ import annotations

import sys
import tempfile

from tallymark.io.session import spark_session


def main() -> None:
    spark = spark_session("tallymark-warm-up")
    with tempfile.TemporaryDirectory() as folder:
        table = f"{folder}/table"
        rows = spark.sparkContext.parallelize([(str(i), i) for i in range(8)], 2).map(lambda row: row)
        frame = spark.createDataFrame(rows, "hash string, n bigint")
        frame.write.format("delta").save(table)
        counted = frame.groupBy("hash").agg({"n": "sum"}).withColumnRenamed("sum(n)", "total")
        joined = counted.join(spark.read.format("delta").load(table), "hash", "full_outer").orderBy("hash")
        joined.write.format("delta").mode("append").option("mergeSchema", "true").save(table)
        spark.read.format("delta").load(table).where("n > 1").selectExpr("count(*)", "max(total)").collect()
        frame.write.mode("overwrite").parquet(f"{folder}/parquet")
        spark.read.parquet(f"{folder}/parquet").dropDuplicates(["hash"]).collect()
    hadoop = spark.sparkContext._jvm.org.apache.hadoop.fs  # type: ignore[union-attr]
    hadoop.FileSystem.getFileSystemClass("s3a", spark.sparkContext._jsc.hadoopConfiguration())
    java = spark.sparkContext._gateway.proc  # type: ignore[union-attr]
    spark.stop()
    # Java writes the archive when it exits, which is later than Python unless Python waits.
    java.stdin.close()
    # An archive that was cut short would crash every later start.
    sys.exit(java.wait())


if __name__ == "__main__":
    main()
