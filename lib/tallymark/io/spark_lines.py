"""What differs between the lines of Spark: 3.5, which EMR 7 and Dataproc 2 have, and 4. All of it is here.

Nothing else in the package asks for the version of Spark, Java, Hadoop or Delta Lake. Spark's objects are arguments:
nothing is imported from it. Called by `session` and `cluster`.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from tallymark.errors import ConfigError

GET_JAVA = "Debian: apt-get install -y default-jre-headless, and name it by JAVA_HOME where another is the default"
# Java 24 removed what Hadoop asks for the user by.
_FIRST_JAVA_TOO_NEW = 24
_CHAIN = "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider"
_CHAIN_BEFORE_3_4 = "com.amazonaws.auth.DefaultAWSCredentialsProviderChain"


@dataclass(frozen=True)
class SparkLine:
    """What a version of Spark goes with: the oldest Java, the first number of Delta Lake, and where to get that."""

    spark: str
    oldest_java: int
    delta: int
    delta_package: str


_LINES: dict[tuple[int, ...], tuple[int, int, str]] = {
    (3, 5): (8, 3, "io.delta:delta-spark_2.12:3.3.3"),
    (4, 0): (17, 4, "io.delta:delta-spark_4.0_2.13:4.4.0"),
    (4, 1): (17, 4, "io.delta:delta-spark_4.1_2.13:4.4.0"),
}


def line_of(spark: str) -> SparkLine:
    """Return the line of a Spark, by its version or a vendor's ("3.5.6-amzn-1"). One newer than all is as Spark 4.

    >>> line_of("3.5.6-amzn-1").delta_package
    'io.delta:delta-spark_2.12:3.3.3'
    >>> line_of("4.2.0").delta_package
    'io.delta:delta-spark for Spark 4.2'

    Raises:
        ConfigError: it is too old, or does not run on this Python.
    """
    numbers = _numbers(spark)
    if numbers < min(_LINES):
        raise ConfigError(f"this is Spark {spark}, and 3.5 is the oldest that fits: take a newer one")
    if numbers < (4,) and find_spec("distutils") is None:
        raise ConfigError(
            f"Spark {spark} needs distutils, which Python has up to 3.11: name such a Python by PYSPARK_PYTHON, or "
            "install setuptools, which brings it"
        )
    return SparkLine(
        spark, *_LINES.get(numbers, (17, 4, f"io.delta:delta-spark for Spark {'.'.join(map(str, numbers))}"))
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def require_java(line: SparkLine, environ: Mapping[str, str]) -> None:
    """Ask Java for its version: one that is too old for Spark answers with a trace that does not say so."""
    java = f"{environ['JAVA_HOME']}/bin/java" if "JAVA_HOME" in environ else "java"
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        said = ""
    version = re.search(r' version "(?:1\.)?(\d+)', said)
    if version is None or int(version[1]) < line.oldest_java:
        found = f"Java {version[1]}" if version else "none"
        raise ConfigError(f"Spark needs Java {line.oldest_java} or newer, found {found} ({GET_JAVA})")


def require_known_java(jvm: Any) -> None:
    """Raise ConfigError where the Java that runs is too new."""
    version = str(jvm.java.lang.System.getProperty("java.specification.version"))
    if float(version) >= _FIRST_JAVA_TOO_NEW:
        raise ConfigError(f"Spark does not run on Java {version}: it needs 17 or 21 ({GET_JAVA})")


def require_delta(line: SparkLine, jvm: Any, extension: str) -> None:
    """Look for the class of Delta's extension, and into the jar that it is in.

    Of a missing one Spark only warns, and fails later with a message that does not name it; one for another line of
    Spark fails in the middle of a write, by the name of some method.

    Raises:
        ConfigError: it is not there, or it is for another Spark.
    """
    from py4j.protocol import Py4JJavaError

    get = f"add `--packages {line.delta_package}` before the job's name, or unset SPARK_HOME to use the local line"
    try:
        found = jvm.java.lang.Thread.currentThread().getContextClassLoader().loadClass(extension)
    except Py4JJavaError as error:
        raise ConfigError(f"this Spark has no Delta Lake: {get}") from error
    package = found.getPackage()
    version = package and package.getImplementationVersion()  # a vendor's jar may not say
    if version and _numbers(version)[:1] != (line.delta,):
        raise ConfigError(
            f"this is Spark {line.spark}, and its Delta Lake, {version}, is for another: take that away, and {get}"
        )


def default_chain(hadoop: Any) -> str:
    """Return the class that looks for AWS credentials where boto3 does, in the SDK that this Hadoop goes with."""
    return _CHAIN_BEFORE_3_4 if hadoop.util.VersionInfo.getVersion() < "3.4" else _CHAIN


def s3_package(hadoop: Any) -> str:
    """Return the package that gives this Hadoop its S3."""
    return f"org.apache.hadoop:hadoop-aws:{hadoop.util.VersionInfo.getVersion()}"
