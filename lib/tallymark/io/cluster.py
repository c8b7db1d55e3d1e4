"""What a run must see to where its Spark is a cluster: a place that all machines reach, and a context that is awaited.

Called by the runs, and by the job that works without Spark, so pyspark is imported only where it is used. Sessions are
made in `session`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tallymark.errors import ConfigError
from tallymark.io import spark_lines
from tallymark.io.session import let_interrupts_pass, starts_java, submitted_conf
from tallymark.io.uris import is_remote, is_s3, is_within

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def require_shared(spark: SparkSession, uri: str) -> None:
    """Do nothing where what a driver writes to the normalised ``uri`` stays when the driver ends.

    Raises:
        ConfigError: it lies in the folder that the cluster made for the driver.
    """
    deploy_mode = spark.sparkContext.getConf().get("spark.submit.deployMode")
    if deploy_mode == "cluster" and not is_remote(uri) and is_within(uri, os.getcwd()):
        raise ConfigError(
            f"{uri} is the driver's own folder on the cluster and ends with it: "
            "name a place on S3 or GCS, or a folder that all machines share"
        )


def require_filesystem(spark: SparkSession, uri: str) -> None:
    """Do nothing where Spark's own readers and writers know the kind of the normalised ``uri``.

    Raises:
        ConfigError: the jars for S3 or GCS are not there.
    """
    from py4j.protocol import Py4JJavaError

    if not is_remote(uri):
        return
    context = spark.sparkContext
    hadoop = context._jvm.org.apache.hadoop  # type: ignore[union-attr]
    try:
        hadoop.fs.FileSystem.getFileSystemClass(uri.partition("://")[0], context._jsc.hadoopConfiguration())
    except Py4JJavaError as error:
        if is_s3(uri):
            package = spark_lines.s3_package(hadoop)
            raise ConfigError(f"this Spark has no S3: add `--packages {package}` before the job's name") from error
        advice = "run `make gcs` once; for a cluster other than Dataproc add its jar by `--jars` before the job's name"
        raise ConfigError(f"this Spark has no connector for {uri}: {advice}") from error


@contextmanager
def awaited_context(app_name: str, environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Keep a Spark context without executors, where this is a driver that a cluster started.

    For work without Spark: YARN ends a driver that has no context after 100 s, and takes one that never had for failed.
    """
    if starts_java(environ) or submitted_conf().get("spark.submit.deployMode") != "cluster":
        yield
        return
    from pyspark import SparkContext

    conf = submitted_conf().setAppName(app_name)
    conf.set("spark.dynamicAllocation.enabled", "false").set("spark.executor.instances", "0")
    with SparkContext(conf=conf):
        let_interrupts_pass()
        yield
