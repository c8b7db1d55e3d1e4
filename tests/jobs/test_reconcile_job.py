"""The story of the job: from its conf file to its exit code, run twice, killed midway, on a real cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from pyspark.sql import Row, SparkSession

from conftest import FOREIGN, ROOT, Submit

FIRST = "_delta_log/00000000000000000000.json"
LINES = [b'{"id":%d,"site":"north","speed":%d.5,"ok":true}\n' % (n, n) for n in range(1_000)]


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """Two objects a side; the backup lacks one record and has changed another."""
    for side, second in (("source", LINES[500:]), ("backup", [*LINES[501:999], LINES[999].replace(b"true", b"null")])):
        (tmp_path / side / "day").mkdir(parents=True)
        (tmp_path / side / "first.json").write_bytes(b"".join(LINES[:500]))
        (tmp_path / side / "day/second.json").write_bytes(b"".join(second))
    path = tmp_path / "month.yaml"
    path.write_text(
        f"source: {tmp_path}/source\nbackup: {tmp_path}/backup\nout: {tmp_path}/out\nkey: [id]\nrun_id: month\n"
    )
    return path


def rows(spark: SparkSession, out: Path, table: str) -> list[Row]:
    return spark.read.format("delta").load(str(out / "delta" / table)).collect()


def test_a_run_from_its_conf_file_to_its_exit_code_twice(submit: Submit, conf: Path, spark: SparkSession) -> None:
    ended = [submit("reconcile", "--conf", str(conf)) for _ in range(2)]
    out = conf.parent / "out"

    assert [run.code for run in ended] == [1, 1]
    assert ended[1].out.startswith("DIFFERENT: 99.80 % of 1,000 records match")
    assert "source 1,000 = matched 998 + changed 1 + moved out 0 + missing in backup 1" in ended[1].out
    assert "Traceback" not in ended[1].err
    assert [len(rows(spark, out, table)) for table in ("runs", "files", "mismatches")] == [1, 2, 2]
    assert len((out / "detailed_report.csv").read_text().splitlines()) == 3
    assert (out / "runs/month/repair/copy_again.txt").read_text() == "day/second.json\n"


@pytest.mark.parametrize("seen", [f"delta/runs/{FIRST}", f"delta/mismatches/{FIRST}", "detailed_report.csv"])
def test_a_killed_run_is_visible_as_incomplete_and_a_second_one_finishes_it(
    submit: Submit, conf: Path, spark: SparkSession, seen: str
) -> None:
    """kill -9 after the first commit, after the rows, and between the reports and the last commit."""
    out = conf.parent / "out"
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    with subprocess.Popen(
        [str(ROOT / "spark-submit.sh"), "reconcile", "--conf", str(conf)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as started:
        end = time.monotonic() + 120
        while not (out / seen).exists() and started.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        os.killpg(started.pid, signal.SIGKILL)
    (died,) = rows(spark, out, "runs")
    again = submit("reconcile", "--conf", str(conf))

    assert started.returncode == -signal.SIGKILL
    assert (died.run_id, died.status, died.source_records) == ("month", "INCOMPLETE", None)
    assert again.code == 1
    assert [len(rows(spark, out, table)) for table in ("runs", "files", "mismatches")] == [1, 2, 2]
    assert len((out / "detailed_report.csv").read_text().splitlines()) == 3
    assert len((out / "detailed_report_detailed.csv").read_text().splitlines()) == 3


def test_a_wrong_option_ends_with_2_before_spark_starts(submit: Submit, conf: Path) -> None:
    ended = submit("reconcile", "--conf", str(conf), "--treshold", "99", JAVA_HOME="/nonexistent")

    assert ended.code == 2
    assert "--threshold" in ended.err
    assert "Traceback" not in ended.err


def test_the_job_runs_on_a_cluster_that_does_not_know_the_package(
    submit: Submit, conf: Path, standalone_cluster: str, spark: SparkSession
) -> None:
    ended = submit("--master", standalone_cluster, "reconcile", "--conf", str(conf))

    assert ended.code == 1, ended.err
    assert ended.out.startswith("DIFFERENT: 99.80 % of 1,000 records match")
    assert len(rows(spark, conf.parent / "out", "files")) == 2
