"""What a run refuses on a cluster, before it has read anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import SparkSession

from conftest import ROOT
from tallymark.errors import ConfigError
from tallymark.io.cluster import require_filesystem, require_shared


def spark_of(deploy_mode: str) -> Any:
    """Stands for a session; whose driver is elsewhere no test can start in its own process."""
    conf = SimpleNamespace(get={"spark.submit.deployMode": deploy_mode}.get)
    return SimpleNamespace(sparkContext=SimpleNamespace(getConf=lambda: conf))


def test_an_output_that_ends_with_the_container_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError, match="ends with it: name a place on S3"):
        require_shared(spark_of("cluster"), f"{tmp_path}/out")
    for mode, place in (("client", f"{tmp_path}/out"), ("cluster", "/shared/out"), ("cluster", "s3://bucket/out")):
        require_shared(spark_of(mode), place)


def test_a_spark_without_the_jars_for_s3_is_refused_by_the_name_of_the_jar(spark: SparkSession) -> None:
    hadoop: Any = spark.sparkContext._jsc.hadoopConfiguration()
    known = hadoop.get("fs.s3.impl")
    hadoop.set("fs.s3.impl", "no.such.FileSystem")
    try:
        require_filesystem(spark, "/local/out")
        with pytest.raises(
            ConfigError, match=r"has no S3: add `--packages org\.apache\.hadoop:hadoop-aws:3\.(3\.4|4\.2)`"
        ):
            require_filesystem(spark, "s3://bucket/out")
    finally:
        hadoop.set("fs.s3.impl", known)
    require_filesystem(spark, "s3://bucket/out")


def test_work_without_spark_does_not_import_it_where_no_cluster_waits_for_a_context() -> None:
    """It would be most of the memory of an export."""
    text = (
        "import sys\nfrom tallymark.io.cluster import awaited_context\n"
        "with awaited_context('tests', {}): print('pyspark' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], env={"PYTHONPATH": str(ROOT / "lib")}, capture_output=True, text=True, check=True
    )

    assert done.stdout == "False\n"
