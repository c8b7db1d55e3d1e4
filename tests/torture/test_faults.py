"""Whatever strikes a job at whatever moment: it tells the truth or says that it cannot, and the next start repairs it.

Each round has data of its own, with the truth about them. The job starts, the fault strikes at a moment that the seed
draws, the job ends. An exit code 0 or 1 must then stand beside the whole truth; any other, beside a message that says
what to do. After another start, undisturbed, all is there, and nothing twice. `reconcile`, which remembers what it has
read, must then find one more difference.

`make torture` runs all rounds by a new seed, or by `SEED=`; those without a mark belong to `make test`.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import pytest

import torture_faults as faults
from bulkload_loads import execute
from cluster_jobs import Job
from conftest import Submitted
from s3_server import Bucket, FaultProxy, S3Server
from tallymark.io.embedded_postgres import RunningPostgres
from tallymark.io.postgres import Server
from torture_faults import Striking
from torture_jobs import JOBS, Folder, Scene, again, start, with_more

SEED = os.environ.get("TORTURE_SEED", "1")
MINUTES = 20
LONG = pytest.mark.torture
REQUESTS = {"reconcile": 170, "ingest": 90, "bulkload": 100, "export": 100, "quality": 60, "maintain": 170}
"""About as many requests to S3 as each job makes undisturbed: moments are drawn from so many."""
ON_SPARK = ("reconcile", "ingest", "bulkload", "quality")
_BEGUN = time.monotonic()


@pytest.fixture(autouse=True)
def bounded() -> None:
    if time.monotonic() - _BEGUN > 60 * MINUTES:
        pytest.skip(f"the {MINUTES} minutes are over")


@pytest.fixture
def random(request: pytest.FixtureRequest) -> Random:
    """The seed of this round: a round alone meets what it met among the others."""
    return Random(f"{SEED} {request.node.name}")


@pytest.fixture
def scene(bucket: Bucket, s3_server: S3Server, fresh_database: Server, tmp_path: Path) -> Scene:
    return Scene(bucket, s3_server, fresh_database, tmp_path)


def in_folder(scene: Scene, folder: Path) -> Scene:
    """Returns the scene on local folders."""
    place = Folder(str(folder / "place"), None, scene.place.store)
    Path(place.name).mkdir()
    return Scene(place, scene.s3, scene.database, folder)


def assert_whole(job: Job, ended: Submitted) -> None:
    assert ended.code == job.code, ended.err[-5000:]
    assert job.left() == job.expected


def assert_honest(job: Job, ended: Submitted) -> None:
    """A verdict stands beside the truth; without one there is a message for people, or a list of what is missing."""
    said = f"exit {ended.code}\n{ended.out[-3000:]}\n{ended.err[-6000:]}"
    assert "Traceback" not in ended.err, said
    assert ended.code in {job.code, 3, 4}, said
    if ended.code in {0, 1}:
        assert job.line in ended.out, said
    if job.line in ended.out:
        assert job.left() == job.expected, said
    else:
        assert "INCOMPLETE" in ended.out or f"\n{job.name}: " in f"\n{ended.err}", said


def repair(job: Job, scene: Scene) -> None:
    """Starts the job again, undisturbed, and `reconcile` once more on other data."""
    with start(again(job), scene.folder / "again") as running:
        assert_whole(job, running.ended())
    if job.name == "reconcile":
        more = with_more(job, scene.place)
        with start(more, scene.folder / "more") as running:
            assert_whole(more, running.ended())


def torture(
    name: str, scene: Scene, random: Random, proxy: FaultProxy, fault: Callable[[Random, int], Striking], **more: str
) -> None:
    """One round with a fault that strikes at a request."""
    job, striking = JOBS[name](scene), fault(random, random.randint(1, REQUESTS[name]))
    proxy.draw = striking
    with start(job, scene.folder / "struck", AWS_ENDPOINT_URL=proxy.endpoint_url, **more) as running:
        striking.running = running
        ended = running.ended()
    proxy.draw = None
    hit = f"at request {striking.moment} of {striking.seen}" if striking.has_hit else f"not in {striking.seen} requests"
    print(f"torture: {job.name}: {striking.name}, {hit}: exit {ended.code}", flush=True)
    if ended.code >= 0:
        assert_honest(job, ended)
    repair(job, scene)


def rounds(*short: tuple[str, str], **by_kind: tuple[str, ...]) -> pytest.MarkDecorator:
    """One round for each kind of fault and each of its jobs; the ``short`` ones belong to `make test`."""
    pairs = [(kind, name) for kind, names in by_kind.items() for name in names]
    marks = {pair: () if pair in short else LONG for pair in pairs}
    return pytest.mark.parametrize(("kind", "name"), [pytest.param(*pair, marks=marks[pair]) for pair in pairs])


@rounds(
    ("driver", "export"),
    driver=tuple(JOBS), jvm=ON_SPARK, worker=ON_SPARK,
)  # fmt: skip
def test_a_process_is_killed(kind: str, name: str, scene: Scene, random: Random, proxy: FaultProxy) -> None:
    torture(name, scene, random, proxy, partial(faults.kill, victim=kind))


@rounds(
    ("storm", "ingest"),
    storm=tuple(JOBS), away=tuple(JOBS), forbidden=tuple(JOBS), hanging=("reconcile", "maintain"),
)  # fmt: skip
def test_s3_goes_wrong(kind: str, name: str, scene: Scene, random: Random, proxy: FaultProxy) -> None:
    torture(name, scene, random, proxy, getattr(faults, kind))


@rounds(restart=("bulkload", "export"))
def test_postgresql_is_restarted(
    kind: str, name: str, scene: Scene, random: Random, proxy: FaultProxy, running_postgres: RunningPostgres
) -> None:
    torture(name, scene, random, proxy, partial(faults.restart, postgres=running_postgres))


@rounds(clock=tuple(JOBS))
def test_the_clock_jumps(kind: str, name: str, scene: Scene, random: Random, proxy: FaultProxy) -> None:
    fault = partial(faults.clock, folder=scene.folder, name=name)
    torture(name, scene, random, proxy, fault, TALLYMARK_JOBS=str(scene.folder / "jobs"))


@LONG
@pytest.mark.parametrize("name", JOBS)
def test_two_start_at_once(name: str, scene: Scene, random: Random) -> None:
    """One of them does it; the other finds the lock, or that all is done."""
    job = JOBS[name](scene)
    with start(job, scene.folder / "first") as first:
        time.sleep(random.random() * 2)
        with start(job, scene.folder / "second") as second:
            ended = [first.ended(), second.ended()]
    print(f"torture: {name}: two at once: exit {[one.code for one in ended]}", flush=True)

    assert job.code in {one.code for one in ended}
    for one in ended:
        done = name == "export" and "a finished export is there" in one.err
        assert one.code in {job.code, 4, *([2] if done else [])}, one.err[-3000:]
        assert "Traceback" not in one.err
    assert job.left() == job.expected


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[], None]]:
    """Makes the folder a disk of its own; yields what makes it a large one."""
    if os.geteuid() != 0:
        pytest.fail("only root can make a small disk: run these rounds as root")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "tmpfs", str(folder)], check=True)

    def grow() -> None:
        subprocess.run(["mount", "-o", "remount,size=1g", str(folder)], check=True)

    try:
        yield grow
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@LONG
@pytest.mark.parametrize("what", ["out", "temporary files"])
@pytest.mark.parametrize("name", JOBS)
def test_a_disk_is_full(what: str, name: str, scene: Scene, random: Random, tmp_path: Path) -> None:
    local = in_folder(scene, tmp_path)
    out = Path(local.place.name, "orders" if name == "export" else "out")
    disk = out if what == "out" else tmp_path / "temporary"
    with small_disk(disk, "1g") as grow:
        job = JOBS[name](local)
        used = (os.statvfs(disk).f_blocks - os.statvfs(disk).f_bfree) * os.statvfs(disk).f_frsize
        size = used + random.choice((4, 16, 40, 100)) * 1024
        subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)
        temporary = {} if what == "out" else {"TMPDIR": str(disk), "SPARK_LOCAL_DIRS": str(disk)}
        with start(job, tmp_path / "struck", **temporary) as running:
            ended = running.ended()
        print(f"torture: {name}: {what} on a disk of {size >> 10} kB: exit {ended.code}", flush=True)
        assert_honest(job, ended)
        grow()
        repair(job, local)


@LONG
def test_the_disk_of_postgresql_is_full(scene: Scene, running_postgres: RunningPostgres) -> None:
    """53100 in the middle of COPY."""
    folder = running_postgres.folder / f"small-{scene.database.dbname}"
    with small_disk(folder, "400k") as grow:
        space = f"small_{scene.database.dbname}"
        execute(scene.database, f"CREATE TABLESPACE {space} LOCATION '{folder}'")
        execute(
            scene.database, f"ALTER ROLE postgres IN DATABASE {scene.database.dbname} SET default_tablespace = {space}"
        )
        job = JOBS["bulkload"](scene)
        with start(job, scene.folder / "struck") as running:
            ended = running.ended()
        print(f"torture: bulkload: a tablespace of 400 kB: exit {ended.code}", flush=True)
        assert ended.code == 3
        assert_honest(job, ended)
        grow()
        repair(job, scene)
        execute(scene.database, "DROP TABLE IF EXISTS people CASCADE")


@LONG
@pytest.mark.parametrize("name", JOBS)
def test_the_output_folder_may_not_be_written(name: str, scene: Scene, tmp_path: Path) -> None:
    """Root may write everywhere but to what is mounted without that right."""
    local = in_folder(scene, tmp_path)
    out = Path(local.place.name, "orders" if name == "export" else "out")
    with small_disk(out, "1g"):
        job = JOBS[name](local)
        subprocess.run(["mount", "-o", "remount,ro", str(out)], check=True)
        with start(job, tmp_path / "struck") as running:
            ended = running.ended()
        print(f"torture: {name}: no right to write: exit {ended.code}", flush=True)

        assert ended.code in {2, 3}, ended.err[-3000:]
        assert_honest(job, ended)
        subprocess.run(["mount", "-o", "remount,rw", str(out)], check=True)
        repair(job, local)
