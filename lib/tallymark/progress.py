"""How far a job is: a live bar on a terminal, a line now and then in a log.

The numbers come from a function of the job which a daemon thread calls. Nothing here may stop or delay the job:
whatever fails while showing is logged once and forgotten.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

LINE_SECONDS = 30.0
_POLL_SECONDS = 1.0
_PATIENCE_SECONDS = 2.0  # how long the end waits for a poll under way

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Done:
    files: int = 0
    records: int = 0
    size: int = 0


class Progress:
    """Shows the progress between enter and exit.

    Args:
        console: writes to stderr, so that the output of the job stays clean.
        total_files: files to be done; 0 if unknown.
        total_bytes: bytes to be done; 0 if unknown, then the files tell the time left.
        poll: returns files, records and bytes done so far; called from another thread.
        label: what is going on, such as ``compare``.
        clock: seconds that never run backwards.
        counts: writes the line instead of files, records and bytes; these tell the time left all the same.
    """

    def __init__(
        self,
        console: Console,
        total_files: int,
        total_bytes: int,
        poll: Callable[[], tuple[int, int, int]],
        label: str,
        clock: Callable[[], float] = time.monotonic,
        counts: Callable[[], str] | None = None,
    ) -> None:
        self._counts = counts or self._usual_counts
        self._console = console
        self._total = _Done(files=total_files, size=total_bytes)
        self._poll = poll
        self._label = label
        self._clock = clock
        self._done = _Done()
        self._started = self._last_line = 0.0
        self._failed = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"progress-{label}", daemon=True)
        self._bar: Bar | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Progress:  # noqa: PYI034 - typing.Self is Python 3.11
        self._started = self._last_line = self._clock()
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._quietly(self._start_bar)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(_PATIENCE_SECONDS)
        if not self._thread.is_alive():  # a poll that hangs there would hang here too
            self._read()
        self._quietly(lambda: self._finish(stopped=kind is not None))

    def tick(self) -> None:
        """Read the numbers and show them if it is time; the thread does it once a second."""
        self._read()
        self._quietly(self._show)

    def _start_bar(self) -> None:
        columns = (BarColumn(bar_width=20), TextColumn("{task.description}", markup=False))
        # stdout stays alone: captured, it would come out on stderr.
        bar = Bar(*columns, console=self._console, redirect_stdout=False, refresh_per_second=4)
        self._task = bar.add_task(self._line(0.0), total=1.0)
        bar.start()
        self._bar = bar  # last, so that a bar that does not start leaves the lines

    def _watch(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            self.tick()

    def _read(self) -> None:
        def read() -> None:
            self._done = _Done(*self._poll())

        self._quietly(read)

    def _show(self) -> None:
        now = self._clock()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._share(), description=self._line(now - self._started))
        elif now - self._last_line >= LINE_SECONDS:
            self._last_line = now
            self._write(self._line(now - self._started))

    def _finish(self, *, stopped: bool) -> None:
        state = "stopped after" if stopped else "done in"
        line = f"{self._counts()}, {state} {duration(self._clock() - self._started)}"
        if self._bar is None:
            self._write(line)
        else:
            self._bar.update(self._task, completed=self._share(), description=line)
            self._bar.stop()

    def _quietly(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - showing must never end the job
            if not self._failed:
                self._failed = True
                _log.warning("Progress cannot be shown for now, the job goes on: %r", error)

    def _write(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False, highlight=False)

    def _share(self) -> float:
        """Return the part that is done, 0 to 1; the totals come from a listing and may be overtaken."""
        done, total = (self._done.size, self._total.size) if self._total.size else (self._done.files, self._total.files)
        return min(1.0, done / total) if total else 0.0

    def _usual_counts(self) -> str:
        done, total = self._done, self._total
        files = f"{done.files:,}/{total.files:,}" if total.files else f"{done.files:,}"
        volume = f"{size(done.size)} of {size(total.size)}" if total.size else size(done.size)
        return f"{self._label}: {files} files, {done.records:,} records, {volume}"

    def _line(self, elapsed: float) -> str:
        share = self._share()
        left = f", about {duration(elapsed * (1 - share) / share)} left" if 0 < share < 1 and elapsed > 0 else ""
        return self._counts() + left


def size(count: int) -> str:
    """Write a number of bytes with a decimal unit.

    >>> size(999), size(45_100_000), size(1_500_000_000_000)
    ('999 B', '45.1 MB', '1.5 TB')
    """
    if count < 1000:
        return f"{count} B"
    value, units = count / 1000, iter(("kB", "MB", "GB", "TB", "PB"))
    unit = next(units)
    while round(value, 1) >= 1000 and unit != "PB":
        value, unit = value / 1000, next(units)
    return f"{value:,.1f} {unit}"


def duration(seconds: float) -> str:
    """Write a length of time in the unit that a person would use.

    >>> duration(0.4), duration(42), duration(120), duration(5400)
    ('0 s', '42 s', '2 min', '1.5 h')
    """
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 89.5 * 60 else f"{seconds / 3600:.1f} h"
