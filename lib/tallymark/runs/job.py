"""What every job does around its run: the exit code of whatever happens, and `--conf` from any place.

Called by the scripts in `jobs/`, which alone read argv.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from tallymark.errors import EXIT_INCOMPLETE, EXIT_INTERRUPTED, ConfigError, TallymarkError
from tallymark.io.objects import ObjectStore
from tallymark.io.spark_failures import why_spark_stopped
from tallymark.report.legible import one_line

_LOG_WIDTH = 120
_OF_A_DISK = {errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EPERM, errno.EROFS}
_SHIPPED = Path("tallymark-environment.json")


def exit_code_of(job: str, work: Callable[[Console], int], unfinished: str) -> int:
    """Does the work of a job; returns its exit code, or that of the error that ended it.

    Args:
        work: gets the console for people (standard error).
        unfinished: what a job that stops half-way leaves behind, as a sentence.
    """
    console = Console(stderr=True)
    if _SHIPPED.exists():  # a driver on a cluster: conf/cluster/submit.sh sent the variables of whoever submitted
        for name, value in json.loads(_SHIPPED.read_text(encoding="utf-8")).items():
            os.environ.setdefault(name, value)
    try:
        return work(console)
    except TallymarkError as error:
        text = _from_outside(error) or "\n".join(map(one_line, str(error).split("\n")))
        _say(console, f"{job}: {text}")
        return error.exit_code
    except Exception as error:
        reason = _from_outside(error)
        if reason is not None:
            _say(console, f"{job}: {reason}; {unfinished}")
        else:  # a defect: keeps its traceback, but must not end with 1, which says DIFFERENT
            logging.getLogger(__name__).exception("%s stopped; %s", job, unfinished)
        return EXIT_INCOMPLETE
    except KeyboardInterrupt:
        console.print(f"{job}: interrupted; {unfinished}")
        return EXIT_INTERRUPTED


def _from_outside(error: Exception) -> str | None:
    """Returns why no job could have gone on: Spark's processes were killed, or a disk here is full or shut."""
    if isinstance(error, OSError) and error.errno in _OF_A_DISK:
        what = one_line(str(error.filename or "a file"))
        return f"cannot use {what}: {error.strerror}; free some space or give this user the right, then run again"
    return why_spark_stopped(error) if "py4j" in sys.modules else None


def _say(console: Console, text: str) -> None:
    console.print(text, style="red", markup=False, highlight=False, soft_wrap=True)


def result_console() -> Console:
    """Returns the console for results (standard output); in a pipe or a log nobody can widen the window."""
    console = Console()
    return console if console.is_terminal else Console(width=_LOG_WIDTH)


class OneLine(logging.Formatter):
    """Writes a message on one line: a key with a newline in it must not pass for another message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging calls it so
        return one_line(super().formatMessage(record))


def log_to_stderr(level: str) -> None:
    """Configures logging for the whole process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    logging.basicConfig(level=level, handlers=[handler])


def read_text(place: str) -> str:
    """Returns the text of a configuration file that may lie in any store.

    Raises:
        ConfigError: there is none.
    """
    store = ObjectStore.from_environment(os.environ)
    found = store.stat(place)
    if found is None:
        raise ConfigError(f"--conf {place}: no such file")
    return b"".join(store.read_chunks(found)).decode("utf-8")
