"""Spark sessions: made new by a job, adopted from a notebook. What differs between lines of Spark is in `spark_lines`.

Called by `jobs/` and by the tests. What a user hands to `spark-submit` wins over the settings made here.
pyspark is imported when a session is asked for: the package itself works without it.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tallymark.errors import ConfigError
from tallymark.io import spark_lines
from tallymark.io.stored import GcsSettings

if TYPE_CHECKING:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

    from tallymark.io.spark_lines import SparkLine

_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"
_DELTA = {
    "spark.sql.extensions": _EXTENSION,
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
# May differ from session to session, so an adopted one gets them too, in a session of its own.
_SQL = {
    "spark.sql.session.timeZone": "UTC",
    # The log of a table here is small: 50 tasks to read it, Delta's default, cost seconds per commit.
    "spark.databricks.delta.snapshotPartitions": "1",
    # The stages know their sizes and say into how many partitions; planning anew makes a job of each shuffle.
    "spark.sql.adaptive.enabled": "false",
}
_LOCAL = {
    "spark.ui.enabled": "false",
    # A host name that resolves to nothing, or to another card, stops a local run for no reason.
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
# One request to a dead endpoint gives up within a minute: 3 tries of 15 s, the least that S3A accepts, instead of
# hours. Throttling has a count of its own.
_S3A = {
    "fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
    "fs.s3a.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
    "fs.s3a.attempts.maximum": "0",
    "fs.s3a.retry.limit": "2",
    "fs.s3a.retry.interval": "500ms",
    "fs.s3a.connection.establish.timeout": "15000",
    "fs.s3a.connection.timeout": "30000",
}
_GCS = {
    "fs.gs.impl": "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFileSystem",
    "fs.AbstractFileSystem.gs.impl": "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFS",
    # It needs a right of its own (storage.objects.move), and commits rename nothing.
    "fs.gs.operation.move.enable": "false",
}
_HADOOP_KEYS = (
    "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider,org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider"
)
_NO_CONF: Mapping[str, str] = MappingProxyType({})


def spark_session(app_name: str, conf: Mapping[str, str] = _NO_CONF) -> SparkSession:
    """Return a session that reads and writes Delta tables, on S3 and GCS too.

    An active session (a notebook's) is adopted: the caller gets a session of its own on the same cluster, so no
    setting of the notebook changes. ``conf`` wins over everything; it may not name static settings then.

    Raises:
        ConfigError: pyspark or Java is not there or too old, or the Spark in use has no Delta Lake.
    """
    try:
        import pyspark
        from pyspark.sql import SparkSession
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed: start jobs by ./spark-submit.sh, or pip install 'tallymark[spark]'"
        ) from error
    line = spark_lines.line_of(pyspark.__version__)
    active = SparkSession.getActiveSession()
    if active is not None:
        return _adopted(line, active, conf)
    if starts_java(os.environ):
        spark_lines.require_java(line, os.environ)
    submitted = submitted_conf()
    defaults = {
        "spark.app.name": app_name,
        **_DELTA,
        **_SQL,
        **_s3(submitted, os.environ),
        **_gcs(submitted, os.environ),
    }
    if submitted.get("spark.master", "local").startswith("local"):
        defaults.update(_LOCAL)
    for key, value in defaults.items():
        submitted.setIfMissing(key, value)
    # Set, not defaulted: a session started from Python counts as a shell, for which Spark has switched its bar on.
    submitted.set("spark.ui.showConsoleProgress", "false")
    for key, value in conf.items():
        submitted.set(key, value)
    spark_lines.require_delta(line, _jvm(), _EXTENSION)
    # On YARN the zip of the code is on the path already; Spark copies it once more, cannot, and warns at length.
    warnings.filterwarnings("ignore", "Failed to add file", RuntimeWarning)
    session = SparkSession.builder.config(conf=submitted).getOrCreate()
    let_interrupts_pass()
    # When Java is gone it would print a trace of its own; what is added up so feeds the progress only.
    session.sparkContext._accumulatorServer.handle_error = lambda *_: None  # type: ignore[method-assign]
    return session


def starts_java(environ: Mapping[str, str]) -> bool:
    """Tell whether the first session starts Spark's Java; where a cluster started this driver, it runs already."""
    return "PYSPARK_GATEWAY_PORT" not in environ


def s3_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the Hadoop settings under which S3A finds what boto3 finds by the same environment. Never a secret.

    >>> s3_settings({"AWS_ENDPOINT_URL": "http://127.0.0.1:5000"})["fs.s3a.path.style.access"]
    'true'
    >>> s3_settings({"AWS_REGION": "eu-west-1"})["fs.s3a.endpoint.region"]
    'eu-west-1'
    """
    settings = dict(_S3A)
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if endpoint:
        settings["fs.s3a.endpoint"] = endpoint
        # A server of one's own has no DNS name for every bucket.
        settings["fs.s3a.path.style.access"] = "true"
        region = region or "us-east-1"
    if region:
        settings["fs.s3a.endpoint.region"] = region
    return settings


def gcs_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the Hadoop settings under which the connector finds what google-cloud-storage finds. Never a secret.

    >>> gcs_settings({})["fs.gs.auth.type"]
    'APPLICATION_DEFAULT'
    """
    emulator = GcsSettings.from_environment(environ).endpoint_url
    if emulator is None:
        return {**_GCS, "fs.gs.auth.type": "APPLICATION_DEFAULT"}
    return {**_GCS, "fs.gs.auth.type": "UNAUTHENTICATED", "fs.gs.storage.root.url": emulator}


def _adopted(line: SparkLine, active: SparkSession, conf: Mapping[str, str]) -> SparkSession:
    has_delta = _EXTENSION in (active.conf.get("spark.sql.extensions", "") or "")
    # Databricks builds Delta in and says so nowhere in its settings.
    if not has_delta and "DATABRICKS_RUNTIME_VERSION" not in os.environ:
        settings = " and ".join(f"{key}={value}" for key, value in _DELTA.items())
        raise ConfigError(
            "the active Spark session has no Delta Lake, and a running session cannot get it: "
            f"stop it, or start it with {settings} and the jar of Delta ({line.delta_package})"
        )
    session = active.newSession()
    for key, value in {**_SQL, **conf}.items():
        session.conf.set(key, value)
    return session


def submitted_conf() -> SparkConf:
    """Start the JVM and return what `spark-submit` and spark-defaults.conf say."""
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkRuntimeError

    try:
        SparkContext._ensure_initialized()
    except (PySparkRuntimeError, OSError) as error:
        raise ConfigError(
            "Spark's Java process did not start, its own words stand above: check the options of spark-submit, and "
            f"that `java -version` says 17 or 21 ({spark_lines.GET_JAVA})"
        ) from error
    spark_lines.require_known_java(_jvm())
    return SparkConf()


def _s3(submitted: SparkConf, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the S3A settings, or nothing where the cluster (EMR) has an `s3://` of its own."""
    hadoop = _jvm().org.apache.hadoop
    if hadoop.conf.Configuration().get("fs.s3.impl") or submitted.contains("spark.hadoop.fs.s3.impl"):
        return {}
    # Keys in the user's Hadoop settings first, then where boto3 looks too: environment, profile, web identity, role.
    chain = f"{_HADOOP_KEYS},{spark_lines.default_chain(hadoop)}"
    settings = {**s3_settings(environ), "fs.s3a.aws.credentials.provider": chain}
    return {f"spark.hadoop.{key}": value for key, value in settings.items()}


def _gcs(submitted: SparkConf, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of the connector, or nothing where the cluster (Dataproc) has set it up."""
    hadoop = _jvm().org.apache.hadoop
    if hadoop.conf.Configuration().get("fs.gs.impl") or submitted.contains("spark.hadoop.fs.gs.impl"):
        return {}
    return {f"spark.hadoop.{key}": value for key, value in gcs_settings(environ).items()}


def let_interrupts_pass() -> None:
    """Make Ctrl-C a KeyboardInterrupt and nothing else, so that a job can end in order and exit with 130.

    pyspark's own handler calls Java in the middle of the call that it interrupts, on the same connection: the answers
    change places and the job sees some Py4JError instead.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # py4j closes the interrupted connection, as it must, and logs tracebacks about it by two loggers. What else it has
    # to say reaches the caller as an exception.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    told = {f"{kind} while sending command." for kind in ("KeyboardInterrupt", "Exception")}
    logging.getLogger().addFilter(lambda record: record.msg not in told)


def _jvm() -> Any:
    from pyspark import SparkContext

    return SparkContext._jvm
