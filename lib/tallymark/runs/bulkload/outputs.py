"""The files in the output folder: live progress, batch statistics, results. Readers see the old file or the new one."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, TextIO

from tallymark.bulkload.statistics import Measured
from tallymark.io.objects import ObjectStore

_log = logging.getLogger(__name__)
POLL_SECONDS = 1.0

PROGRESS, STATS, RESULTS, LOG = (
    "migration_progress.json",
    "migration_stats.json",
    "migration_results.json",
    "migration.log",
)


@contextmanager
def replacing(store: ObjectStore, uri: str) -> Iterator[TextIO]:
    """Gives a file that takes the place of ``uri`` when it is whole."""
    with TemporaryDirectory(prefix="tallymark-") as scratch:
        whole = Path(scratch) / "whole"
        with whole.open("w", encoding="utf-8") as file:
            yield file
        store.put_file(whole, uri)


def write_json(store: ObjectStore, uri: str, content: Mapping[str, Any]) -> None:
    """Replaces a JSON file."""
    with replacing(store, uri) as file:
        json.dump(content, file, ensure_ascii=False, indent=2)
        file.write("\n")


def write_stats(store: ObjectStore, uri: str, head: Mapping[str, Any], batches: Iterable[Mapping[str, Any]]) -> None:
    """Writes the head's fields and ``batches`` one by one, so that memory does not grow with them."""
    with replacing(store, uri) as file:
        file.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "batches": [')
        for number, batch in enumerate(batches):
            file.write((",\n" if number else "\n") + json.dumps(batch, ensure_ascii=False))
        file.write("\n]}\n")


def cell_json(measured: Measured) -> dict[str, Any]:
    """Returns a cell as the results show it."""
    fields = asdict(measured)
    cell = fields.pop("cell")
    return {"method": cell["method"], "batch_size": cell["batch_size"], "num_connections": cell["connections"]} | fields


class LiveProgress:
    """Rewrites the progress file once a second between enter and exit; what fails in it never stops the job.

    Args:
        look: returns the fields that change; called from another thread.
        now: the time.
    """

    def __init__(
        self,
        store: ObjectStore,
        uri: str,
        fixed: Mapping[str, Any],
        look: Callable[[], Mapping[str, Any]],
        now: Callable[[], datetime],
    ) -> None:
        self._store, self._uri, self._fixed, self._look, self._now = store, uri, fixed, look, now
        self._start = now().isoformat()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="migration-progress", daemon=True)
        self._warned = False

    def __enter__(self) -> LiveProgress:  # noqa: PYI034 - typing.Self is Python 3.11
        self.write("running")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(10)
        stopped = "interrupted" if kind is KeyboardInterrupt else "failed"
        self.write("completed" if kind is None else stopped)

    def write(self, status: str) -> None:
        """Writes the file now."""
        try:
            times = {"start_time": self._start, "last_update": self._now().isoformat()}
            write_json(self._store, self._uri, {"status": status, **self._fixed, **self._look(), **times})
        except Exception as error:  # noqa: BLE001 - showing must never end the job
            if not self._warned:
                self._warned = True
                _log.warning("%s cannot be written for now, the job goes on: %s", self._uri, type(error).__name__)

    def _run(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.write("running")
