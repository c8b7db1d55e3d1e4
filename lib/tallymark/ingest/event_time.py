"""The time of a record and the hour that it belongs to: pure functions of its `inDate`, so a late or repeated record
lands where it always did. Hours are UTC and half-open: 00:59:59.999999 is hour 00, 01:00:00 is hour 01.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import ROUND_DOWN, Context, Decimal, InvalidOperation

from tallymark.ingest.tables import Rejected

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - without a zone, as the fast way reads it
_MICROSECOND = timedelta(microseconds=1)
_FIRST = 946_684_800_000_000  # 2000-01-01, in microseconds
_END = 4_102_444_800_000_000  # 2100-01-01
_MILLISECONDS_FROM = 100_000_000_000
"""An epoch from here on counts milliseconds: as seconds it would be the year 5138."""
_CUT = Context(rounding=ROUND_DOWN)  # a time just before an hour must not be rounded into it
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)? ?(Z|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)


def read_time(text: str) -> tuple[int, str, str]:
    """Return microseconds since 1970, day and hour of an ISO 8601 time; raise Rejected bad_time.

    >>> read_time("2023-03-17T14:01:02.123456")
    (1679061662123456, '2023-03-17', '14')
    >>> read_time("2023-03-17T06:29:59+05:30")
    (1679014799000000, '2023-03-17', '00')
    """
    # The usual form, 26 characters without an offset, shows its hour.
    if len(text) == 26 and text[4] == text[7] == "-" and text[10] == "T" and text[19] == "." and text[20:].isdecimal():
        try:
            moment = (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND
        except ValueError:
            raise Rejected("bad_time") from None
        return _in_range(moment), text[:10], text[11:13]
    moment = _in_range(_microseconds(text))
    return moment, *partition(moment)


def _microseconds(text: str) -> int:
    found = _ISO.fullmatch(text)
    if found is None:
        raise Rejected("bad_time")
    day, minute, second, fraction, offset = found.groups()
    try:
        local = datetime.fromisoformat(f"{day}T{minute}:{second or '00'}")
    except ValueError:
        raise Rejected("bad_time") from None
    return (local - _EPOCH) // _MICROSECOND + int((fraction or "")[:6].ljust(6, "0")) - _offset(offset)


def read_epoch(number: str) -> tuple[int, str, str]:
    """Return the same of a JSON number of seconds or milliseconds since 1970; raise Rejected bad_time.

    >>> read_epoch("1679061662.5") == read_epoch("1679061662500")
    True
    """
    try:
        value = Decimal(number)
    except InvalidOperation:  # an exponent beyond all bounds
        raise Rejected("bad_time") from None
    if not 0 < value < 10**15:
        raise Rejected("bad_time")
    moment = _in_range(int(_CUT.multiply(value, 1_000 if value >= _MILLISECONDS_FROM else 1_000_000)))
    return moment, *partition(moment)


def partition(moment: int) -> tuple[str, str]:
    """Return the day and the hour of microseconds since 1970.

    >>> partition(1_679_061_662_123_456)
    ('2023-03-17', '14')
    """
    time = datetime.fromtimestamp(moment // 1_000_000, timezone.utc)
    return f"{time:%Y-%m-%d}", f"{time:%H}"


def _offset(text: str | None) -> int:
    if text is None or text in "Zz":
        return 0
    hours, minutes = int(text[1:3]), int(text[-2:]) if len(text) > 3 else 0
    if hours > 15 or minutes > 59:
        raise Rejected("bad_time")
    return (-1 if text[0] == "-" else 1) * (hours * 60 + minutes) * 60_000_000


def _in_range(moment: int) -> int:
    if not _FIRST <= moment < _END:
        raise Rejected("bad_time")
    return moment
