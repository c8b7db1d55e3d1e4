"""Fixtures of all tests: one Spark session per run, starts of ./spark-submit.sh, a real cluster of two processes.

All of them are of the line whose Python runs the tests: .venv, or .spark35 (`make test-spark35`).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from s3_server import S3Server

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

pytest_plugins = ["cluster_fixtures", "gcs_fixtures", "hook_server", "postgres_fixtures", "s3_fixtures"]

ROOT = Path(__file__).parents[1]
PYTHON = Path(sys.prefix) / "bin/python"
SPARK35 = ROOT / ".spark35"
IS_SPARK35 = Path(sys.prefix).name == SPARK35.name
# Those of the other line lie among Spark's own.
JARS = ROOT / (".spark35/none" if IS_SPARK35 else ".jars/spark")
# Only `make test-spark35` has both lines.
collect_ignore = [] if IS_SPARK35 else ["lines"]
GCS_JARS = ROOT / ".jars/gcs"

# What would lead a start under test to another Spark, another Python or another folder than the one meant.
FOREIGN = (
    "PYSPARK_DRIVER_PYTHON",
    "PYSPARK_PYTHON",
    "PYSPARK_SUBMIT_ARGS",
    "PYTHONPATH",
    "SPARK_HOME",
    "TALLYMARK_JOBS",
    "VIRTUAL_ENV",
)
# What needs no Spark starts none, so there need be no Java to be found; a cluster's spark-submit is Java itself.
NO_JAVA = {} if IS_SPARK35 else {"JAVA_HOME": "/nonexistent"}


def start_environment(*, spark35: bool = IS_SPARK35) -> dict[str, str]:
    """Returns the environment for ./spark-submit.sh, which finds the local line, or Spark 3.5 as a cluster's Spark."""
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    if spark35:
        (home,) = SPARK35.glob("lib/python3.*/site-packages/pyspark")
        log = f"-Dlog4j2.configurationFile=file:{ROOT}/conf/local/log4j2.properties"
        environment |= {"SPARK_HOME": str(home), "VIRTUAL_ENV": str(SPARK35), "SPARK_SUBMIT_OPTS": log}
        environment["PYSPARK_PYTHON"] = str(SPARK35 / "bin/python")
    return environment


@pytest.fixture(scope="session")
def spark(s3_server: S3Server) -> Iterator[SparkSession]:
    """One small local session with Delta and the S3 server, started as ./spark-submit.sh starts it."""
    from tallymark.io.session import spark_session

    class_path = ":".join(str(jar) for folder in (JARS, GCS_JARS) for jar in sorted(folder.glob("*.jar")))
    options = (
        f"-Dlog4j2.configurationFile=file:{ROOT}/conf/local/log4j2.properties -XX:TieredStopAtLevel=1 "
        f"-XX:SharedArchiveFile={JARS}/classes.jsa -Xshare:auto "
        "-Xlog:cds=off -Xlog:cds+dynamic=off -Xlog:class+path=off"
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment.items():
            patch.setenv(name, value)
        patch.setenv(
            "PYSPARK_SUBMIT_ARGS",
            f"--driver-class-path '{class_path}' --driver-java-options '{options}' pyspark-shell",
        )
        patch.setenv("PYSPARK_PYTHON", str(PYTHON))
        patch.setenv("TALLYMARK_JAVA", f"{os.environ['JAVA_HOME']}/bin/java" if "JAVA_HOME" in os.environ else "java")
        patch.setenv("JAVA_HOME", str(ROOT / "conf/local/java"))
        # Python workers are children of the JVM and see the package as a local run sees it.
        patch.setenv("PYTHONPATH", str(ROOT / "lib"))
        session = spark_session(
            "tallymark-tests",
            {
                "spark.master": "local[2]",
                "spark.sql.shuffle.partitions": "2",
                "spark.databricks.delta.snapshotPartitions": "1",
                "spark.ui.enabled": "false",
            },
        )
    yield session
    session.stop()


def make_executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@dataclass(frozen=True)
class Submitted:
    """How a start of ./spark-submit.sh ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Both: a cluster's spark-submit joins what a job writes to standard error with its output."""
        return self.out + self.err


@dataclass(frozen=True)
class Submit:
    """Starts ./spark-submit.sh (or a copy of it) in an environment of its own."""

    script: Path
    folder: Path
    environment: Mapping[str, str]
    seconds: float = 300

    def __call__(self, *arguments: str, **environment: str) -> Submitted:
        done = subprocess.run(
            [str(self.script), *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=self.seconds,
            check=False,
        )
        return Submitted(done.returncode, done.stdout, done.stderr)


def kill_when(reached: Callable[[], bool], *arguments: str, **environment: str) -> None:
    """Start ./spark-submit.sh and kill -9 all of its processes as soon as the stage is reached."""
    with subprocess.Popen(
        [str(ROOT / "spark-submit.sh"), *arguments],
        env={**start_environment(), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as started:
        end = time.monotonic() + 300
        while not reached() and started.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        os.killpg(started.pid, signal.SIGKILL)
    assert started.returncode == -signal.SIGKILL


@pytest.fixture
def submit(tmp_path: Path) -> Submit:
    """Start ./spark-submit.sh from a foreign working folder, without the developer's Spark settings."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return Submit(ROOT / "spark-submit.sh", folder, start_environment())


@pytest.fixture(scope="session")
def standalone_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Spark standalone Master and Worker, in processes of their own; yields the URL of the Master.

    They know nothing of the package: what an executor imports was shipped to it.
    """
    import pyspark

    home = Path(pyspark.__file__).parent
    work = tmp_path_factory.mktemp("cluster")
    port = free_port()
    url = f"spark://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    environment |= {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "512m"}
    deploy = "org.apache.spark.deploy"
    commands = {
        "master": [f"{deploy}.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0"],
        "worker": [
            f"{deploy}.worker.Worker", "--host", "127.0.0.1", "--webui-port", "0", "--cores", "2", "--memory", "2g",
            "--work-dir", str(work / "executors"), url,
        ],
    }  # fmt: skip
    running = []
    try:
        for name, command in commands.items():
            log = work / f"{name}.log"
            with log.open("wb") as out:
                running.append(
                    subprocess.Popen(
                        [str(home / "bin/spark-class"), *command],
                        cwd=work,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=out,
                        stderr=subprocess.STDOUT,
                    )
                )
            wait_for(log, "I have been elected leader" if name == "master" else "Successfully registered with master")
        yield url
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            process.wait(30)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(log: Path, words: str, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while words not in log.read_text(errors="replace"):
        if time.monotonic() > end:
            pytest.fail(f"no {words!r} after {seconds} s in the log:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.2)
