"""What differs between the lines of Spark: 3.5, which EMR 7 and Dataproc 2 have, and 4. All of it is here.

Nothing else in the package asks for a version of Spark, Java, Hadoop or Delta Lake. Called by `session` and `cluster`.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from tallymark.errors import ConfigError

_JAVA = "Debian: apt-get install -y openjdk-17-jre-headless, and name it by JAVA_HOME where another is the default"
# Java 24 removed what Hadoop asks for the user by.
_FIRST_JAVA_TOO_NEW = 24
_CHAIN = "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider"
_CHAIN_BEFORE_3_4 = "com.amazonaws.auth.DefaultAWSCredentialsProviderChain"


@dataclass(frozen=True)
class SparkLine:
    """What a Spark goes with: the oldest Java, the numbers with which a fitting Delta Lake begins, its package."""

    oldest_java: int
    delta: str
    delta_package: str


_LINES = {
    (3, 5): SparkLine(8, "3.", "io.delta:delta-spark_2.12:3.3.3"),
    (4, 0): SparkLine(17, "4.", "io.delta:delta-spark_4.0_2.13:4.4.0"),
    (4, 1): SparkLine(17, "4.", "io.delta:delta-spark_4.1_2.13:4.4.0"),
}
_NEWER = SparkLine(17, "4.", "io.delta:delta-spark of this Spark")


def line_of(version: str) -> SparkLine:
    """Return the line of a Spark, by its own word or a vendor's ("3.5.6-amzn-1"); one that is newer than all is like 4.

    Raises:
        ConfigError: it is too old, or does not run on this Python.
    """
    numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
    if numbers < min(_LINES):
        raise ConfigError(f"this is Spark {version}, and 3.5 is the oldest that fits: take a newer one")
    if numbers < (4,) and find_spec("distutils") is None:
        raise ConfigError(f"Spark {version} does not run on Python 3.12 or newer: name a Python 3.11 by PYSPARK_PYTHON")
    return _LINES.get(numbers, _NEWER)


def require_java(line: SparkLine, environ: Mapping[str, str]) -> None:
    """Ask for the version: a Java that is too old for Spark answers with a trace that does not say so."""
    java = f"{environ['JAVA_HOME']}/bin/java" if "JAVA_HOME" in environ else "java"
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        said = ""
    version = re.search(r' version "(?:1\.)?(\d+)', said)
    if version is None or int(version[1]) < line.oldest_java:
        found = f"Java {version[1]}" if version else "none"
        raise ConfigError(f"Spark needs Java {line.oldest_java} or newer, found {found} ({_JAVA})")


def require_started_java(jvm: Any, error: Exception | None) -> None:
    """Raise ConfigError where Java did not start, or is too new."""
    if error is not None:
        raise ConfigError(
            "Spark's Java process did not start, its own words stand above: check the options of spark-submit, and "
            f"that `java -version` says 17 or 21 ({_JAVA})"
        ) from error
    version = str(jvm.java.lang.System.getProperty("java.specification.version"))
    if float(version) >= _FIRST_JAVA_TOO_NEW:
        raise ConfigError(f"Spark does not run on Java {version}: it needs 17 or 21 ({_JAVA})")
