"""What may be rewritten and removed: closed partitions, and files that nobody reads any more.

Pure: the clock and the settings of a table come as arguments. Called by `tallymark.runs.maintain`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone

from tallymark.errors import ConfigError

_OLD_FILES = "delta.deletedFileRetentionDuration"
_LOG = "delta.logRetentionDuration"
_DEFAULTS = {_OLD_FILES: "interval 1 week", _LOG: "interval 30 days"}
"""docs.delta.io, "Delta table properties reference"."""

_INTERVAL = re.compile(r"(?:interval\s+)?(\d+)\s+(second|minute|hour|day|week)s?", re.IGNORECASE)

Filters = list[tuple[str, str, str]]
"""Conditions on partition columns that hold together, as delta-rs takes them."""


def check_retention(table: str, days: int, properties: Mapping[str, str]) -> None:
    """Do nothing where files that are older than ``days`` may be removed from the table.

    Args:
        properties: what the table says of itself in its log.

    Raises:
        ConfigError: the table promises to keep them for longer, or forgets earlier in its log what it has had.
    """
    kept, told = (_duration(table, name, properties.get(name, _DEFAULTS[name])) for name in (_OLD_FILES, _LOG))
    asked = timedelta(days=days)
    given = f"--retention-days {days}"
    if asked < kept:
        raise ConfigError(
            f"{given}: the table {table} promises to keep old files for {_in_days(kept)} ({_OLD_FILES}); give at least "
            "that, or change this property of the table first"
        )
    if asked > told:
        raise ConfigError(
            f"{given}: the log of the table {table} reaches back {_in_days(told)} ({_LOG}), and nobody can name a "
            "version before that; give at most that, or change this property of the table first"
        )


def is_idle(table: str, written: datetime | None, now: datetime, properties: Mapping[str, str]) -> bool:
    """Tell whether rows were last ``written`` so long ago that the next commit may drop that from the log.

    delta-rs shortens the log as it commits, whatever it is told; `ingest` finds its watermark there.
    """
    told = _duration(table, _LOG, properties.get(_LOG, _DEFAULTS[_LOG]))
    return written is None or now - written > told - timedelta(days=1)


def closed_hours(now: datetime) -> list[Filters]:
    """Return what to ask of `dt` and `hour` for the hours that have ended; either of the two.

    >>> closed_hours(datetime(2026, 3, 17, 14, 59, tzinfo=timezone.utc))
    [[('dt', '<', '2026-03-17')], [('dt', '=', '2026-03-17'), ('hour', '<', '14')]]
    """
    utc = now.astimezone(timezone.utc)
    day = f"{utc:%Y-%m-%d}"
    return [[("dt", "<", day)], [("dt", "=", day), ("hour", "<", f"{utc:%H}")]]


def is_chosen(partition: Mapping[str, str], choices: Sequence[Filters]) -> bool:
    """Tell whether a partition meets one of the choices; an empty one is met by all.

    >>> is_chosen({"dt": "2026-03-17", "hour": "09"}, [[("dt", "=", "2026-03-17"), ("hour", "<", "14")]])
    True
    """
    return any(
        all(partition[name] < value if sign == "<" else partition[name] == value for name, sign, value in filters)
        for filters in choices
    )


def _duration(table: str, name: str, text: str) -> timedelta:
    found = _INTERVAL.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"the table {table} has {name} = {text!r}: write it as interval 30 days")
    return timedelta(**{f"{found[2].lower()}s": int(found[1])})


def _in_days(duration: timedelta) -> str:
    return f"{duration / timedelta(days=1):g} days"
