"""What happens to machines of a cluster in the middle of a job changes nothing of what the job leaves behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from cluster_fixtures import Cluster, processes, wait_until
from cluster_gates import Gate, kill, worker_of
from cluster_jobs import Job, bulkload_job, export_job, ingest_job, reconcile_job
from conftest import Submitted
from s3_server import Bucket, S3Server
from tallymark.io.postgres import Server

pytestmark = pytest.mark.clusters
MERGE = 2  # the stage of `ingest` that writes the files of the table


@pytest.fixture
def reconcile(bucket: Bucket, s3_server: S3Server, tmp_path: Path) -> Job:
    return reconcile_job(bucket, s3_server, tmp_path)


@pytest.fixture
def ingest(bucket: Bucket, s3_server: S3Server) -> Job:
    return ingest_job(bucket, s3_server)


@pytest.fixture
def bulkload(bucket: Bucket, fresh_database: Server, tmp_path: Path) -> Job:
    return bulkload_job(bucket, fresh_database, tmp_path)


def assert_as_undisturbed(job: Job, ended: Submitted) -> None:
    assert ended.code == job.code, ended.err[-5000:]
    assert job.line in ended.out
    assert job.left() == job.expected


@pytest.mark.parametrize(
    ("name", "stage"),
    [("reconcile", 1), ("ingest", 1), ("ingest", MERGE), ("bulkload", 1)],
)
def test_a_worker_is_killed_when_its_task_has_worked_and_not_ended(
    request: pytest.FixtureRequest, doomed_pair: Cluster, tmp_path: Path, name: str, stage: int
) -> None:
    """Spark starts the task again on the other machine, where what the first one did must be met."""
    job: Job = request.getfixturevalue(name)
    gate = Gate(doomed_pair, job, tmp_path / "gate", stage)
    running = gate.start()
    executor = gate.executor_of("0-0")

    kill(executor, doomed_pair.workers[worker_of(doomed_pair, executor)].pid)
    gate.open()

    ended = running.result()
    assert_as_undisturbed(job, ended)
    assert "Lost executor" in ended.err


@pytest.mark.parametrize(("name", "stage"), [("reconcile", 1), ("ingest", 1), ("bulkload", 1)])
def test_a_worker_is_decommissioned_in_the_middle(
    request: pytest.FixtureRequest, doomed_pair: Cluster, tmp_path: Path, name: str, stage: int
) -> None:
    job: Job = request.getfixturevalue(name)
    switched_on = (
        "decommission",
        "storage.decommission",
        "storage.decommission.rddBlocks",
        "storage.decommission.shuffleBlocks",
    )
    options = [word for each in switched_on for word in ("--conf", f"spark.{each}.enabled=true")]
    gate = Gate(doomed_pair, job, tmp_path / "gate", stage, options=tuple(options))
    running = gate.start()
    number = worker_of(doomed_pair, gate.executor_of("0-0"))

    os.kill(doomed_pair.workers[number].pid, signal.SIGPWR)
    wait_until(lambda: "Decommission worker" in (doomed_pair.work / f"worker-{number + 1}.log").read_text(), running)
    gate.open()

    assert_as_undisturbed(job, running.result())


def test_shuffle_files_vanish_after_they_were_written(
    bucket: Bucket, s3_server: S3Server, doomed_pair: Cluster, tmp_path: Path
) -> None:
    """Whoever reads them makes Spark decode those objects again."""
    ingest = ingest_job(bucket, s3_server, files=12)  # enough for two tasks
    gate = Gate(doomed_pair, ingest, tmp_path / "gate")
    gate.folder.mkdir()
    gate.open("1-0")
    running = gate.start()
    gate.executor_of("0-0")

    wait_until(lambda: shuffle_files(doomed_pair), running)
    for file in shuffle_files(doomed_pair):
        file.unlink()
    gate.open()

    ended = running.result()
    assert_as_undisturbed(ingest, ended)
    assert "FetchFailed" in ended.err


def shuffle_files(cluster: Cluster) -> list[Path]:
    return list(cluster.work.rglob("shuffle_*_0.data"))


@pytest.mark.parametrize(("name", "stage"), [("reconcile", 1), ("ingest", MERGE), ("bulkload", 1)])
def test_a_slow_task_gets_a_speculative_double_and_both_work(
    request: pytest.FixtureRequest, doomed_pair: Cluster, tmp_path: Path, name: str, stage: int
) -> None:
    job: Job = request.getfixturevalue(name)
    settings = ("speculation=true", "speculation.interval=200ms", "speculation.task.duration.threshold=3s")
    options = [word for each in settings for word in ("--conf", f"spark.{each}")]
    gate = Gate(doomed_pair, job, tmp_path / "gate", stage, before=True, options=tuple(options))
    gate.folder.mkdir()
    gate.open("1-0")
    running = gate.start()

    gate.wait_for("0-0", "0-1")
    gate.open()

    assert_as_undisturbed(job, running.result())


@pytest.mark.parametrize(("name", "stage"), [("reconcile", 1), ("ingest", MERGE), ("bulkload", 1)])
def test_an_executor_that_stands_still_is_given_up_and_then_goes_on(
    request: pytest.FixtureRequest, doomed_pair: Cluster, tmp_path: Path, name: str, stage: int
) -> None:
    """Its Python works on while its task runs elsewhere again."""
    job: Job = request.getfixturevalue(name)
    settings = ("network.timeout=20s", "executor.heartbeatInterval=2s", "network.timeoutInterval=2s")
    options = [word for each in settings for word in ("--conf", f"spark.{each}")]
    gate = Gate(doomed_pair, job, tmp_path / "gate", stage, before=True, options=tuple(options))
    gate.folder.mkdir()
    gate.open("1-0")
    running = gate.start()
    executor = gate.executor_of("0-0")

    os.kill(executor, signal.SIGSTOP)
    gate.wait_for("0-1.done")
    gate.open("0-0")
    kill_resumed(executor)
    gate.open()

    assert_as_undisturbed(job, running.result())


def kill_resumed(executor: int) -> None:
    """Lets the executor go on, unless the cluster has ended it."""
    if Path(f"/proc/{executor}").exists():
        os.kill(executor, signal.SIGCONT)


def test_the_driver_of_an_export_is_killed_on_yarn_and_resumed(
    yarn_cluster: Cluster, bucket: Bucket, fresh_database: Server, tmp_path: Path
) -> None:
    job = export_job(bucket, fresh_database, rows=100_000)
    running = Gate(yarn_cluster, job, tmp_path / "gate", mode="cluster").start()
    wait_until(lambda: len([path for path in bucket.paths("orders") if path.startswith("part-")]) > 3, running)

    kill(*processes("ApplicationMaster", yarn_cluster.work))
    killed = running.result()
    resumed = yarn_cluster(job.name, *job.arguments, "--resume", mode="cluster", **job.environment)

    assert killed.code == 3, killed.err[-3000:]
    assert_as_undisturbed(job, resumed)
