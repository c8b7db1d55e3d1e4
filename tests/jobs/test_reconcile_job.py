"""The story of the job: from its conf file to its exit code, run twice, killed midway, on a real cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import Row, SparkSession

from conftest import NO_JAVA, PYTHON, ROOT, Submit, Submitted, kill_when

FIRST, SECOND = (f"_delta_log/{version:020}.json" for version in range(2))
LINES = [b'{"id":%d,"site":"north","speed":%d.5,"ok":true}\n' % (n, n) for n in range(1_000)]

# The job, which first tells from where executors import the package.
SHIPPED = """
import os, runpy
from tallymark.io.session import spark_session

def imported(_):
    import tallymark.errors
    return tallymark.errors.__file__

context = spark_session("shipped").sparkContext
print(context.master, *context.parallelize([0], 1).map(imported).collect(), flush=True)
runpy.run_path(os.environ["REAL_JOB"], run_name="__main__")
"""


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


def test_a_run_that_is_killed_is_visible_and_is_finished_and_then_repeated(
    submit: Submit, conf: Path, spark: SparkSession
) -> None:
    """kill -9 once the rows are there; then a run meets a finished one of its own name, and one of another name.

    The last, in which nothing has changed, needs no Spark.
    """
    out = conf.parent / "out"
    kill_once_seen(out / "delta/mismatches" / SECOND, conf)
    assert states(spark, out) == [("month", "INCOMPLETE", None)]
    assert len(rows(spark, out, "mismatches")) == 2

    for _ in ("finished", "repeated"):
        assert_finished(submit("reconcile", "--conf", str(conf)), out, spark)

    told = submit("reconcile", "--history", "--out", str(out), **NO_JAVA)
    assert told.code == 0, told.err
    (words,) = [line.split() for line in told.out.splitlines() if "DIFFERENT" in line]
    assert [words[0], *words[3:-1]] == ["month", "DIFFERENT", "99.80", "%", "1,000", "1", "1", "0"]
    planned = submit("reconcile", "--conf", str(conf), "--dry-run", **NO_JAVA)
    assert planned.code == 0, planned.err
    assert "PLAN: nothing was read. " in planned.out
    assert states(spark, out) == [("month", "COMPLETE", 1_000)]

    remembered = submit("reconcile", "--conf", str(conf), "--run-id", "unchanged", **NO_JAVA)
    assert remembered.code == 1, remembered.err
    assert "DIFFERENT: 99.80 % of 1,000 records match" in remembered.out
    assert sorted(states(spark, out)) == [("month", "COMPLETE", 1_000), ("unchanged", "COMPLETE", 1_000)]


@pytest.mark.kills
def test_a_run_that_is_killed_after_each_stage_is_finished(submit: Submit, conf: Path, spark: SparkSession) -> None:
    """kill -9 after the first commit, once rows are in a file, once they are committed, and before the last commit.

    Each start meets what the one before has left.
    """
    out = conf.parent / "out"

    kill_once_seen(out / "delta/runs" / FIRST, conf)
    assert states(spark, out) == [("month", "INCOMPLETE", None)]
    assert not (out / "delta/mismatches").exists()

    kill_when(lambda: any((out / "delta/mismatches").glob("*/*.parquet")), "reconcile", "--conf", str(conf))
    assert states(spark, out) == [("month", "INCOMPLETE", None)]
    assert none_or_all(spark, out)

    commits = len(list((out / "delta/mismatches/_delta_log").glob("*.json")))
    kill_when(
        lambda: len(list((out / "delta/mismatches/_delta_log").glob("*.json"))) > commits,
        "reconcile", "--conf", str(conf),
    )  # fmt: skip
    assert states(spark, out) == [("month", "INCOMPLETE", None)]
    assert none_or_all(spark, out)

    kill_once_seen(out / "detailed_report.csv", conf)
    assert states(spark, out) == [("month", "INCOMPLETE", None)]
    assert [len(rows(spark, out, table)) for table in ("files", "mismatches")] == [2, 2]

    assert_finished(submit("reconcile", "--conf", str(conf)), out, spark)


def none_or_all(spark: SparkSession, out: Path) -> bool:
    """Whether the table of mismatches has no row of the run, or is not yet there, or has both."""
    return not (out / "delta/mismatches" / FIRST).exists() or len(rows(spark, out, "mismatches")) in {0, 2}


def assert_finished(ended: Submitted, out: Path, spark: SparkSession) -> None:
    assert ended.code == 1
    assert "DIFFERENT: 99.80 % of 1,000 records match" in ended.out
    assert "source 1,000 = matched 998 + changed 1 + moved out 0 + missing in backup 1" in ended.out
    assert "Traceback" not in ended.said
    assert states(spark, out) == [("month", "COMPLETE", 1_000)]
    assert [len(rows(spark, out, table)) for table in ("files", "mismatches")] == [2, 2]
    assert len((out / "detailed_report.csv").read_text().splitlines()) == 3
    assert len((out / "detailed_report_detailed.csv").read_text().splitlines()) == 3
    assert (out / "runs/month/repair/copy_again.txt").read_text() == "day/second.json\n"
    assert "DIFFERENT" in (out / "report.html").read_text()


def states(spark: SparkSession, out: Path) -> list[tuple[str, str, int | None]]:
    return [(row.run_id, row.status, row.source_records) for row in rows(spark, out, "runs")]


def kill_once_seen(seen: Path, conf: Path) -> None:
    """Starts the job and kills all of its processes as soon as the file is there."""
    assert not seen.exists()
    kill_when(seen.exists, "reconcile", "--conf", str(conf))


def test_a_wrong_option_ends_with_2_before_spark_starts(submit: Submit, conf: Path) -> None:
    ended = submit("reconcile", "--conf", str(conf), "--treshold", "99", **NO_JAVA)

    assert ended.code == 2
    assert "--threshold" in ended.said
    assert "Traceback" not in ended.said


def test_the_job_runs_on_a_cluster_that_knows_the_package_from_the_zip_alone(
    submit: Submit, conf: Path, standalone_cluster: str, spark: SparkSession, tmp_path: Path
) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/reconcile.py").write_text(SHIPPED)
    ended = submit(
        "--master", standalone_cluster, "reconcile", "--conf", str(conf),
        TALLYMARK_JOBS=str(tmp_path / "jobs"), REAL_JOB=str(ROOT / "jobs/reconcile.py"), PYSPARK_PYTHON=str(PYTHON),
    )  # fmt: skip

    assert ended.code == 1, ended.err
    where, _, told = ended.out.partition("\n")
    assert where.startswith(standalone_cluster)
    assert where.endswith("/tallymark.zip/tallymark/errors.py")
    assert "DIFFERENT: 99.80 % of 1,000 records match" in told
    assert len(rows(spark, conf.parent / "out", "files")) == 2
