"""What the faults of `tests/torture` strike: the six jobs on S3, in a folder and in PostgreSQL, and a start of one.

The data and the truth about them are made by hand, those of four jobs in `cluster_jobs`. The faults are in
`torture_faults`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from cluster_jobs import Job, bulkload_job, export_job, ingest_job, reconcile_job, table
from conftest import FOREIGN, ROOT, Submitted
from s3_server import Bucket, S3Server
from tallymark.io.postgres import Server

_SECONDS = 240  # after which a job that does not end has failed


@dataclass(frozen=True)
class Folder(Bucket):
    """A local folder that is used as a bucket."""

    @property
    def uri(self) -> str:
        return self.name

    def put(self, key: str, body: bytes = b"{}", **options: Any) -> None:
        path = Path(self.name, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def get(self, key: str) -> bytes:
        return Path(self.name, key).read_bytes()

    def paths(self, prefix: str = "") -> list[str]:
        place = Path(self.name, prefix)
        return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())


@dataclass(frozen=True)
class Scene:
    """Where a job has its data: a bucket or a folder of its own, a database, a folder for its options."""

    place: Bucket
    s3: S3Server
    database: Server
    folder: Path


def _write(scene: Scene, name: str, rows: pa.Table) -> None:
    options = {**scene.s3.environment, "AWS_ALLOW_HTTP": "true"}
    write_deltalake(f"{scene.place.uri}/{name}", rows, mode="append", storage_options=options)


def _quality(scene: Scene) -> Job:
    """Every tenth address has no @."""
    addresses = [f"{'at' if number % 10 == 0 else '@'}{number}" for number in range(3_000)]
    for start in range(0, 3_000, 1_000):
        part = slice(start, start + 1_000)
        _write(scene, "people", pa.table({"id": list(range(3_000))[part], "email": addresses[part]}))
    rule = {"name": "address", "type": "expect_column_values_to_match_regex"}
    rules = {"table": "people", "expectations": [rule | {"kwargs": {"column": "email", "regex": "@"}}]}
    path = scene.folder / "rules.yaml"
    path.write_text(json.dumps(rules))

    def left() -> object:
        good, bad = (
            sorted(row["id"] for row in table(scene.place, scene.s3, name)) for name in ("good", "quarantined")
        )
        return good, bad, json.loads(scene.place.get("out/quality/one/verdict.json"))["passed"]

    bad = [number for number in range(3_000) if number % 10 == 0]
    expected = ([number for number in range(3_000) if number % 10], bad, False)
    uri = scene.place.uri
    arguments = ("--table", f"{uri}/people", "--rules", str(path), "--out", f"{uri}/out", "--run-id", "one")
    line = "FAILED: people version 2: rows 3,000 = good 2,700 + quarantined 300"
    return Job("quality", arguments, 1, line, left, expected)


def _maintain(scene: Scene) -> Job:
    """Two tables of eight files each become two of one."""
    names = ("files", "export_chunks")
    for number in range(8):
        for name in names:
            _write(scene, f"out/delta/{name}", pa.table({"number": [number, number + 100]}))

    def left() -> object:
        rows = [sorted(row["number"] for row in table(scene.place, scene.s3, name)) for name in names]
        options = {**scene.s3.environment, "AWS_ALLOW_HTTP": "true"}
        tables = (DeltaTable(f"{scene.place.uri}/out/delta/{name}", storage_options=options) for name in names)
        return rows, [len(one.file_uris()) for one in tables]

    numbers = sorted([*range(8), *range(100, 108)])
    return Job("maintain", ("--out", f"{scene.place.uri}/out"), 0, "rows", left, ([numbers, numbers], [1, 1]))


JOBS: Mapping[str, Callable[[Scene], Job]] = {
    "reconcile": lambda scene: reconcile_job(scene.place, scene.s3, scene.folder),
    "ingest": lambda scene: ingest_job(scene.place, scene.s3),
    "bulkload": lambda scene: bulkload_job(scene.place, scene.database, scene.folder),
    "export": lambda scene: export_job(scene.place, scene.database),
    "quality": _quality,
    "maintain": _maintain,
}


def again(job: Job) -> Job:
    """Returns how a job is started that goes on with, or repeats, what one before it has left."""
    return replace(job, arguments=(*job.arguments, "--resume")) if job.name == "export" else job


def with_more(job: Job, place: Bucket) -> Job:
    """Changes the data after a run; returns the job with what must come of it then.

    Only `reconcile` remembers objects: whatever happened before, it must see that this one is another now.
    """
    body = place.get("backup/3.json")
    place.put("backup/3.json", body[body.index(b"\n") + 1 :])
    rows: list[Any] = job.expected[0]  # type: ignore[index]
    expected = ([*rows[:3], ("3.json", 250, 249, 0, 1)], [("changed", 1), ("source_only", 1), ("source_only", 1)])
    line = "source 1,000 = matched 997 + changed 1 + moved out 0 + missing in backup 2"
    return replace(job, line=line, expected=expected)


class Running:
    """A job that was started by ./spark-submit.sh, with all of its processes."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self._folder = folder

    def ended(self) -> Submitted:
        """Waits for the end of the job."""
        code = self.process.wait(_SECONDS)
        out, err = ((self._folder / name).read_text(errors="replace") for name in ("out", "err"))
        return Submitted(code, out, err)

    def pids(self, victim: str) -> list[int]:
        """Returns the processes of one kind: driver, jvm, worker (of Python) or all."""
        if victim == "driver":
            return [self.process.pid]
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                *_, session = place.joinpath("stat").read_text().rpartition(")")[2].split()[:4]
                command = place.joinpath("cmdline").read_bytes()
                kind = "jvm" if command.partition(b"\0")[0].endswith(b"java") else "driver"
                kind = "worker" if b"pyspark.daemon" in command or b"pyspark/daemon" in command else kind
                if int(session) == self.process.pid and victim in {kind, "all"}:
                    found.append(int(place.name))
        return sorted(found)

    def kill(self, victim: str) -> int:
        """Kills these processes by SIGKILL; returns how many there were."""
        pids = self.pids(victim)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(pids)


@contextmanager
def start(job: Job, folder: Path, *before: str, **environment: str) -> Iterator[Running]:
    """Starts a job through ``before``, words in front of its command; at the end none of its processes is left."""
    inherited = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [*before, str(ROOT / "spark-submit.sh"), job.name, *job.arguments],
            cwd=folder,
            env={**inherited, **job.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    running = Running(process, folder)
    try:
        yield running
    finally:
        while running.kill("all") and process.poll() is None:
            time.sleep(0.05)
        process.wait()
