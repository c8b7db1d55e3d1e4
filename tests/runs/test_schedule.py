"""Runs that follow each other: ticks, failures, signals, and expressions that are none."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tallymark.errors import ConfigError, IncompleteError, LockedError
from tallymark.runs.schedule import repeat

LIB = Path(__file__).parents[2] / "lib"


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def ticks(*runs: Callable[[], int]) -> tuple[Callable[[], int], list[int]]:
    """Work that does one of the runs at each tick and is stopped in the last; and how often it was called."""
    called: list[int] = []

    def work() -> int:
        called.append(len(called))
        if len(called) == len(runs):
            stop()
        return runs[len(called) - 1]()

    return work, called


def raising(error: Exception) -> Callable[[], int]:
    def run() -> int:
        raise error

    return run


def test_the_first_run_begins_at_once_and_each_tick_begins_another() -> None:
    work, called = ticks(lambda: 0, lambda: 1, lambda: 3)

    assert repeat(work, "1s") == 3
    assert called == [0, 1, 2]


def test_a_failing_run_is_logged_and_the_next_tick_tries_again(caplog: pytest.LogCaptureFixture) -> None:
    """An outage of the API, or a lock that another process holds."""
    work, called = ticks(raising(IncompleteError("the API is down")), raising(LockedError("held by x")))

    assert repeat(work, "1s") == 4
    assert called == [0, 1]
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "the API is down",
        "held by x",
    ]


@pytest.mark.parametrize("error", [ConfigError("the key is malformed"), ValueError("a defect")])
def test_a_wrong_configuration_and_a_defect_end_the_schedule(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        repeat(raising(error), "1s")


def test_signals_are_given_back_at_the_end() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    repeat(ticks(lambda: 0)[0], "1h")
    with pytest.raises(ConfigError):
        repeat(raising(ConfigError("x")), "1h")
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_the_next_run_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    repeat(ticks(lambda: 0)[0], "0 3 * * sun")

    assert re.fullmatch(r"next run at \d{4}-\d\d-\d\dT03:00:00Z", caplog.messages[0])
    assert caplog.messages[-1] == "stopped"


@pytest.mark.parametrize(
    ("every", "message"),
    [
        ("", "Wrong number of fields; got 0, expected 5; write 30s, 5m, 1h or five cron fields"),
        ("0m", "Wrong number of fields"),
        ("-5m", "Wrong number of fields"),
        ("1.5h", "Wrong number of fields"),
        ("5 m", "Wrong number of fields"),
        ("5M", "Wrong number of fields"),
        ("5d", "Wrong number of fields"),
        ("99999999999999h", "Wrong number of fields"),
        ("* * * *", "Wrong number of fields; got 4"),
        ("* * * * * *", "Wrong number of fields; got 6"),
        ("60 * * * *", "the last value (60) is higher than the maximum value (59)"),
        ("x * * * *", "Unrecognized expression"),
        ("0 3 * * 0", "name the days of the week, such as sun or mon-fri"),
        ("0 3 * * 1-5", "name the days of the week"),
        ("0 0 31 2 *", "there is no such day"),
    ],
)
def test_what_is_no_schedule_is_refused_before_the_first_run(every: str, message: str) -> None:
    """To cron 0 is Sunday, the library counts from Monday. A 31st of February would end it at the first tick."""
    work, called = ticks(lambda: 0)

    with pytest.raises(ConfigError) as caught:
        repeat(work, every)
    assert str(caught.value).startswith(f"--every {every!r}: ")
    assert message in str(caught.value)
    assert called == []


@pytest.mark.parametrize("every", ["30s", " 5m ", "1h", "*/5 * * * *", "0 3 * * mon-fri", "15 0-6 1 jan *"])
def test_what_is_a_schedule_is_taken(every: str) -> None:
    assert repeat(ticks(lambda: 0)[0], every) == 0


PROGRAM = """
import sys, time
from tallymark.runs.schedule import repeat

def work():
    print("begun", flush=True)
    time.sleep(float(sys.argv[1]))
    print("ended", flush=True)
    return 7

sys.exit(repeat(work, "1s"))
"""


def started(seconds: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(LIB)}
    command = [sys.executable, "-c", PROGRAM, seconds]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_run_that_works_come_to_its_end(number: signal.Signals) -> None:
    with started("1.5") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        assert process.stdout.read() == "ended\n"
    assert process.returncode == 7


def test_a_signal_between_two_runs_ends_the_waiting() -> None:
    """And a tick that came while a run worked was skipped: no run begins before the former one has ended."""
    with started("0.1") as process:
        assert process.stdout is not None
        words = [process.stdout.readline() for _ in range(4)]
        process.terminate()
        words += process.stdout.readlines()
    assert words[:4] == ["begun\n", "ended\n"] * 2
    assert process.returncode == 7


def test_ticks_are_counted_from_the_start_and_not_from_the_end_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every run would move all later ones, and a tick that passed would not be skipped."""
    waits: list[float] = []
    monkeypatch.setattr(threading.Event, "wait", lambda _, seconds: waits.append(seconds))

    def slow() -> int:
        time.sleep(0.2)
        return 0

    repeat(ticks(slow, lambda: 0)[0], "1h")
    assert waits[0] <= 3_600 - 0.2
    assert waits[1] <= waits[0]
