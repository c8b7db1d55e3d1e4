"""What strikes a job at a moment that a seed draws: kills, a bad S3, a PostgreSQL that goes and comes, a wrong clock.

The moment is a request to S3, of those that the job makes undisturbed: neither a slow machine nor a busy one changes
it. All requests pass a `FaultProxy`, which asks the fault before it does anything.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from conftest import ROOT
from s3_server import Fault
from tallymark.io.embedded_postgres import RunningPostgres
from torture_jobs import Running

NO_FAULT = Fault()


@dataclass
class Striking:
    """A fault in work: counts the requests of a job and strikes at the ``moment``-th.

    ``strike`` gets the job and tells whether it hit; a victim that is not there yet is waited for. ``bad`` draws what
    happens to each request from then on.
    """

    name: str
    moment: int
    strike: Callable[[Running], bool] = lambda _: True
    bad: Callable[[str, str], Fault] = lambda *_: NO_FAULT
    running: Running | None = None
    seen: int = 0
    has_hit: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, method: str, path: str) -> Fault:
        with self._lock:
            self.seen += 1
            if not self.has_hit and self.seen >= self.moment and self.running is not None:
                self.has_hit = self.strike(self.running)
            return self.bad(method, path) if self.has_hit else NO_FAULT


def kill(random: Random, moment: int, victim: str) -> Striking:
    """Kills a process of the job, or all; the request of that moment is done all the same, half of the time."""
    is_done = random.random() < 0.5
    fault = Striking(f"kill -9 of the {victim}", moment)

    def strike(running: Running) -> bool:
        return running.kill(victim) > 0

    def bad(_method: str, _path: str) -> Fault:
        fault.bad = lambda *_: NO_FAULT
        return NO_FAULT if is_done else Fault(refuse=True)

    fault.strike, fault.bad = strike, bad
    return fault


def storm(random: Random, moment: int) -> Striking:
    """From then on a share of all requests goes wrong, each in another way."""
    share = random.choice((0.1, 0.3, 0.6))

    def bad(method: str, path: str) -> Fault:
        if random.random() > share:
            return NO_FAULT
        kinds = [
            Fault(status=503, code="SlowDown"),
            Fault(status=500, code="InternalError"),
            Fault(status=429, code="TooManyRequests"),
            Fault(delay=random.random() * 2),
            Fault(refuse=True),
            Fault(lose_answer=True),
        ]
        if method == "GET":
            kinds.append(Fault(cut_after=random.randrange(200)))
            if any(f"/{name}/" in path for name in ("source", "backup", "in")):
                # Such as a checksum that S3 kept and the bytes that came do not have.
                kinds.append(Fault(change=one_bit(random), add_headers={"x-amz-checksum-crc32": "AAAAAA=="}))
        return random.choice(kinds)

    return Striking(f"S3 fails in {share:.0%}", moment, bad=bad)


def one_bit(random: Random) -> Callable[[bytes], bytes]:
    """Returns a function that flips one bit."""

    def flip(body: bytes) -> bytes:
        at = random.randrange(max(1, len(body)))
        return body[:at] + bytes([body[at] ^ 1 << random.randrange(8)]) + body[at + 1 :] if body else body

    return flip


def away(random: Random, moment: int) -> Striking:
    """S3 hangs up on everybody, for a while or for good."""
    seconds = random.choice((0.5, 4, 3600))
    end = 0.0

    def strike(_: Running) -> bool:
        nonlocal end
        end = time.monotonic() + seconds
        return True

    def bad(_method: str, _path: str) -> Fault:
        return Fault(refuse=True) if time.monotonic() < end else NO_FAULT

    return Striking(f"S3 is away for {seconds} s", moment, strike, bad)


def hanging(_random: Random, moment: int) -> Striking:
    """One request gets no answer for longer than anybody waits."""
    fault = Striking("S3 lets one wait for 70 s", moment)

    def bad(_method: str, _path: str) -> Fault:
        fault.bad = lambda *_: NO_FAULT
        return Fault(delay=70, refuse=True)

    fault.bad = bad
    return fault


def forbidden(_random: Random, moment: int) -> Striking:
    """From then on nothing may be written."""
    denied, writing = Fault(status=403, code="AccessDenied"), {"PUT", "POST", "DELETE"}
    return Striking("S3 forbids to write", moment, bad=lambda method, _: denied if method in writing else NO_FAULT)


def restart(random: Random, moment: int, postgres: RunningPostgres) -> Striking:
    """PostgreSQL is stopped in one of three ways, and is back after a while."""
    how, seconds = random.choice(("fast", "immediate", "kill -9")), random.choice((0, 1, 3))

    def strike(_: Running) -> bool:
        if how == "kill -9":
            os.kill(int((postgres.folder / "data/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        else:
            postgres.stop(how)
        time.sleep(seconds)
        postgres.start()
        return True

    return Striking(f"PostgreSQL: {how}, back after {seconds} s", moment, strike)


_CLOCK = """
import datetime, runpy, sys, time

import deltalake, pyarrow.compute, pyarrow.dataset, pyarrow.parquet  # compiled: they need the datetime that there is

real_time, real_datetime = time.time, datetime.datetime


def shifted():
    with open({file!r}) as file:
        return real_time() + int(file.read() or 0)


class Kind(type):
    def __instancecheck__(cls, value):
        return isinstance(value, real_datetime)


class Datetime(real_datetime, metaclass=Kind):
    @classmethod
    def now(cls, tz=None):
        return real_datetime.fromtimestamp(shifted(), tz)


time.time, datetime.datetime = shifted, Datetime
sys.argv[0] = {job!r}
runpy.run_path({job!r}, run_name="__main__")
"""


def clock(random: Random, moment: int, folder: Path, name: str) -> Striking:
    """The clock of the driver jumps: that of its lock, its watermark, its history and the names of its runs.

    The job is started by a script of another folder, which makes the driver read the jump from a file: faketime would
    change what it sleeps too.
    """
    jump, file = random.choice((-40, -10_800, 40, 10_800, 3_456_000)), folder / "clock"
    file.write_text("0")
    (folder / "jobs").mkdir()
    text = _CLOCK.format(file=str(file), job=str(ROOT / f"jobs/{name}.py"))
    (folder / f"jobs/{name}.py").write_text(text)

    def strike(_: Running) -> bool:
        file.write_text(str(jump))
        return True

    return Striking(f"the clock jumps by {jump:+} s", moment, strike)
