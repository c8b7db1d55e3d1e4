"""Which Arrow type holds a PostgreSQL column without loss, and which columns stay the text that PostgreSQL writes.

Pure; needs pyarrow, so only Parquet and Delta import it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
from psycopg import sql

MOST_DIGITS = 38  # of decimal128

_PLAIN = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "text": pa.string(),
    "varchar": pa.string(),
    "bpchar": pa.string(),
    "name": pa.string(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
}
# Values that PostgreSQL has and Arrow has not. A column that holds any stays text.
_BEYOND = {
    "numeric": "{0} = 'NaN'",
    "time": "{0} = '24:00'",
    "date": "NOT isfinite({0}) OR {0} < '0001-01-01' OR {0} > '9999-12-31'",
    "timestamp": "NOT isfinite({0}) OR {0} < '0001-01-01' OR {0} >= '10000-01-01'",
    "timestamptz": "NOT isfinite({0}) OR {0} < '0001-01-01 00:00+00' OR {0} >= '10000-01-01 00:00+00'",
}


@dataclass(frozen=True, slots=True)
class Typed:
    """A column and its Arrow type; ``fallback`` says why it is text, where it is."""

    name: str
    kind: pa.DataType
    fallback: str | None = None


def arrow_column(
    name: str,
    type_name: tuple[str, str],
    declared: str,
    precision: int | None,
    scale: int | None,
    *,
    is_delta: bool,
) -> Typed:
    """Returns the Arrow type of a column, as far as its declaration tells.

    >>> arrow_column("n", ("pg_catalog", "numeric"), "numeric(9,2)", 9, 2, is_delta=False).kind
    Decimal128Type(decimal128(9, 2))
    >>> arrow_column("n", ("pg_catalog", "numeric"), "numeric", None, None, is_delta=False).fallback
    'text: numeric has no limit of digits'
    """
    schema, base = type_name
    if schema == "pg_catalog" and base == "numeric":
        if precision is None or scale is None:
            return Typed(name, pa.string(), "text: numeric has no limit of digits")
        if precision <= MOST_DIGITS and 0 <= scale <= precision:
            return Typed(name, pa.decimal128(precision, scale))
        return Typed(name, pa.string(), f"text: {declared} has no decimal of {MOST_DIGITS} digits")
    if schema != "pg_catalog" or base not in _PLAIN:
        return Typed(name, pa.string(), f"text: Arrow has no {declared}")
    if is_delta and base == "time":
        return Typed(name, pa.string(), "text: Delta has no time of day")
    return Typed(name, _PLAIN[base])


def beyond(type_name: tuple[str, str], column: Typed) -> sql.Composed | None:
    """Returns the condition that a value of this column has no place in its Arrow type; None where all have one."""
    if column.fallback is not None or type_name[1] not in _BEYOND:
        return None
    return sql.SQL(_BEYOND[type_name[1]]).format(sql.Identifier(column.name))


def as_text(columns: Iterable[Typed], names: set[str]) -> list[Typed]:
    """Returns the columns, with those that hold values beyond their type as text."""
    reason = "text: it holds values that Arrow's type has not (NaN, infinity, BC, after 9999 or 24:00)"
    return [Typed(each.name, pa.string(), reason) if each.name in names else each for each in columns]
