"""From a raw record to the values of a row, or to the reason why it is none: one verdict for all methods.

Nothing is rounded, cut or guessed: a value that the column cannot hold exactly rejects its record. A reason names the
code and the column, never the value. Called by the tasks that load, stage and replay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timezone, tzinfo
from functools import cached_property
from typing import Any

import msgspec
import pyarrow as pa

from tallymark.bulkload.columns import Column, schema_of
from tallymark.bulkload.typed_rows import TypedRows
from tallymark.bulkload.values import READERS, Value
from tallymark.records.json_tree import InvalidRecord

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING = msgspec.json.Decoder(str)
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


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
    def _quick(self) -> TypedRows:
        return TypedRows(self.columns, self.zone, self.value)

    def read_exactly(self, record: bytes) -> list[Value]:
        """Returns the same as `read`, value by value."""
        members = _members(record, {column.source for column in self.columns})
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
            return READERS[column.type.name](self.zone, column, text)
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


_PLAIN_NUL = re.compile("\0")
_REPLACED = {"reject": "", "strip": "", "replace": "\ufffd"}
_ESCAPED = {"reject": "", "strip": "", "replace": r"\\ufffd"}


def _members(record: bytes, wanted: set[str]) -> dict[str, msgspec.Raw]:
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
    if colons != record.count(b":") and _repeats(wanted, record):
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


def _repeats(wanted: set[str], record: bytes) -> bool:
    top: list[list[tuple[str, Any]]] = []
    json.loads(record, object_pairs_hook=top.append, parse_int=str, parse_float=str)
    names = [name for name, _ in top[-1] if name in wanted]  # the outermost object is the last to end
    return len(set(names)) < len(names)
