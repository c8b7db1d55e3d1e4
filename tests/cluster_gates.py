"""Holds chosen tasks of a job that runs on a cluster, so that a test can do something to the cluster meanwhile.

The job is the real one; its script is started by another one that wraps what `mapInArrow` is given. A held task names
itself in the folder of the gate, and goes on when the test lets it.
"""

from __future__ import annotations

import os
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cluster_fixtures import Cluster, wait_until
from cluster_jobs import Job
from conftest import ROOT, Submitted

_GATED = """
import os, pathlib, runpy, sys, time

try:
    from pyspark.sql.classic.dataframe import DataFrame
except ModuleNotFoundError:  # Spark 3.5
    from pyspark.sql import DataFrame

FOLDER, STAGE, BEFORE = pathlib.Path({folder!r}), {stage}, {before}
original, calls = DataFrame.mapInArrow, []


def gated(function):
    def run(batches):
        from pyspark import TaskContext

        task = TaskContext.get()
        name = f"{{task.partitionId()}}-{{task.attemptNumber()}}"

        def hold():
            (FOLDER / "writing").mkdir(exist_ok=True)
            (FOLDER / "writing" / name).write_text(str(os.getppid()))
            (FOLDER / "writing" / name).rename(FOLDER / name)
            opened = FOLDER / "open", FOLDER / ("open-" + name)
            while task.attemptNumber() == 0 and not any(known.exists() for known in opened):
                time.sleep(0.05)

        if BEFORE:
            hold()
            yield from function(batches)
        else:
            rows = list(function(batches))
            hold()
            yield from rows
        (FOLDER / (name + ".done")).touch()

    return run


def map_in_arrow(frame, function, *more, **named):
    calls.append(1)
    return original(frame, gated(function) if len(calls) == STAGE else function, *more, **named)


DataFrame.mapInArrow = map_in_arrow
sys.argv[0] = {job!r}
runpy.run_path({job!r}, run_name="__main__")
"""


@dataclass
class Gate:
    """A job whose tasks of one stage are held: after their work and before their end, or before their work."""

    cluster: Cluster
    job: Job
    folder: Path
    stage: int = 1
    before: bool = False
    options: tuple[str, ...] = ()
    mode: str = "client"
    running: Future[Submitted] = field(default_factory=Future)

    def start(self) -> Future[Submitted]:
        """Starts the job."""
        (self.folder / "jobs").mkdir(parents=True, exist_ok=True)
        script = ROOT / "jobs" / f"{self.job.name}.py"
        text = _GATED.format(folder=str(self.folder), stage=self.stage, before=self.before, job=str(script))
        (self.folder / "jobs" / script.name).write_text(text)
        environment = self.job.environment | {"TALLYMARK_JOBS": str(self.folder / "jobs")}
        start = partial(self.cluster, *self.options, self.job.name, *self.job.arguments, mode=self.mode)
        self.running = ThreadPoolExecutor(1).submit(start, **environment)
        return self.running

    def executor_of(self, task: str) -> int:
        """Waits until the task (partition-attempt) is held; returns the process of its executor."""
        self.wait_for(task)
        daemon = int((self.folder / task).read_text())
        return int(Path(f"/proc/{daemon}/stat").read_text().rpartition(")")[2].split()[1])

    def open(self, task: str = "") -> None:
        """Lets a task go on, or all."""
        (self.folder / (f"open-{task}" if task else "open")).touch()

    def wait_for(self, *names: str) -> None:
        wait_until(lambda: all((self.folder / name).exists() for name in names), self.running)


def worker_of(cluster: Cluster, executor: int) -> int:
    """Returns the number of the worker that an executor belongs to: 0 or 1."""
    return int("worker-2" in os.readlink(f"/proc/{executor}/cwd"))


def kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
