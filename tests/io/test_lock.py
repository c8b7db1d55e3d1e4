"""The lock between real processes, on local disk and on a real S3 server (T20)."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from s3_server import Bucket, Fault, FaultProxy
from tallymark.errors import LockedError
from tallymark.io import lock
from tallymark.io.lock import LOCK, check_fence, hold_lock
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import join

TTL = 2.0

# A run: takes the lock, then does what it is told, line by line, and says how it went.
RUN = """
import os, sys
from pathlib import Path
from tallymark.errors import TallymarkError
from tallymark.io.lock import hold_lock
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import join

out, owner, ttl, content = sys.argv[1:]
store = ObjectStore.from_environment(os.environ)
target = join(out, "published/hour.gz")
Path(content).write_text(owner)
try:
    with hold_lock(store, out, owner, float(ttl)) as lock:
        known = store.stat(target)
        print("held", lock.fence, flush=True)
        for line in sys.stdin:
            try:
                if line.strip() == "write":
                    store.put_file_if(Path(content), target, known and known.state)
                lock.check()
                print("done", flush=True)
            except TallymarkError as error:
                print("refused", error.exit_code, flush=True)
except TallymarkError as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
"""


@dataclass
class Run:
    """One process that holds the lock, or ended because it did not get it."""

    process: subprocess.Popen[str]

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def told(self, order: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()
        return self.says()

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(20)


@dataclass
class Place:
    """An output folder, and runs on it."""

    out: str
    store: ObjectStore
    folder: Path
    runs: ExitStack

    def start(self, owner: str) -> Run:
        command = [sys.executable, "-c", RUN, self.out, owner, str(TTL), str(self.folder / f"content-{owner}")]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "lib")}
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.runs.enter_context(process)
        self.runs.callback(process.kill)
        return Run(process)

    def read(self, name: str) -> bytes | None:
        found = self.store.stat(join(self.out, name))
        return b"".join(self.store.read_chunks(found)) if found else None

    def lock(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.read(LOCK) or b"")
        return said

    def expires_at(self) -> float:
        return float(self.lock()["expires_at"])

    def put(self, name: str, content: bytes) -> str:
        (self.folder / "put").write_bytes(content)
        self.store.put_file(self.folder / "put", join(self.out, name))
        found = self.store.stat(join(self.out, name))
        assert found is not None
        return found.state

    def put_if(self, name: str, content: bytes, state: str | None) -> str:
        (self.folder / "put").write_bytes(content)
        return self.store.put_file_if(self.folder / "put", join(self.out, name), state)


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with ExitStack() as runs:
        if request.param == "local":
            yield Place(str(tmp_path / "out"), ObjectStore(), tmp_path, runs)
        else:
            bucket: Bucket = request.getfixturevalue("bucket")
            proxy: FaultProxy = request.getfixturevalue("proxy")
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint_url)
            yield Place(f"{bucket.uri}/out", proxy.store, tmp_path, runs)


def test_of_two_runs_at_once_one_works_and_the_other_ends_with_4_and_writes_nothing(place: Place) -> None:
    first, second = place.start("run-1"), place.start("run-2")
    answers = {run.says(): run for run in (first, second)}
    holder = answers.pop("held 1")
    ((message, other),) = answers.items()
    assert other.process.wait(20) == 4
    owner = "run-1" if holder is first else "run-2"
    assert f"is held by {owner} (process {holder.process.pid} on " in message
    assert ", fence 1), last renewed 20" in message
    assert "valid until 20" in message
    assert "wait for its end" in message
    assert holder.told("write") == "done"
    assert holder.end() == 0
    assert place.read("published/hour.gz") == owner.encode()


def test_the_lock_of_a_run_that_died_on_this_machine_is_free_at_once(place: Place) -> None:
    kill(place, "killed")
    late = place.start("late")
    assert late.says() == "held 2"
    assert late.end() == 0


def test_the_lock_of_a_run_that_died_elsewhere_is_taken_over_after_it_expired_and_not_before(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same host name and process number mean nothing on another machine, or in another container."""
    kill(place, "killed")
    monkeypatch.setattr(lock, "_machine", lambda: "another boot/another set of process numbers")
    before, after = place.expires_at() - 0.01, place.expires_at() + 0.01
    with pytest.raises(LockedError, match="is held by killed"):
        take(place, lambda: before)
    take(place, lambda: after)
    assert place.lock()["fence"] == 2


def kill(place: Place, owner: str) -> None:
    killed = place.start(owner)
    assert killed.says() == "held 1"
    killed.process.kill()
    killed.process.wait(20)


