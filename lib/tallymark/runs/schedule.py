"""Runs a job again and again in one process, on a schedule, until it is told to stop.

Runs follow each other, so a tick that comes while one works is skipped. The times are those of APScheduler's triggers.
"""

from __future__ import annotations

import logging
import re
import signal
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from tallymark.errors import ConfigError, TallymarkError

_INTERVAL = re.compile(r"([1-9][0-9]{0,5})([smh])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}
_log = logging.getLogger(__name__)


def repeat(work: Callable[[], int], every: str) -> int:
    """Call ``work`` at once and then at each tick; return its last exit code after SIGTERM or Ctrl-C.

    A run that works when the signal comes is brought to its end. One that fails is logged, and the next tick tries
    again; only a wrong configuration ends the schedule.

    Args:
        every: ``30s``, ``5m``, ``1h``, or a cron expression of five fields, in UTC.

    Raises:
        ConfigError: ``every`` is none of these, or the configuration turned out wrong.
    """
    trigger = _trigger(every)
    stop = threading.Event()
    former = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    code = 0
    try:
        while not stop.is_set():
            code = _tick(work)
            now = datetime.now(timezone.utc)
            coming = trigger.get_next_fire_time(None, now)
            _log.info("next run at %s", f"{coming:%Y-%m-%dT%H:%M:%SZ}")
            stop.wait((coming - now).total_seconds())
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    _log.info("stopped")
    return code


def _tick(work: Callable[[], int]) -> int:
    try:
        return work()
    except ConfigError:
        raise
    except TallymarkError as error:
        _log.error("%s", error)
        return error.exit_code


def _trigger(every: str) -> Any:
    found = _INTERVAL.fullmatch(every.strip())
    try:
        if found:
            return IntervalTrigger(**{_UNITS[found[2]]: int(found[1])}, timezone=timezone.utc)
        trigger = CronTrigger.from_crontab(every, timezone=timezone.utc)
    except ValueError as error:
        raise ConfigError(f"--every {every!r}: {error}; write 30s, 5m, 1h or five cron fields") from None
    if re.search("[0-9]", every.split()[4]):  # to cron 0 is Sunday, to APScheduler it is Monday
        raise ConfigError(f"--every {every!r}: name the days of the week, such as sun or mon-fri")
    if trigger.get_next_fire_time(None, datetime.now(timezone.utc)) is None:
        raise ConfigError(f"--every {every!r}: there is no such day")
    return trigger
