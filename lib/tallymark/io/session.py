"""Spark sessions: made new by a job, adopted from a notebook. The differences of the Spark lines live here only.

Called by `jobs/` and by the tests. What a user hands to `spark-submit` wins over the settings made here.
pyspark is imported when a session is asked for: the package itself works without it.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import threading
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tallymark.errors import ConfigError

if TYPE_CHECKING:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

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
_HADOOP_KEYS = (
    "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider,org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider"
)
_CHAIN = "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider"
_CHAIN_BEFORE_3_4 = "com.amazonaws.auth.DefaultAWSCredentialsProviderChain"
_OLDEST_SPARK = (3, 5)
_JAVA = "Debian: apt-get install -y openjdk-17-jre-headless, and name it by JAVA_HOME where another is the default"
# Java 24 removed what Hadoop asks for the user by.
_FIRST_JAVA_TOO_NEW = 24
_NO_CONF: Mapping[str, str] = MappingProxyType({})


def spark_session(app_name: str, conf: Mapping[str, str] = _NO_CONF) -> SparkSession:
    """Return a session that reads and writes Delta tables, on S3 too.

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
    if _numbers(pyspark.__version__) < _OLDEST_SPARK:
        raise ConfigError(f"this is Spark {pyspark.__version__}, and 3.5 is the oldest that fits: take a newer one")
    active = SparkSession.getActiveSession()
    if active is not None:
        return _adopted(active, conf)
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # else Java runs already
        _require_java(os.environ, 17 if _numbers(pyspark.__version__) >= (4,) else 8)
    submitted = submitted_conf()
    defaults = {"spark.app.name": app_name, **_DELTA, **_SQL, **_s3(submitted, os.environ)}
    if submitted.get("spark.master", "local").startswith("local"):
        defaults.update(_LOCAL)
    for key, value in defaults.items():
        submitted.setIfMissing(key, value)
    # Set, not defaulted: a session started from Python counts as a shell, for which Spark has switched its bar on.
    submitted.set("spark.ui.showConsoleProgress", "false")
    for key, value in conf.items():
        submitted.set(key, value)
    _require_delta()
    # On YARN the zip of the code is on the path already; Spark copies it once more, cannot, and warns at length.
    warnings.filterwarnings("ignore", "Failed to add file", RuntimeWarning)
    session = SparkSession.builder.config(conf=submitted).getOrCreate()
    let_interrupts_pass()
    # When Java is gone it would print a trace of its own; what is added up so feeds the progress only.
    session.sparkContext._accumulatorServer.handle_error = lambda *_: None  # type: ignore[method-assign]
    return session


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


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def _require_java(environ: Mapping[str, str], oldest: int) -> None:
    """Ask for the version: a Java that is too old for Spark answers with a trace that does not say so."""
    java = f"{environ['JAVA_HOME']}/bin/java" if "JAVA_HOME" in environ else "java"
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        said = ""
    version = re.search(r' version "(?:1\.)?(\d+)', said)
    if version is None or int(version[1]) < oldest:
        found = f"Java {version[1]}" if version else "none"
        raise ConfigError(f"Spark needs Java {oldest} or newer, found {found} ({_JAVA})")


def _adopted(active: SparkSession, conf: Mapping[str, str]) -> SparkSession:
    has_delta = _EXTENSION in (active.conf.get("spark.sql.extensions", "") or "")
    # Databricks builds Delta in and says so nowhere in its settings.
    if not has_delta and "DATABRICKS_RUNTIME_VERSION" not in os.environ:
        settings = " and ".join(f"{key}={value}" for key, value in _DELTA.items())
        raise ConfigError(
            "the active Spark session has no Delta Lake, and a running session cannot get it: "
            f"stop it, or start it with {settings} and the jar of Delta ({_delta_package()})"
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
            f"that `java -version` says 17 or 21 ({_JAVA})"
        ) from error
    version = str(_jvm().java.lang.System.getProperty("java.specification.version"))
    if float(version) >= _FIRST_JAVA_TOO_NEW:
        raise ConfigError(f"Spark does not run on Java {version}: it needs 17 or 21 ({_JAVA})")
    return SparkConf()


def _s3(submitted: SparkConf, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the S3A settings, or nothing where the cluster (EMR) has an `s3://` of its own."""
    hadoop = _jvm().org.apache.hadoop
    if hadoop.conf.Configuration().get("fs.s3.impl") or submitted.contains("spark.hadoop.fs.s3.impl"):
        return {}
    # Keys in the user's Hadoop settings first, then where boto3 looks too: environment, profile, web identity, role.
    chain = _CHAIN_BEFORE_3_4 if hadoop.util.VersionInfo.getVersion() < "3.4" else _CHAIN
    settings = {**s3_settings(environ), "fs.s3a.aws.credentials.provider": f"{_HADOOP_KEYS},{chain}"}
    return {f"spark.hadoop.{key}": value for key, value in settings.items()}


def _require_delta() -> None:
    """Spark only warns about a missing extension and fails later with a message that does not name it."""
    from py4j.protocol import Py4JJavaError

    try:
        _jvm().java.lang.Thread.currentThread().getContextClassLoader().loadClass(_EXTENSION)
    except Py4JJavaError as error:
        raise ConfigError(
            f"this Spark has no Delta Lake: add `--packages {_delta_package()}` before the job's name, "
            "or unset SPARK_HOME to use the local line"
        ) from error


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


def _delta_package() -> str:
    import pyspark

    line = ".".join(pyspark.__version__.split(".")[:2])
    lines = {"3.5": "delta-spark_2.12:3.3.2", "4.0": "delta-spark_2.13:4.0.1", "4.1": "delta-spark_4.1_2.13:4.4.0"}
    return f"io.delta:{lines.get(line, 'delta-spark for Spark ' + line)}"
