"""Whatever strikes a job at whatever moment: it tells the truth or says that it cannot, and the next start repairs it.

Each round has data of its own, with the truth about them. The job starts, the fault strikes at a moment that the seed
draws, the job ends. An exit code 0 or 1 must then stand beside the whole truth; any other, beside a message that says
what to do. After another start, undisturbed, all is there, and nothing twice. `reconcile`, which remembers what it has
read, must then find one more difference.

`make torture` runs all rounds by a new seed, or by `SEED=`; those without a mark belong to `make test`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random

import pytest

import torture_faults as faults
from cluster_jobs import Job
from conftest import Submitted
from postgres_fixtures import make_database
from s3_server import Bucket, FaultProxy, S3Server
from tallymark.io.embedded_postgres import RunningPostgres
from tallymark.io.postgres import Server
from torture_faults import Striking
from torture_jobs import JOBS, Scene, again, start, with_more

SEED = os.environ.get("TORTURE_SEED", "1")
MINUTES = 20
LONG = pytest.mark.torture
SPARK = ("reconcile", "ingest", "bulkload", "quality")
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
def new_scene(s3_server: S3Server, postgres: Server, bucket: Bucket, tmp_path: Path) -> Callable[[], Scene]:
    """Makes scenes; `bucket` keeps the developer's AWS account out."""
    numbers = count()

    def make() -> Scene:
        own = Bucket(f"{bucket.name}-{next(numbers)}", bucket.client, bucket.store)
        own.client.create_bucket(Bucket=own.name)
        folder = tmp_path / own.name
        folder.mkdir()
        return Scene(own, s3_server, make_database(postgres), folder)

    return make


@pytest.fixture
def scene(new_scene: Callable[[], Scene]) -> Scene:
    return new_scene()


_requests: dict[str, int] = {}


@pytest.fixture
def requests_of(new_scene: Callable[[], Scene], proxy: FaultProxy) -> Callable[[str], int]:
    """How many requests to S3 a job makes undisturbed: it is tried once, on data of its own."""

    def requests(name: str) -> int:
        if name not in _requests:
            scene = new_scene()
            job, fault = JOBS[name](scene), Striking(0)
            assert_whole(job, strike(job, fault, proxy, scene.folder))
            _requests[name] = fault.seen
        return _requests[name]

    return requests


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


def strike(job: Job, fault: Striking, proxy: FaultProxy, folder: Path, **environment: str) -> Submitted:
    """Starts the job and lets the fault strike."""
    proxy.draw = fault
    with start(job, folder, AWS_ENDPOINT_URL=proxy.endpoint_url, **environment) as running:
        fault.running = running
        ended = running.ended()
    proxy.draw = None
    return ended


def repair(job: Job, scene: Scene, folder: Path) -> None:
    """Starts the job again, undisturbed, and `reconcile` once more on other data."""
    with start(again(job), folder / "again") as running:
        assert_whole(job, running.ended())
    if job.name == "reconcile":
        more = with_more(job, scene.place)
        with start(more, folder / "more") as running:
            assert_whole(more, running.ended())


def tell(job: Job, what: str, fault: Striking, ended: Submitted) -> None:
    hit = f"at request {fault.moment} of {fault.seen}" if fault.has_hit else f"not met in {fault.seen} requests"
    print(f"torture: {job.name}: {what} {hit}: exit {ended.code}", flush=True)


VICTIMS = [
    (name, victim) for name in JOBS for victim in ("driver", "jvm", "worker") if victim == "driver" or name in SPARK
]


@pytest.mark.parametrize(("name", "victim"), [pytest.param(*each, marks=LONG) for each in VICTIMS])
def test_a_process_is_killed(
    name: str, victim: str, scene: Scene, random: Random, proxy: FaultProxy, requests_of: Callable[[str], int]
) -> None:
    moment = random.randint(1, requests_of(name))
    job = JOBS[name](scene)
    fault = faults.kill(random, moment, victim)

    ended = strike(job, fault, proxy, scene.folder / "struck")

    tell(job, f"kill -9 of the {victim}", fault, ended)
    if not (victim == "driver" and fault.has_hit):
        assert_honest(job, ended)
    repair(job, scene, scene.folder)


@pytest.mark.parametrize("name", [pytest.param(name, marks=LONG) for name in JOBS])
@pytest.mark.parametrize("kind", ["storm", "away", "forbidden"])
def test_s3_goes_wrong(
    name: str, kind: str, scene: Scene, random: Random, proxy: FaultProxy, requests_of: Callable[[str], int]
) -> None:
    moment = random.randint(1, requests_of(name))
    job = JOBS[name](scene)
    fault = getattr(faults, kind)(random, moment)

    ended = strike(job, fault, proxy, scene.folder / "struck")

    tell(job, f"S3: {kind}", fault, ended)
    assert_honest(job, ended)
    repair(job, scene, scene.folder)