def take(place: Place, clock: Callable[[], float]) -> None:
    with hold_lock(place.store, place.out, "early", clock=clock):
        pass


def wait_until_expired(place: Place) -> None:
    while place.expires_at() > time.time():
        time.sleep(0.05)


def test_a_run_that_was_stopped_and_overtaken_may_neither_write_nor_go_on(place: Place) -> None:
    old = place.start("old")
    assert old.says() == "held 1"
    old.process.send_signal(signal.SIGSTOP)
    wait_until_expired(place)
    new = place.start("new")
    assert new.says() == "held 2"
    assert new.told("write") == "done"
    old.process.send_signal(signal.SIGCONT)
    assert old.told("check") == "refused 4"
    assert old.told("write") == "refused 4"
    assert old.end() == 0
    assert place.read("published/hour.gz") == b"new"
    assert new.told("check") == "done"  # what the old one does when it ends leaves the lock of the new one alone
    assert place.lock()["owner"] == "new"


def test_a_run_that_was_quicker_between_looking_and_writing_is_named(place: Place) -> None:
    looks = 0
    with ExitStack() as quicker:

        def clock() -> float:
            nonlocal looks
            looks += 1
            if looks == 2:
                quicker.enter_context(hold_lock(place.store, place.out, "quicker"))
            return time.time()

        with pytest.raises(LockedError, match="is held by quicker"):
            take(place, clock)
        assert place.lock()["owner"] == "quicker"


def test_a_lock_that_is_renewed_while_it_is_read_is_read_again(bucket: Bucket, proxy: FaultProxy) -> None:
    with hold_lock(bucket.store, f"{bucket.uri}/out", "holder"):
        proxy.faults.append(Fault(path=LOCK, times=1, status=412, code="PreconditionFailed"))
        with (
            pytest.raises(LockedError, match="is held by holder"),
            hold_lock(proxy.store, f"{bucket.uri}/out", "other"),
        ):
            pass


def test_a_run_renews_its_lock_for_as_long_as_it_works(place: Place) -> None:
    run = place.start("long")
    assert run.says() == "held 1"
    first = place.expires_at()
    time.sleep(1.5 * TTL)
    assert run.told("check") == "done"
    assert place.expires_at() > first + TTL


def test_a_released_lock_is_free_at_once_and_its_fence_goes_on_rising(place: Place) -> None:
    for fence in (1, 2, 3):
        with hold_lock(place.store, place.out, "again") as lock:
            lock.check()
            assert lock.fence == fence
        assert (place.lock()["fence"], place.lock()["expires_at"]) == (fence, 0)


def test_a_lock_that_need_not_stay_is_gone_when_it_is_released_and_kept_from_others_before(place: Place) -> None:
    for _ in range(2):
        with hold_lock(place.store, place.out, "once", stays=False) as lock:
            assert lock.fence == 1
            with pytest.raises(LockedError, match="held by once"), hold_lock(place.store, place.out, "x", stays=False):
                pass
        assert place.read(LOCK) is None


def test_a_task_elsewhere_sees_by_the_fence_whether_its_run_still_holds_the_lock(place: Place) -> None:
    with hold_lock(place.store, place.out, "first"):
        check_fence(place.store, place.out, 1)
    with pytest.raises(LockedError, match="no longer held by this run"):
        check_fence(place.store, place.out, 1)
    with hold_lock(place.store, place.out, "second"):
        check_fence(place.store, place.out, 2)
        with pytest.raises(LockedError):
            check_fence(place.store, place.out, 1)
    with pytest.raises(LockedError):
        check_fence(place.store, join(place.out, "elsewhere"), 2)


def test_a_lock_is_released_also_after_an_error(place: Place) -> None:
    with pytest.raises(ZeroDivisionError), hold_lock(place.store, place.out, "fails"):
        raise ZeroDivisionError
    assert place.lock()["expires_at"] == 0


def test_a_lock_that_expired_by_our_own_clock_is_lost_for_good(place: Place) -> None:
    now = [1_000_000_000.0]
    with hold_lock(place.store, place.out, "slow", 60, lambda: now[0]) as lock:
        now[0] += 59.9
        lock.check()
        now[0] += 0.1
        with pytest.raises(LockedError, match=r"fence 1.*not renewed until 2001-09-09T01:47:40"):
            lock.check()
        now[0] -= 30
        with pytest.raises(LockedError):
            lock.check()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"owner": "x"}', b'{"expires_at": "soon"}'])
