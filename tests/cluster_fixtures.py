"""Fixtures: a Spark as a cluster has it, a real YARN, a standalone master with two workers, and the packaged code.

All are processes of their own in folders of their own. Their Python is a bare one: it has neither the package nor what
that imports. Their machines have credentials for the S3 server, as instance roles give them.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conftest import FOREIGN, JARS, ROOT, Submit, Submitted, free_port, wait_for
from s3_server import S3Server

YARN = ROOT / "tests/clusters/yarn"
YARN_JARS = ROOT / ".jars/yarn"
_DEPLOY = "org.apache.spark.deploy"


@dataclass(frozen=True)
class Cluster:
    """A running cluster: start ./spark-submit.sh through it."""

    submit: Submit
    master: str
    work: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __call__(self, *arguments: str, mode: str = "client", **environment: str) -> Submitted:
        return self.submit("--master", self.master, "--deploy-mode", mode, *arguments, **environment)


def processes(word: str, folder: Path) -> list[int]:
    """Returns the Java processes of this machine that work below a folder and have a word in their command lines."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = place.joinpath("cmdline").read_bytes().split(b"\0")
            is_below = Path(os.readlink(place / "cwd")).is_relative_to(folder)
        except OSError:  # it has ended, or is another user's
            continue
        if is_below and command[0].endswith(b"java") and any(word.encode() in part for part in command):
            found.append(int(place.name))
    return found


@pytest.fixture(scope="session")
def package() -> Path:
    """The folder dist/, made as users make it."""
    subprocess.run(["make", "--silent", "package"], cwd=ROOT, check=True, timeout=600)
    return ROOT / "dist"


@pytest.fixture(scope="session")
def cluster_spark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SPARK_HOME as EMR has it: Spark's own jars with those of Delta and S3 among them."""
    import pyspark

    installed, home = Path(pyspark.__file__).parent, tmp_path_factory.mktemp("spark")
    for folder in ("bin", "python"):
        (home / folder).symlink_to(installed / folder)
    for folder in ("jars", "conf"):
        (home / folder).mkdir()
    for jar in [*installed.joinpath("jars").glob("*.jar"), *JARS.glob("*.jar")]:
        (home / "jars" / jar.name).symlink_to(jar)
    settings = {
        "spark.executor.instances": "1",
        "spark.executor.cores": "1",
        "spark.executor.memory": "512m",
        "spark.driver.memory": "512m",
        "spark.ui.enabled": "false",
        # Nothing is uploaded: the machines have Spark.
        "spark.yarn.jars": f"local:{home}/jars/*",
        # Short runs: what the second compiler costs they do not get back.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.yarn.am.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.driver.host": "127.0.0.1",
    }
    text = "".join(f"{name} {value}\n" for name, value in settings.items())
    (home / "conf/spark-defaults.conf").write_text(text)
    return home


def java_home() -> str:
    """Returns where Java is, which YARN wants to be told."""
    if "JAVA_HOME" in os.environ:
        return os.environ["JAVA_HOME"]
    found = subprocess.run(["bash", "-c", "readlink -f $(type -P java)"], capture_output=True, text=True, check=True)
    return str(Path(found.stdout.strip()).parents[1])


def _environment(s3: S3Server) -> dict[str, str]:
    """The environment of a machine of the cluster: Java, S3, and nothing of ours."""
    bare = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": os.environ.get("HOME", "/"), "JAVA_HOME": java_home()}
    return bare | s3.environment | {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "512m"}


@contextmanager
def _running(command: list[str], log: Path, words: str, **how: object) -> Iterator[subprocess.Popen[bytes]]:
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            **how,  # type: ignore[call-overload]
        ) as process,
    ):
        try:
            wait_for(log, words, 300)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _submit(folder: Path, home: Path, environment: dict[str, str]) -> Submit:
    folder.mkdir()
    own = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return Submit(ROOT / "spark-submit.sh", folder, own | environment | {"SPARK_HOME": str(home)}, seconds=1500)


