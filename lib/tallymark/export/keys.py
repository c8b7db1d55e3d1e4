"""The key by which a table is cut into chunks, and which rows lie between two of its values.

Pure: it makes conditions in SQL and runs none. Rows are ordered by the key's columns, NULLs last. A range ``(lower,
upper]`` of a key with nullable columns is a list of conditions, in that order, each of which an index can answer by
itself: ``OR`` and ``IS NOT DISTINCT FROM`` would make it read the table. Called by `statements`.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

Position = tuple[str | None, ...]  # the value of each key column as PostgreSQL writes it as text


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of a key; ``type_name`` is schema and name of its type, so that text is read back as just that."""

    name: str
    type_name: tuple[str, str]
    nullable: bool = False

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.name)

    def value(self, text: str) -> sql.Composed:
        """The value as SQL: exact, since PostgreSQL wrote the text."""
        return sql.SQL("{}::{}").format(sql.Literal(text), sql.Identifier(*self.type_name))


Key = tuple[KeyColumn, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """A condition; ``null`` and ``present`` are the columns that it makes NULL or not NULL."""

    sql: sql.Composable
    null: frozenset[str]
    present: frozenset[str]


def between(key: Key, lower: Position | None, upper: Position | None) -> list[sql.Composable]:
    """Returns the conditions of the rows after ``lower`` up to and with ``upper``, disjoint and in the key's order.

    >>> key = (KeyColumn("at", ("pg_catalog", "int4"), nullable=True), KeyColumn("id", ("pg_catalog", "int4")))
    >>> for condition in between(key, ("1", "5"), None): print(condition.as_string(None))
    ("at", "id") > ('1'::"pg_catalog"."int4", '5'::"pg_catalog"."int4")
    "at" IS NULL
    >>> [condition.as_string(None) for condition in between(key[:1], (None,), None)]  # nothing comes after NULL
    ['false']
    """
    starts = [_everything()] if lower is None else _after(key, lower, [])
    ends = [_everything()] if upper is None else _up_to(key, upper, [])
    conditions = [
        _all([part.sql for part in (start, end) if part.null or part.present])
        for start in starts
        for end in ends
        if not (start.null & end.present or start.present & end.null)
    ]
    return conditions or [sql.SQL("false")]


def _everything() -> _Part:
    return _Part(sql.SQL("true"), frozenset(), frozenset())


def _after(key: Key, values: Position, fixed: list[_Part]) -> list[_Part]:
    """The rows after ``values`` among those that have the ``fixed`` first columns."""
    if not key:
        return []
    first, value = key[0], values[0]
    nulls = [_joined([*fixed, _is_null(first)])] if first.nullable else []
    if value is None:
        return _after(key[1:], values[1:], [*fixed, _is_null(first)])
    if not any(column.nullable for column in key[1:]):
        return [_joined([*fixed, _compared(key, ">", values)]), *nulls]
    same = _after(key[1:], values[1:], [*fixed, _compared(key[:1], "=", values)])
    return [*same, _joined([*fixed, _compared(key[:1], ">", values)]), *nulls]


def _up_to(key: Key, values: Position, fixed: list[_Part]) -> list[_Part]:
    """The rows up to and with ``values`` among those that have the ``fixed`` first columns."""
    if not key:
        return [_joined(fixed)]
    first, value = key[0], values[0]
    if value is None:
        present = _Part(sql.SQL("{} IS NOT NULL").format(first.identifier), frozenset(), frozenset((first.name,)))
        return [_joined([*fixed, present]), *_up_to(key[1:], values[1:], [*fixed, _is_null(first)])]
    if not any(column.nullable for column in key[1:]):
        return [_joined([*fixed, _compared(key, "<=", values)])]
    same = _up_to(key[1:], values[1:], [*fixed, _compared(key[:1], "=", values)])
    return [_joined([*fixed, _compared(key[:1], "<", values)]), *same]


def _is_null(column: KeyColumn) -> _Part:
    return _Part(sql.SQL("{} IS NULL").format(column.identifier), frozenset((column.name,)), frozenset())


def _compared(key: Key, operator: str, values: Position) -> _Part:
    """Compares rows of values; a NULL in the first column makes it untrue, which is why that one may be nullable."""
    texts = [column.value(text) for column, text in zip(key, values) if text is not None]
    names: list[sql.Composable] = [column.identifier for column in key]
    template = "({}) " + operator + " ({})" if len(key) > 1 else "{} " + operator + " {}"
    condition = sql.SQL(template).format(sql.SQL(", ").join(names), sql.SQL(", ").join(texts))
    return _Part(condition, frozenset(), frozenset((key[0].name,)))


def _joined(parts: list[_Part]) -> _Part:
    null = frozenset[str]().union(*(part.null for part in parts))
    present = frozenset[str]().union(*(part.present for part in parts))
    return _Part(_all([part.sql for part in parts]), null, present)


def _all(conditions: list[sql.Composable]) -> sql.Composable:
    return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")
