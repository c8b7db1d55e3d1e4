"""The columns of a table: where their values come from, and what each type of PostgreSQL holds.

A type is staged as the narrowest Arrow type that keeps its values; whatever is not a number or a truth value is staged
as the text that PostgreSQL reads, so that every method stores the same. Called by the config, `rows` and `encode`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

_ALIASES = {
    "int2": "smallint",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "float8": "double precision",
    "bool": "boolean",
    "decimal": "numeric",
    "character varying": "varchar",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}
_STAGED = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
}
_TEXTS = ("text", "varchar", "numeric", "date", "timestamp", "timestamptz", "jsonb", "uuid")
TYPES = (*_STAGED, *_TEXTS)
_TYPE = re.compile(r"([a-z0-9 ]+?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?(?: with(?:out)? time zone)?")
_PARAMETERS = {"varchar": (0, 1), "numeric": (0, 1, 2)}
LONGEST_TEXT = 10_485_760
MOST_DIGITS = 1000


@dataclass(frozen=True, slots=True)
class ColumnType:
    """``size``: of varchar its characters, of numeric its digits; ``scale``: digits behind the point."""

    name: str
    size: int | None = None
    scale: int = 0

    def __str__(self) -> str:
        if self.size is None:
            return self.name
        return f"{self.name}({self.size})" if self.name == "varchar" else f"{self.name}({self.size},{self.scale})"

    @property
    def staged(self) -> pa.DataType:
        """The Arrow type in which values wait for being loaded."""
        return _STAGED.get(self.name, pa.string())


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and the field of the record that fills it.

    Args:
        empty_is_null: whether an empty string stands for no value.
    """

    name: str
    source: str
    type: ColumnType
    required: bool = False
    empty_is_null: bool = False


def column_type(text: str) -> ColumnType:
    """Reads the name of a type as PostgreSQL knows it.

    >>> column_type("numeric(12, 2)"), str(column_type("int8"))
    (ColumnType(name='numeric', size=12, scale=2), 'bigint')

    Raises:
        ValueError: it is none of TYPES.
    """
    lowered = " ".join(text.lower().split())
    found = _TYPE.fullmatch(_ALIASES.get(lowered, lowered))
    name = _ALIASES.get(found[1], found[1]) if found else ""
    numbers = [int(number) for number in found.groups()[1:] if number] if found else []
    if name not in TYPES or len(numbers) not in _PARAMETERS.get(name, (0,)):
        raise ValueError(f"{text!r} is no type that can be loaded: take one of {', '.join(TYPES)}")
    if name == "varchar" and numbers and not 1 <= numbers[0] <= LONGEST_TEXT:
        raise ValueError(f"{text!r}: a varchar has 1 to {LONGEST_TEXT} characters")
    if name == "numeric" and numbers and not (1 <= numbers[0] <= MOST_DIGITS and sum(numbers[1:]) <= numbers[0]):
        raise ValueError(f"{text!r}: a numeric has 1 to {MOST_DIGITS} digits, and no more behind the point")
    return ColumnType(name, *numbers)


def schema_of(columns: tuple[Column, ...]) -> pa.Schema:
    """Returns the Arrow schema of staged rows."""
    return pa.schema([(column.name, column.type.staged) for column in columns])
