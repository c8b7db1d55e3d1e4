"""From a raw record to the values of a row, or to the reason why it is none: one verdict for all methods.

Nothing is rounded, cut or guessed: a value that the column cannot hold exactly rejects its record. A reason names the
code and the column, never the value. Called by the tasks that load, stage and replay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from functools import cached_property, partial
from typing import Annotated, Any, TypeAlias

import msgspec
import pyarrow as pa

from tallymark.bulkload.columns import Column, schema_of
from tallymark.records.block import InvalidRecord

Value: TypeAlias = "int | float | bool | str | None"

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING = msgspec.json.Decoder(str)
_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,7})?")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(?:\.(\d{1,6})0*)?)? ?(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_ENDLESS = ("infinity", "-infinity")
_RANGES = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
_NUMERIC_DIGITS, _NUMERIC_SCALE = 131_072, 16_383  # PostgreSQL: "Numeric Types"


@dataclass(frozen=True)
class Rejected:
    """A record that is no row; ``ordinal`` is its place in the unit, from 0."""

    ordinal: int
    reason: str
    record: bytes


@dataclass(frozen=True)
class Rows:
    """The rows of some records, and where each came from."""

    batch: pa.RecordBatch
    records: Sequence[bytes]
    ordinals: Sequence[int]
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True)
class RowReader:
    """Reads records for one table.

    Args:
        nul: what becomes of U+0000, which PostgreSQL cannot store: ``reject``, ``strip`` or ``replace`` (by U+FFFD).
        zone: of times that name none.
    """

    columns: tuple[Column, ...]
    nul: str = "reject"
    zone: tzinfo = timezone.utc

    def read_all(self, records: Iterable[bytes]) -> Rows:
        """Reads records into one batch of rows (`columns.schema_of`)."""
        rows, kept, ordinals, rejected = [], [], [], []
        for ordinal, record in enumerate(records):
            try:
                rows.append(self.read(record))
            except InvalidRecord as invalid:
                rejected.append(Rejected(ordinal, invalid.reason, record))
            else:
                kept.append(record)
                ordinals.append(ordinal)
        schema = schema_of(self.columns)
        arrays = [pa.array(values, kind.type) for values, kind in zip(zip(*rows), schema)] if rows else None
        batch = pa.RecordBatch.from_arrays(arrays or [pa.array([], kind.type) for kind in schema], schema=schema)
        return Rows(batch, kept, ordinals, rejected)

    def read(self, record: bytes) -> list[Value]:
        """Returns the values of one record in the order of the columns.

        Raises:
            InvalidRecord: it is no row of the table.
        """
        try:
            return self._quick.read(record)
        except (msgspec.DecodeError, UnicodeDecodeError, InvalidRecord, RecursionError):
            return self.read_exactly(record)  # it knows what is wrong, and what only looks so

    @cached_property
    def _quick(self) -> _Quick:
        return _Quick(self)

    def read_exactly(self, record: bytes) -> list[Value]:
        """Returns the same as `read`, value by value."""
        members = _members(record)
        values = []
        for column in self.columns:
            raw = members.get(column.source)
            text = None if raw is None else bytes(raw)
            values.append(self.value(column, text))
        return values

    def value(self, column: Column, raw: bytes | None) -> Value:
        """Returns the value of one field, given as its JSON."""
        try:
            text = None if raw is None or raw == b"null" else self._text(column, raw)
        except InvalidRecord as invalid:
            raise InvalidRecord(f"{invalid.reason} {column.name}") from None
        if text is None or (column.empty_is_null and not text):
            if column.required:
                raise InvalidRecord(f"MISSING {column.name}")
            return None
        try:
            return _READERS[column.type.name](self, column, text)
        except InvalidRecord as invalid:
            raise InvalidRecord(f"{invalid.reason} {column.name}") from None

    def _text(self, column: Column, raw: bytes) -> str:
        """Returns a JSON string's text; of any other value, and for jsonb, its JSON as it was written."""
        is_json = column.type.name == "jsonb"
        if raw[0] != 0x22 or is_json:
            text = raw.decode()
            # Only what is nested, or a string for jsonb, can still hold the escape.
            return self._without_nul(text, _NUL.search(text) is not None, rf"\g<1>{_ESCAPED[self.nul]}", _NUL)
        text = _STRING.decode(raw)
        return self._without_nul(text, "\0" in text, _REPLACED[self.nul], _PLAIN_NUL)

    def _without_nul(self, text: str, has_nul: bool, instead: str, pattern: re.Pattern[str]) -> str:
        if not has_nul:
            return text
        if self.nul == "reject":
            raise InvalidRecord("NUL_CHARACTER")
        while (cleaned := pattern.sub(instead, text)) != text:  # two in a row share no backslash before them
            text = cleaned
        return text

    def moment(self, column: Column, text: str) -> str:
        """Returns a timestamp as text: of a timestamptz in UTC, with a Z."""
        with_zone = column.type.name == "timestamptz"
        if text in _ENDLESS:
            return text
        found = _TIME.fullmatch(text)
        if found is None or (found[5] and not with_zone):
            raise InvalidRecord("INVALID_TIME")
        day, minutes, seconds, fraction, offset = found.groups()
        try:
            plain = datetime.fromisoformat(f"{day}T{minutes or '00:00'}{seconds or ':00'}.{fraction or '0':0<6}")
            if with_zone:
                zone = _zone(offset) if offset else self.zone
                plain = plain.replace(tzinfo=zone).astimezone(timezone.utc).replace(tzinfo=None)
        except (ValueError, OverflowError):
            raise InvalidRecord("INVALID_TIME") from None
        return plain.isoformat(" ", "microseconds") + ("Z" if with_zone else "")


