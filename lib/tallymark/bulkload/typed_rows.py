"""Reads the records that are as expected, nearly all of them, by one typed decoding; whatever else is left to `rows`.

What is read here must be what `rows` reads value by value: a property test holds the two side by side.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import tzinfo
from functools import partial
from typing import Annotated, Any

import msgspec

from tallymark.bulkload.columns import Column
from tallymark.bulkload.values import READERS, Value
from tallymark.records.json_tree import InvalidRecord

ReadExactly = Callable[[Column, bytes], Value]
"""Reads one field, given as its JSON."""


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


class TypedRows:
    """Reads the records that are as expected, nearly all of them, by one typed decoding; raises for any other."""

    def __init__(self, columns: tuple[Column, ...], zone: tzinfo, read_exactly: ReadExactly) -> None:
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
        checked = ((number, self._check(column, zone, read_exactly)) for number, column in enumerate(columns))
        self._checks = [(number, check) for number, check in checked if check is not None]

    def read(self, record: bytes) -> list[Value]:
        record.decode()
        # An escaped ASCII letter may hide a name, and NUL is such a one.
        if not self._usable or b"\\u00" in record or any(record.count(name) > 1 for name in self._names):
            raise InvalidRecord("NOT_PLAIN")
        values = list(msgspec.structs.astuple(self._decoder.decode(record)))
        for number, check in self._checks:
            values[number] = check(values[number])
        return values

    @staticmethod
    def _check(column: Column, zone: tzinfo, read_exactly: ReadExactly) -> Callable[[Any], Value] | None:
        """Returns what is still to be done with the decoded value of a column; None where nothing is."""
        kind, is_free = column.type, not (column.required or column.empty_is_null)
        if kind.name in _DEFAULTS:
            plain = _plain_numeric(column) if kind.name == "numeric" else None
            return partial(_read_raw, read_exactly, column, plain)
        if is_free and (kind.name == "text" or (kind.name == "varchar" and kind.size is None)):
            return None
        return partial(_read_decoded, zone, column)


def _read_raw(read_exactly: ReadExactly, column: Column, plain: re.Pattern[bytes] | None, value: msgspec.Raw) -> Value:
    raw = bytes(value)
    found = plain.fullmatch(raw) if plain is not None else None
    return found[1].decode() if found else read_exactly(column, raw)


def _read_decoded(zone: tzinfo, column: Column, value: Any) -> Value:
    if value is None or (value == "" and column.empty_is_null):
        if column.required:
            raise InvalidRecord("MISSING")
        return None
    # A number or truth value is within its bounds; a text may be one, or a time.
    return READERS[column.type.name](zone, column, value) if isinstance(value, str) else value


def _plain_numeric(column: Column) -> re.Pattern[bytes]:
    """Returns what a usual number that the column holds looks like, quoted or not."""
    whole, behind = (30, 30) if column.type.size is None else (column.type.size - column.type.scale, column.type.scale)
    fraction = rf"(?:\.[0-9]{{1,{behind}}})?" if behind else ""
    return (
        re.compile(rf'(?:"(?=.*"\Z)|(?!.*"))(-?[0-9]{{1,{whole}}}{fraction})"?'.encode())
        if whole
        else re.compile(b"(?!)()")
    )
