"""Work in a process of its own, whose memory is given back when it ends. Called by jobs that must stay small."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from typing import TypeVar

from tallymark.errors import EXIT_INCOMPLETE

T = TypeVar("T")


def apart(work: Callable[[], T]) -> T:
    """Returns what the work returns, or raises what it raises; call it before there are threads.

    Raises:
        SystemExit: the work ended its process, as ``--help`` does; with 3 where that was killed or crashed.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _tell(work, writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        told = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not told:
        raise SystemExit(status if status >= 0 else EXIT_INCOMPLETE)
    succeeded, value = pickle.loads(told)  # noqa: S301 - from our own child
    if succeeded:
        return value  # type: ignore[no-any-return]
    raise value


def _tell(work: Callable[[], T], writing: int) -> None:
    """Never returns: what the parent has open must not be flushed or closed by the child."""
    status = 0
    try:
        try:
            told = pickle.dumps((True, work()))
        except Exception as error:  # noqa: BLE001 - raised again by the parent
            told = pickle.dumps((False, error))
        with open(writing, "wb") as pipe:
            pipe.write(told)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 - an interrupt, or an error that cannot travel; 1 would say "different"
        status = EXIT_INCOMPLETE
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
