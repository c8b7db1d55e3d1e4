"""The progress display: right numbers, few lines in a log, and never in the way of the job."""

from __future__ import annotations

import io
import logging
import threading
import time

import pytest
from rich.console import Console

from tallymark import progress
from tallymark.progress import Progress, duration, size

MB = 1_000_000


class Work:
    """A job whose numbers and clock stand where the test puts them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.done = (0, 0, 0)

    def clock(self) -> float:
        return self.now

    def poll(self) -> tuple[int, int, int]:
        return self.done


def written(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def log_console() -> Console:
    return Console(file=io.StringIO(), width=40)


def test_a_log_gets_a_line_every_thirty_seconds_and_one_at_the_end() -> None:
    """Also where the console believes that it is narrow, a line stays one line."""
    work, console = Work(), log_console()
    with Progress(console, 40, 80_200_000, work.poll, "compare", work.clock) as shown:
        for seconds, done in [(29, (9, 90_000, 30 * MB)), (154, (12, 120_000, 45_100_000)), (183, (20, 1, 50 * MB))]:
            work.now, work.done = 1000.0 + seconds, done
            shown.tick()
            shown.tick()
        work.now, work.done = 1190.0, (40, 400_000, 80_200_000)

    assert written(console) == [
        "compare: 12/40 files, 120,000 records, 45.1 MB of 80.2 MB, about 2 min left",
        "compare: 40/40 files, 400,000 records, 80.2 MB of 80.2 MB, done in 3 min",
    ]


def test_the_time_left_follows_the_files_when_no_bytes_are_known() -> None:
    work, console = Work(), log_console()
    with Progress(console, 4, 0, work.poll, "load", work.clock) as shown:
        work.now, work.done = 1030.0, (1, 10, 500)
        shown.tick()

    assert written(console)[0] == "load: 1/4 files, 10 records, 500 B, about 90 s left"


@pytest.mark.parametrize(
    ("done", "line"),
    [
        ((0, 0, 0), "x: 0/2 files, 0 records, 0 B of 1.0 MB"),
        ((2, 7, 3 * MB), "x: 2/2 files, 7 records, 3.0 MB of 1.0 MB"),
    ],
)
def test_no_time_left_is_invented_at_the_start_or_beyond_the_total(done: tuple[int, int, int], line: str) -> None:
    """Nothing done says nothing, and objects may have grown since they were listed."""
    work, console = Work(), log_console()
    with Progress(console, 2, MB, work.poll, "x", work.clock) as shown:
        work.now, work.done = 1031.0, done
        shown.tick()

    assert line == written(console)[0]


def test_totals_that_are_not_known_are_not_shown() -> None:
    work, console = Work(), log_console()
    with Progress(console, 0, 0, work.poll, "read", work.clock):
        work.done = (3, 5, 2000)

    assert written(console) == ["read: 3 files, 5 records, 2.0 kB, done in 0 s"]


def test_a_job_that_fails_is_reported_as_stopped_and_its_error_passes() -> None:
    work, console = Work(), log_console()
    with pytest.raises(KeyError), Progress(console, 4, 0, work.poll, "load", work.clock):  # noqa: PT012 - fails inside
        work.now, work.done = 1042.0, (1, 10, 500)
        raise KeyError("job")

    assert written(console) == ["load: 1/4 files, 10 records, 500 B, stopped after 42 s"]


def test_a_poll_that_raises_is_logged_once_and_never_reaches_the_job(caplog: pytest.LogCaptureFixture) -> None:
    console = log_console()

    def poll() -> tuple[int, int, int]:
        raise OSError("gone")

    with caplog.at_level(logging.WARNING), Progress(console, 4, 0, poll, "load") as shown:
        shown.tick()
        shown.tick()

    assert caplog.messages == ["Progress cannot be shown for now, the job goes on: OSError('gone')"]
    assert written(console) == ["load: 0/4 files, 0 records, 0 B, done in 0 s"]


def test_a_closed_stream_does_not_reach_the_job() -> None:
    """``2>&1 | head`` closes stderr in the middle of a run."""
    console = log_console()
    with Progress(console, 4, 0, lambda: (1, 1, 1), "load"):
        console.file.close()


def test_a_poll_that_hangs_does_not_hold_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(progress, "_PATIENCE_SECONDS", 0.05)
    console, release, entered = log_console(), threading.Event(), threading.Event()

    def poll() -> tuple[int, int, int]:
        entered.set()
        release.wait(10)
        return 4, 4, 4

    began = time.perf_counter()
    with Progress(console, 4, 0, poll, "load"):
        assert entered.wait(5)
    took = time.perf_counter() - began
    release.set()

    assert took < 5
    assert written(console) == ["load: 0/4 files, 0 records, 0 B, done in 0 s"]


def test_the_thread_polls_by_itself_and_ends_with_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_POLL_SECONDS", 0.01)
    polled = threading.Event()

    def poll() -> tuple[int, int, int]:
        polled.set()
        return 0, 0, 0

    with Progress(log_console(), 1, 1, poll, "watched"):
        threads = [thread for thread in threading.enumerate() if thread.name == "progress-watched"]
        assert polled.wait(5)

    assert [thread.daemon for thread in threads] == [True]
    assert [thread.is_alive() for thread in threads] == [False]


def test_a_terminal_gets_a_bar_with_files_records_bytes_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    work = Work()
    console = Console(file=io.StringIO(), force_terminal=True, width=120, _environ={"TERM": "xterm"})
    with Progress(console, 40, 80_200_000, work.poll, "compare", work.clock) as shown:
        work.now, work.done = 1154.0, (12, 120_000, 45_100_000)
        shown.tick()
        print("output of the job")
        time.sleep(0.6)  # two refreshes of the bar
        work.done = (40, 400_000, 80_200_000)
    text = "\n".join(written(console))

    assert "━" in text
    assert "compare: 12/40 files, 120,000 records, 45.1 MB of 80.2 MB, about 2 min left" in text
    assert "compare: 40/40 files, 400,000 records, 80.2 MB of 80.2 MB, done in 3 min" in text
    assert capsys.readouterr().out == "output of the job\n"


def test_a_second_bar_on_the_same_terminal_does_not_break_the_job() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, _environ={"TERM": "xterm"})
    with Progress(console, 1, 1, lambda: (1, 1, 1), "outer"), Progress(console, 1, 1, lambda: (1, 1, 1), "inner"):
        pass

    assert any("outer: 1/1 files" in line for line in written(console))


def test_a_terminal_without_cursor_gets_lines() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, _environ={"TERM": "dumb"})
    with Progress(console, 1, 1, lambda: (1, 1, 1), "load"):
        pass

    assert written(console) == ["load: 1/1 files, 1 records, 1 B of 1 B, done in 0 s"]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (2 * 10**19, "20,000.0 PB"),
    ],
)
def test_sizes_change_their_unit_without_showing_1000(count: int, text: str) -> None:
    assert text == size(count)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (99.4, "99 s"), (99.5, "2 min"), (5369, "89 min"), (5370, "1.5 h"), (86400, "24.0 h")],
)
def test_durations_use_the_unit_that_a_person_would(seconds: float, text: str) -> None:
    assert text == duration(seconds)
