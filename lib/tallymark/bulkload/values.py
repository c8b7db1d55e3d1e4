"""The values of each type, from their text: what a column cannot hold exactly is refused with a stable code.

NOT_A_NUMBER, NOT_AN_INTEGER, NOT_A_BOOLEAN, OUT_OF_RANGE, TOO_MANY_DIGITS, TOO_LONG, INVALID_TIME, INVALID_DATE,
INVALID_UUID. Called by `rows` and `typed_rows`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from tallymark.bulkload.columns import Column
from tallymark.records.json_tree import InvalidRecord

Value: TypeAlias = "int | float | bool | str | None"

_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,7})?")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(?:\.(\d{1,6})0*)?)? ?(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_ENDLESS = ("infinity", "-infinity")
_RANGES = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
_NUMERIC_DIGITS, _NUMERIC_SCALE = 131_072, 16_383  # PostgreSQL: "Numeric Types"


def _integer(_default: tzinfo, column: Column, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise InvalidRecord("NOT_AN_INTEGER" if _NUMBER.fullmatch(text) else "NOT_A_NUMBER")
    bound = _RANGES[column.type.name]
    if len(text) > 20 or not -bound <= (value := int(text)) < bound:
        raise InvalidRecord("OUT_OF_RANGE")
    return value


def _double(_default: tzinfo, _column: Column, text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise InvalidRecord("NOT_A_NUMBER")
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise InvalidRecord("OUT_OF_RANGE")
    return value


def _numeric(_default: tzinfo, column: Column, text: str) -> str:
    """Keeps the digits as written; more behind the point than the column has would be rounded away."""
    if not _NUMBER.fullmatch(text):
        raise InvalidRecord("NOT_A_NUMBER")
    try:
        _, digits, exponent = Decimal(text).as_tuple()
    except InvalidOperation:
        raise InvalidRecord("OUT_OF_RANGE") from None
    assert isinstance(exponent, int)  # the pattern lets no NaN through
    significant = "".join(map(str, digits)).rstrip("0")
    size, most = column.type.size, column.type.scale
    scale = -exponent - (len(digits) - len(significant)) if significant else 0
    if -exponent > _NUMERIC_SCALE or len(significant) - scale > (_NUMERIC_DIGITS if size is None else size - most):
        raise InvalidRecord("OUT_OF_RANGE")
    if size is not None and scale > most:
        raise InvalidRecord("TOO_MANY_DIGITS")
    return text


def _boolean(_default: tzinfo, _column: Column, text: str) -> bool:
    if text not in ("true", "false"):
        raise InvalidRecord("NOT_A_BOOLEAN")
    return text == "true"


def _plain(_default: tzinfo, column: Column, text: str) -> str:
    if column.type.size is not None and len(text) > column.type.size:
        raise InvalidRecord("TOO_LONG")
    return text


def _json(_default: tzinfo, _column: Column, text: str) -> str:
    return text


def _date(_default: tzinfo, _column: Column, text: str) -> str:
    if text in _ENDLESS:
        return text
    try:
        return date.fromisoformat(text if len(text) == 10 else f"{text[:4]}-{text[4:6]}-{text[6:]}").isoformat()
    except ValueError:
        raise InvalidRecord("INVALID_DATE") from None


def _moment(default: tzinfo, column: Column, text: str) -> str:
    """Returns a timestamp as text: of a timestamptz in UTC, with a Z."""
    with_zone = column.type.name == "timestamptz"
    if len(text) == 19 and default is timezone.utc and text[4] == text[7] == "-" and text.isascii():
        with suppress(ValueError):  # the usual form needs no more than this
            return datetime.fromisoformat(text).isoformat(" ") + (".000000Z" if with_zone else ".000000")
    if text in _ENDLESS:
        return text
    found = _TIME.fullmatch(text)
    if found is None or (found[5] and not with_zone):
        raise InvalidRecord("INVALID_TIME")
    day, minutes, seconds, fraction, offset = found.groups()
    try:
        plain = datetime.fromisoformat(f"{day}T{minutes or '00:00'}{seconds or ':00'}.{fraction or '0':0<6}")
        if with_zone:
            zone = _zone(offset) if offset else default
            plain = plain.replace(tzinfo=zone).astimezone(timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise InvalidRecord("INVALID_TIME") from None
    return plain.isoformat(" ", "microseconds") + ("Z" if with_zone else "")


def _uuid(_default: tzinfo, _column: Column, text: str) -> str:
    if not _UUID.fullmatch(text):
        raise InvalidRecord("INVALID_UUID")
    return text.lower()


def _zone(offset: str) -> tzinfo:
    if offset == "Z":
        return timezone.utc
    digits = offset.replace(":", "")
    return datetime.strptime(f"{digits:0<5}", "%z").tzinfo or timezone.utc


READERS: dict[str, Callable[[tzinfo, Column, str], Value]] = {
    **dict.fromkeys(_RANGES, _integer),
    "double precision": _double,
    "numeric": _numeric,
    "boolean": _boolean,
    **dict.fromkeys(("text", "varchar"), _plain),
    "jsonb": _json,
    "date": _date,
    **dict.fromkeys(("timestamp", "timestamptz"), _moment),
    "uuid": _uuid,
}