class _Quick:
    """Reads the records that are as expected, nearly all of them, by one typed decoding; raises for any other."""

    def __init__(self, reader: RowReader) -> None:
        columns = reader.columns
        self._names = [json.dumps(column.source, ensure_ascii=False).encode() for column in columns]
        fields = [
            (f"f{number}", _DECODED.get(column.type.name, msgspec.Raw), _DEFAULTS.get(column.type.name))
            for number, column in enumerate(columns)
        ]
        renamed = {f"f{number}": column.source for number, column in enumerate(columns)}
        # Two columns of one source would be one field twice: those are read exactly.
        self._usable = len(set(renamed.values())) == len(columns)
        struct = msgspec.defstruct("Record", fields if self._usable else [], rename=renamed)
        self._decoder = msgspec.json.Decoder(struct)
        self._readers = [partial(self._value, reader, column) for column in columns]

    def read(self, record: bytes) -> list[Value]:
        record.decode()
        # An escaped ASCII letter may hide a name, and NUL is such a one.
        if not self._usable or b"\\u00" in record or any(record.count(name) > 1 for name in self._names):
            raise InvalidRecord("NOT_PLAIN")
        return [
            read(value) for read, value in zip(self._readers, msgspec.structs.astuple(self._decoder.decode(record)))
        ]

    @staticmethod
    def _value(reader: RowReader, column: Column, value: Any) -> Value:
        if isinstance(value, msgspec.Raw):
            return reader.value(column, bytes(value))
        if value is None or (column.empty_is_null and not value and isinstance(value, str)):
            if column.required:
                raise InvalidRecord("MISSING")
            return None
        if isinstance(value, str):
            return _READERS[column.type.name](reader, column, value)
        return value  # type: ignore[no-any-return]  # a number or truth value within its bounds


def _bounded(bits: int) -> Any:
    return Annotated[int, msgspec.Meta(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)] | str | None


_DECODED: dict[str, Any] = {
    "smallint": _bounded(16),
    "integer": _bounded(32),
    "bigint": _bounded(64),
    "double precision": float | str | None,
    "boolean": bool | str | None,
    **dict.fromkeys(("text", "varchar", "date", "timestamp", "timestamptz", "uuid"), str | None),
}
_DEFAULTS = dict.fromkeys(("numeric", "jsonb"), msgspec.Raw(b"null"))
_PLAIN_NUL = re.compile("\0")
_REPLACED = {"reject": "", "strip": "", "replace": "\ufffd"}
_ESCAPED = {"reject": "", "strip": "", "replace": r"\\ufffd"}


