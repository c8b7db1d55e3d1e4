"""What a column of a table is: type, meaning, and when it holds nothing. The tables of the jobs are made of these.

One place says both to programs (the schema) and to people (`docs/tables.md`, and the comments of the Delta tables).
Called by the `tables` of each job. pyarrow is imported where it is used: `export` does without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

COMMENT = "comment"
"""The name under which Delta, and with it Spark's DESCRIBE, keeps what a column means."""


class Column(str):
    """The type of a column, as Spark DDL spells it, that also knows what the column means.

    Whoever only asks for the type uses it as the text that it is. ``null`` says when the column holds nothing;
    empty: never.

    >>> column = Column("bigint", "records that it holds", null="where it could not be read")
    >>> column == "bigint", column.comment
    (True, 'records that it holds; null where it could not be read')
    """

    __slots__ = ("meaning", "null")

    meaning: str
    null: str

    def __new__(cls, kind: str, meaning: str = "", null: str = "") -> Column:  # noqa: PYI034 - Python 3.10 has no Self
        self = super().__new__(cls, kind)
        self.meaning, self.null = meaning, null
        return self

    @property
    def comment(self) -> str:
        return f"{self.meaning}; null {self.null}" if self.null else self.meaning


def comments(columns: Mapping[str, str]) -> dict[str, str]:
    """Return what the columns mean, by their names; one that is a plain type is left out."""
    return {name: kind.comment for name, kind in columns.items() if isinstance(kind, Column)}


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Return the Arrow schema of columns given as DDL types; what a `Column` means goes along as its comment."""
    import pyarrow as pa

    types, told = _arrow_types(), comments(columns)
    return pa.schema(
        [
            pa.field(name, types[kind], metadata={COMMENT: told[name]} if name in told else None)
            for name, kind in columns.items()
        ]
    )


def sql_type(kind: pa.DataType) -> str:
    """Return an Arrow type of `arrow_schema` as the DDL type that it was given as."""
    return next(name for name, known in _arrow_types().items() if known == kind)


@cache
def _arrow_types() -> Mapping[str, pa.DataType]:
    import pyarrow as pa

    return {
        "boolean": pa.bool_(),
        "int": pa.int32(),
        "bigint": pa.int64(),
        "double": pa.float64(),
        "string": pa.string(),
        "binary": pa.binary(),
        "timestamp": pa.timestamp("us", "UTC"),
        "array<string>": pa.list_(pa.string()),
        "map<string,string>": pa.map_(pa.string(), pa.string()),
        "map<string,bigint>": pa.map_(pa.string(), pa.int64()),
    }