@pytest.fixture(scope="session")
def yarn_cluster(
    tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server, cluster_spark: Path, package: Path
) -> Iterator[Cluster]:
    """A ResourceManager and a NodeManager of one machine, with log aggregation and the command `yarn`."""
    subprocess.run(
        [str(ROOT / "conf/local/setup.sh"), "fetch", str(YARN / "ivy.xml"), str(YARN_JARS)], check=True, timeout=600
    )
    work = tmp_path_factory.mktemp("yarn")
    for folder in ("conf", "bin", "logs"):
        (work / folder).mkdir()
    (work / "logs").chmod(0o1777)
    (work / "conf/core-site.xml").write_text(
        "<configuration><property><name>fs.defaultFS</name><value>file:///</value></property></configuration>"
    )
    hadoop = [str(jar) for jar in cluster_spark.joinpath("jars").glob("hadoop-client-*.jar")]
    class_path = ":".join([*hadoop, *map(str, YARN_JARS.glob("*.jar"))])
    logs = "org.apache.hadoop.yarn.client.cli.LogsCLI"
    yarn = work / "bin/yarn"
    yarn.write_text(f'#!/bin/sh\nshift\nexec java -cp "{work}/conf:{class_path}" {logs} "$@"\n')
    yarn.chmod(0o755)
    environment = _environment(s3_server)
    command = [
        "java", "-Xmx512m", "--add-opens", "java.base/java.lang=ALL-UNNAMED", "-cp", class_path,
        str(YARN / "MiniYarn.java"), str(work), ",".join([*s3_server.environment, "SPARK_LOCAL_IP"]),
    ]  # fmt: skip
    caller = {"HADOOP_CONF_DIR": str(work / "conf"), "PATH": f"{work}/bin:{os.environ['PATH']}"}
    with _running(command, work / "yarn.log", "started", cwd=work, env=environment):
        yield Cluster(_submit(work / "caller", cluster_spark, caller | s3_server.environment), "yarn", work)


@contextmanager
def _standalone(work: Path, s3: S3Server, home: Path) -> Iterator[Cluster]:
    """Runs a Master and two Workers of one core each."""
    work.mkdir()
    port = free_port()
    master = f"spark://127.0.0.1:{port}"
    environment = _environment(s3) | {"SPARK_HOME": str(home), "SPARK_LOCAL_DIRS": str(work / "local")}
    environment["SPARK_WORKER_OPTS"] = "-Dspark.decommission.enabled=true"
    start = str(home / "bin/spark-class")
    with ExitStack() as stack:
        run = [start, f"{_DEPLOY}.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0"]
        stack.enter_context(_running(run, work / "master.log", "elected leader", cwd=work, env=environment))
        workers = []
        for number in (1, 2):
            host = f"127.0.0.{number}"  # Spark starts no speculative double on the host of the first one
            run = [
                start, f"{_DEPLOY}.worker.Worker", "--host", host, "--webui-port", "0", "--cores", "1",
                "--memory", "1g", "--work-dir", str(work / f"worker-{number}"), master,
            ]  # fmt: skip
            log = work / f"worker-{number}.log"
            running = _running(run, log, "registered with master", cwd=work, env=environment | {"SPARK_LOCAL_IP": host})
            workers.append(stack.enter_context(running))
        yield Cluster(_submit(work / "caller", home, s3.environment), master, work, workers)


@pytest.fixture(scope="session")
def standalone_pair(
    tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server, cluster_spark: Path, package: Path
) -> Iterator[Cluster]:
    """A Master and two Workers, which tests leave as they are."""
    with _standalone(tmp_path_factory.mktemp("pair") / "cluster", s3_server, cluster_spark) as cluster:
        yield cluster


@pytest.fixture
def doomed_pair(tmp_path: Path, s3_server: S3Server, cluster_spark: Path, package: Path) -> Iterator[Cluster]:
    """A Master and two Workers of the test's own, to be killed."""
    with _standalone(tmp_path / "cluster", s3_server, cluster_spark) as cluster:
        yield cluster


def wait_until(reached: Callable[[], object], running: Future[Submitted], seconds: float = 600) -> None:
    """Waits until a function returns something true, as long as the job runs."""
    end = time.monotonic() + seconds
    while not reached():
        if running.done():
            pytest.fail(f"the job ended before: {running.result().err[-5000:]}")
        if time.monotonic() > end:
            pytest.fail(f"not reached within {seconds} s")
        time.sleep(0.05)