def _members(record: bytes) -> dict[str, msgspec.Raw]:
    try:
        members = _MEMBERS.decode(record)
        record.decode()  # what is skipped is not looked at
    except UnicodeDecodeError:
        raise InvalidRecord("INVALID_UTF8") from None
    except (msgspec.DecodeError, RecursionError):
        raise InvalidRecord(_why_invalid(record)) from None
    # Each member has one colon of its own; more of them than members means a name given twice.
    colons = (
        len(members) + sum(name.count(":") for name in members) + sum(bytes(v).count(b":") for v in members.values())
    )
    if colons != record.count(b":") and _repeats_a_name(record):
        raise InvalidRecord("DUPLICATE_KEY")
    return members


def _why_invalid(record: bytes) -> str:
    """Finds the reason by a slower reader, which tells more kinds of broken text apart."""
    constants: list[str] = []
    try:
        value = json.loads(record.decode(), parse_constant=constants.append, parse_int=str, parse_float=str)
    except UnicodeDecodeError:
        return "INVALID_UTF8"
    except RecursionError:
        return "TOO_DEEP"
    except ValueError:
        return "INVALID_JSON"
    if constants:
        return "NOT_A_NUMBER"
    return "LONE_SURROGATE" if isinstance(value, dict) else "NOT_AN_OBJECT"


def _repeats_a_name(record: bytes) -> bool:
    top: list[list[tuple[str, Any]]] = []
    json.loads(record, object_pairs_hook=top.append, parse_int=str, parse_float=str)
    names = [name for name, _ in top[-1]]  # the outermost object is the last to end
    return len(set(names)) < len(names)


def _integer(_reader: RowReader, column: Column, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise InvalidRecord("NOT_AN_INTEGER" if _NUMBER.fullmatch(text) else "NOT_A_NUMBER")
    bound = _RANGES[column.type.name]
    if len(text) > 20 or not -bound <= (value := int(text)) < bound:
        raise InvalidRecord("OUT_OF_RANGE")
    return value


def _double(_reader: RowReader, _column: Column, text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise InvalidRecord("NOT_A_NUMBER")
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise InvalidRecord("OUT_OF_RANGE")
    return value


def _numeric(_reader: RowReader, column: Column, text: str) -> str:
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


def _boolean(_reader: RowReader, _column: Column, text: str) -> bool:
    if text not in ("true", "false"):
        raise InvalidRecord("NOT_A_BOOLEAN")
    return text == "true"


def _plain(_reader: RowReader, column: Column, text: str) -> str:
    if column.type.size is not None and len(text) > column.type.size:
        raise InvalidRecord("TOO_LONG")
    return text


def _json(_reader: RowReader, _column: Column, text: str) -> str:
    return text


def _date(_reader: RowReader, _column: Column, text: str) -> str:
    if text in _ENDLESS:
        return text
    try:
        return date.fromisoformat(text if len(text) == 10 else f"{text[:4]}-{text[4:6]}-{text[6:]}").isoformat()
    except ValueError:
        raise InvalidRecord("INVALID_DATE") from None


def _uuid(_reader: RowReader, _column: Column, text: str) -> str:
    if not _UUID.fullmatch(text):
        raise InvalidRecord("INVALID_UUID")
    return text.lower()


def _zone(offset: str) -> tzinfo:
    if offset == "Z":
        return timezone.utc
    digits = offset.replace(":", "")
    return datetime.strptime(f"{digits:0<5}", "%z").tzinfo or timezone.utc


_READERS: dict[str, Callable[[RowReader, Column, str], Value]] = {
    **dict.fromkeys(_RANGES, _integer),
    "double precision": _double,
    "numeric": _numeric,
    "boolean": _boolean,
    **dict.fromkeys(("text", "varchar"), _plain),
    "jsonb": _json,
    "date": _date,
    **dict.fromkeys(("timestamp", "timestamptz"), RowReader.moment),
    "uuid": _uuid,
}
