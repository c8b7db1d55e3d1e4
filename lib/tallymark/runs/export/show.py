"""Shows a running export on a terminal or in a log, by `tallymark.progress`. Called by `jobs/export.py`."""

from __future__ import annotations

import time

from rich.console import Console

from tallymark.progress import Progress
from tallymark.runs.export.live import Live


def show(console: Console, live: Live) -> Progress:
    """Returns the bar: rows, rows a second, chunks, batch size, memory, time left."""
    started, before = time.monotonic(), live.rows

    def counts() -> str:
        return live.line(time.monotonic() - started, before)

    return Progress(console, 0, live.expected_rows, live.poll, "export", counts=counts)