def test_what_is_no_lock_is_not_overwritten(place: Place, content: bytes) -> None:
    place.put(LOCK, content)
    with pytest.raises(LockedError, match=r"not a lock .* remove it"), hold_lock(place.store, place.out, "x"):
        pass
    assert place.read(LOCK) == content


def test_a_conditional_write_needs_the_state_that_is_there(place: Place) -> None:
    first = place.put_if("x", b"1", None)
    with pytest.raises(LockedError, match="written or removed by another process meanwhile"):
        place.put_if("x", b"2", None)
    second = place.put_if("x", b"2", first)
    with pytest.raises(LockedError):
        place.put_if("x", b"3", first)
    assert place.read("x") == b"2"
    third = place.put("x", b"3")  # an unconditional write changes the state too
    with pytest.raises(LockedError):
        place.put_if("x", b"4", second)
    place.put_if("x", b"4", third)
    assert place.read("x") == b"4"


def test_of_many_writers_that_know_the_same_state_one_succeeds(place: Place) -> None:
    state: str | None = None
    for round_number in range(5):
        with ThreadPoolExecutor(8) as pool:
            known = state
            done = [pool.submit(write_once, place, f"{round_number}-{writer}", known) for writer in range(8)]
        ((content, state),) = [won for one in done if (won := one.result())]
        assert place.read("x") == content.encode()


def write_once(place: Place, content: str, state: str | None) -> tuple[str, str] | None:
    source = place.folder / content
    source.write_text(content)
    try:
        return content, place.store.put_file_if(source, join(place.out, "x"), state)
    except LockedError:
        return None


def test_a_conditional_write_over_what_is_gone_is_refused(place: Place) -> None:
    with pytest.raises(LockedError):
        place.put_if("deep/gone", b"1", "0" * 32)
    assert place.read("deep/gone") is None


def test_a_conditional_write_of_a_local_file_waits_for_the_one_before_it_and_is_then_refused(tmp_path: Path) -> None:
    """Without waiting both would have seen the same state, and the second would hide what the first wrote."""
    target = tmp_path / "x"
    for name in ("x", "first", "second"):
        (tmp_path / name).write_text(name)
    known = ObjectStore().stat(str(target))
    assert known is not None
    with ThreadPoolExecutor(1) as pool, target.open("rb+") as before:
        fcntl.flock(before, fcntl.LOCK_EX)
        second = pool.submit(ObjectStore().put_file_if, tmp_path / "second", str(target), known.state)
        time.sleep(0.1)
        os.replace(tmp_path / "first", target)
        fcntl.flock(before, fcntl.LOCK_UN)
        with pytest.raises(LockedError):
            second.result()
    assert target.read_text() == "first"


def test_a_conditional_write_that_meets_another_on_s3_asks_again(
    bucket: Bucket, proxy: FaultProxy, tmp_path: Path
) -> None:
    state = bucket.stored("x", b"old").state
    (tmp_path / "source").write_bytes(b"new")
    proxy.faults.append(Fault(method="PUT", times=1, status=409, code="ConditionalRequestConflict"))
    proxy.store.put_file_if(tmp_path / "source", f"{bucket.uri}/x", state)
    assert bucket.client.get_object(Bucket=bucket.name, Key="x")["Body"].read() == b"new"


def test_a_conditional_write_leaves_nothing_else_behind(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"1")
    state = ObjectStore().put_file_if(tmp_path / "source", str(tmp_path / "out/x"), None)
    ObjectStore().put_file_if(tmp_path / "source", str(tmp_path / "out/x"), state)
    with pytest.raises(LockedError):
        ObjectStore().put_file_if(tmp_path / "source", str(tmp_path / "out/x"), state)
    assert os.listdir(tmp_path / "out") == ["x"]


def test_a_write_whose_answer_got_lost_counts_as_done(bucket: Bucket, proxy: FaultProxy, tmp_path: Path) -> None:
    """The client sends it again, and S3 refuses the second: it sees the first."""
    (tmp_path / "source").write_bytes(b"mine")
    for state in (None, bucket.stored("there", b"old").state):
        key = "there" if state else "new"
        proxy.faults.append(Fault(method="PUT", path=key, times=1, lose_answer=True))
        done = proxy.store.put_file_if(tmp_path / "source", f"{bucket.uri}/{key}", state)
        assert [method for method, path, _ in proxy.requests if method == "PUT" and key in path] == ["PUT", "PUT"]
        assert bucket.client.get_object(Bucket=bucket.name, Key=key)["ETag"] == f'"{done}"'
