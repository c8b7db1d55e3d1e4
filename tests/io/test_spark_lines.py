"""What differs between the lines of Spark: which versions fit together, and one line where they do not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import IS_SPARK35, ROOT, make_executable
from tallymark.errors import ConfigError
from tallymark.io import spark_lines
from tallymark.io.spark_lines import line_of, require_delta, require_java

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"


@pytest.mark.parametrize(
    ("spark", "java", "delta"),
    [
        ("3.5.9", 8, "delta-spark_2.12:3.3.3"),
        ("3.5.6-amzn-1", 8, "delta-spark_2.12:3.3.3"),
        ("4.0.2-amzn-0", 17, "delta-spark_4.0_2.13:4.4.0"),
        ("4.1.1", 17, "delta-spark_4.1_2.13:4.4.0"),
        ("5.0.0", 17, "delta-spark for Spark 5.0"),
    ],
)
def test_a_spark_goes_with_a_java_and_a_delta(
    spark: str, java: int, delta: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_lines, "find_spec", lambda name: name)

    assert (line_of(spark).oldest_java, line_of(spark).delta_package) == (java, f"io.delta:{delta}")


@pytest.mark.parametrize("spark", ["2.4.8", "3.4.4-amzn-0", "unknown"])
def test_a_spark_that_is_too_old_or_does_not_say_is_refused(spark: str) -> None:
    with pytest.raises(ConfigError, match=rf"^this is Spark {spark}, and 3\.5 is the oldest that fits"):
        line_of(spark)


def test_a_python_that_spark_3_5_does_not_run_on_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_lines, "find_spec", lambda name: None)

    with pytest.raises(ConfigError, match=r"^Spark 3\.5\.9 needs distutils, which Python has up to 3\.11: name such a"):
        line_of("3.5.9")
    assert line_of("4.1.1").delta == 4


def test_java_8_is_enough_for_spark_3_5_alone(tmp_path: Path) -> None:
    make_executable(tmp_path / "bin/java", "#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")
    there = {"JAVA_HOME": str(tmp_path)}

    require_java(spark_lines.SparkLine("3.5.9", 8, 3, ""), there)
    with pytest.raises(ConfigError, match=r"^Spark needs Java 17 or newer, found Java 8 "):
        require_java(line_of("4.1.1"), there)


def test_the_delta_of_another_spark_is_refused_and_a_missing_one_is_named(spark: SparkSession) -> None:
    """It would fail in the middle of a write, by the name of a method. Here this Spark is taken for the other one."""
    jvm: Any = spark.sparkContext._jvm
    this, other = (line_of(version) for version in (("3.5.9", "4.1.1") if IS_SPARK35 else ("4.1.1", "3.5.9")))

    require_delta(this, jvm, EXTENSION)
    with pytest.raises(
        ConfigError, match=rf"its Delta Lake, {this.delta}\.[0-9.]+, is for another: take that away, and add"
    ):
        require_delta(other, jvm, EXTENSION)
    with pytest.raises(
        ConfigError, match=rf"^this Spark has no Delta Lake: add `--packages {this.delta_package}` before"
    ):
        require_delta(this, jvm, "io.delta.sql.Missing")


@pytest.mark.parametrize(("folder", "spark"), [("conf/local", "4.1.1"), ("conf/spark35", "3.5.9")])
def test_the_package_that_is_named_is_the_one_of_the_tests(folder: str, spark: str) -> None:
    _, name, revision = line_of(spark).delta_package.split(":")

    assert f'name="{name}" rev="{revision}"' in (ROOT / folder / "ivy.xml").read_text()
