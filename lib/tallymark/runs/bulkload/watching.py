"""Looks at the server while a cell runs: how many connections it really has, what they wait for, how long it took.

The samples come from ``pg_stat_activity`` every few milliseconds, on a connection of the driver's own, so that all
methods are measured by one clock, that of the server, from their first connection to their last commit.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any

import psycopg

from tallymark.io.postgres import Server

_log = logging.getLogger(__name__)

SAMPLE_SECONDS = 0.02
_SAMPLE = """SELECT clock_timestamp(), pid, backend_start, state, wait_event_type, wait_event,
    query ~* '^\\s*(insert|copy)'
  FROM pg_stat_activity WHERE application_name = %s AND backend_type = 'client backend'"""
_IDLE = ("ClientRead",)


@dataclass
class Seen:
    """What the samples add up to."""

    first: datetime | None = None
    last: datetime | None = None
    effective_connections: int = 0
    mean_active: float = 0.0
    waits: Counter[str] = field(default_factory=Counter)

    @property
    def seconds(self) -> float | None:
        """From the first connection that loaded to the last sample in which one was there; None if never seen."""
        return (self.last - self.first).total_seconds() if self.first and self.last else None


class Watch:
    """Samples between enter and exit; `seen` tells what of one application, and is complete after the exit."""

    def __init__(self, server: Server, application_name: str) -> None:
        self._connection: psycopg.Connection[Any] = server.connect("tallymark-watch")
        self._name = application_name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._samples: list[tuple[datetime, dict[int, datetime], int]] = []
        self._loaders: set[int] = set()
        self._waits: Counter[str] = Counter()

    def __enter__(self) -> Watch:  # noqa: PYI034 - typing.Self is Python 3.11
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(10)
        self._connection.close()

    def _run(self) -> None:
        try:
            while not self._stop.wait(SAMPLE_SECONDS):
                self._sample()
        except psycopg.Error as error:
            _log.warning("The server cannot be watched any more, the cell goes on: SQLSTATE %s", error.sqlstate)

    def _sample(self) -> None:
        rows = self._connection.execute(_SAMPLE, [self._name]).fetchall()
        if not rows:
            return
        active = 0
        for _, pid, _, state, kind, event, loads in rows:
            if loads:
                self._loaders.add(pid)
            is_waiting = event is not None and event not in _IDLE
            if loads and state == "active":
                active += 1
                self._waits[f"{kind}:{event}" if is_waiting else f"Client:{event}" if event else "CPU"] += 1
        self._samples.append((rows[0][0], {row[1]: row[2] for row in rows}, active))

    def seen(self) -> Seen:
        """Counts only connections that carried rows: Spark's driver has one of its own, to look at the table."""
        seen = Seen(waits=self._waits)
        with_loaders = [
            (at, {pid: start for pid, start in there.items() if pid in self._loaders}, active)
            for at, there, active in self._samples
        ]
        with_loaders = [sample for sample in with_loaders if sample[1]]
        if with_loaders:
            seen.first = min(start for _, there, _ in with_loaders for start in there.values())
            seen.last = with_loaders[-1][0]
            seen.effective_connections = max(len(there) for _, there, _ in with_loaders)
            seen.mean_active = sum(active for _, _, active in with_loaders) / len(with_loaders)
        return seen
