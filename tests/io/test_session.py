"""Spark sessions: Delta works in ours, S3 is found by the environment, a notebook's session is left as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyspark
import pytest

from s3_server import KEYS, Bucket, S3Server
from tallymark.errors import ConfigError
from tallymark.io.delta_rs import storage_options
from tallymark.io.objects import ObjectStore
from tallymark.io.s3_client import client
from tallymark.io.session import s3_settings, spark_session
from tallymark.io.stored import S3Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_a_delta_table_is_written_appended_to_and_read_back(spark: SparkSession, tmp_path: Path) -> None:
    table = str(tmp_path / "table")
    spark.createDataFrame([("a", 1)], "name string, n int").write.format("delta").save(table)
    spark.createDataFrame([("b", 2)], "name string, n int").write.format("delta").mode("append").save(table)

    rows = spark.read.format("delta").load(table).orderBy("name").collect()

    assert [tuple(row) for row in rows] == [("a", 1), ("b", 2)]
    assert len(list(Path(table, "_delta_log").glob("*.json"))) == 2


def test_a_delta_table_is_written_and_read_on_s3(spark: SparkSession, s3_server: S3Server, bucket: Bucket) -> None:
    """Both spellings of the scheme name the same place."""
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    here = s3_settings(s3_server.environment)
    here |= {"fs.s3a.access.key": KEYS["AWS_ACCESS_KEY_ID"], "fs.s3a.secret.key": KEYS["AWS_SECRET_ACCESS_KEY"]}
    for key, value in here.items():
        # For this bucket only: the session is shared, and Java reads its environment once.
        hadoop.set(key.replace("fs.s3a.", f"fs.s3a.bucket.{bucket.name}."), value)

    spark.range(5).write.format("delta").save(f"{bucket.uri}/table")
    spark.range(3).write.json(f"{bucket.uri}/json")

    assert spark.read.format("delta").load(f"s3a://{bucket.name}/table").count() == 5
    assert spark.read.json(f"s3a://{bucket.name}/json").count() == 3


def test_times_are_utc_wherever_the_job_runs(spark: SparkSession) -> None:
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
    assert spark.sql("select string(timestamp '2026-01-01T00:00:00+02:00')").collect() == [("2025-12-31 22:00:00",)]


def test_an_active_session_is_adopted_and_keeps_its_own_settings(spark: SparkSession) -> None:
    spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    try:
        adopted = spark_session("ignored", {"spark.sql.shuffle.partitions": "7"})

        assert adopted.sparkContext is spark.sparkContext
        assert adopted.conf.get("spark.sql.session.timeZone") == "UTC"
        assert adopted.conf.get("spark.sql.shuffle.partitions") == "7"
        assert spark.conf.get("spark.sql.session.timeZone") == "Asia/Tokyo"
        assert spark.conf.get("spark.sql.shuffle.partitions") == "2"
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


def test_an_active_session_without_delta_is_refused_with_the_next_step(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(spark.conf), "get", lambda *_: None)

    with pytest.raises(
        ConfigError, match=r"no Delta Lake.*stop it, or start it with spark.sql.extensions=.*io\.delta:"
    ):
        spark_session("ignored")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {}),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-2"}, {"fs.s3a.endpoint.region": "eu-west-1"}),
        ({"AWS_DEFAULT_REGION": "us-east-2"}, {"fs.s3a.endpoint.region": "us-east-2"}),
        (
            {"AWS_ENDPOINT_URL": "http://a:1", "AWS_ENDPOINT_URL_S3": "http://b:2"},
            {
                "fs.s3a.endpoint": "http://b:2",
                "fs.s3a.path.style.access": "true",
                "fs.s3a.endpoint.region": "us-east-1",
            },
        ),
    ],
)
def test_s3_is_found_by_the_environment_that_boto3_reads(environ: dict[str, str], expected: dict[str, str]) -> None:
    always = s3_settings({})

    assert {key: value for key, value in s3_settings(environ).items() if always.get(key) != value} == expected


def test_s3_is_reached_by_tls_unless_an_endpoint_says_otherwise() -> None:
    """By boto3, S3A and delta-rs: an endpoint of one's own may be http, and that is then all that is."""
    plain, own = S3Settings(region="eu-west-1"), S3Settings("http://127.0.0.1:9", "eu-west-1")

    assert client(plain).meta.endpoint_url.startswith("https://")
    assert "fs.s3a.connection.ssl.enabled" not in s3_settings({"AWS_REGION": "eu-west-1"})
    options = [storage_options(ObjectStore(settings), "s3://b/t") or {} for settings in (plain, own)]
    assert [found.get("AWS_ALLOW_HTTP") for found in options] == [None, "true"]


def test_no_key_reaches_the_settings() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "id-7f3", "AWS_SECRET_ACCESS_KEY": "secret-7f3", "AWS_SESSION_TOKEN": "token-7f3"}

    assert "7f3" not in str(s3_settings(environ))


def test_a_spark_that_is_too_old_is_refused_before_java_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyspark, "__version__", "3.3.4")

    with pytest.raises(ConfigError, match=r"this is Spark 3\.3\.4, and 3\.5 is the oldest that fits"):
        spark_session("tests")
