"""What a chunk covers, and how a table is cut: by a key, or by its pages.

Pure: a cutter makes statements and is given what they returned. Called by `tallymark.runs.export`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count

from psycopg import sql

from tallymark.export.keys import Key, Position, between


@dataclass(frozen=True, slots=True)
class Span:
    """The rows after ``lower`` up to and with ``upper``; None is the table's begin or end.

    By a key the positions are key values; by pages they are (number of the relation, first page not yet read).
    """

    number: int
    rows_wanted: int
    lower: Position | None
    upper: Position | None


def free_name(names: Iterable[str]) -> sql.Identifier:
    """Returns a name that none of the columns has: an alias that one had would be the column's value.

    >>> free_name(["id", "#"])
    Identifier('##')
    """
    return sql.Identifier(next("#" * length for length in count(1) if "#" * length not in set(names)))


Ask = Callable[[sql.Composed, int], Position | None]  # the n-th row of a query as text, from 1, or None


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a table is exported: the columns, and the user's condition (trusted no further than one expression)."""

    columns: tuple[str, ...]
    where: str | None

    @property
    def column_list(self) -> sql.Composable:
        return sql.SQL(", ").join([sql.Identifier(name) for name in self.columns])

    def filtered(self, conditions: list[sql.Composable]) -> sql.Composable:
        # On lines of its own, so that a comment in it ends before the closing bracket.
        own = [sql.SQL("(\n{}\n)").format(sql.SQL(self.where))] if self.where else []
        return sql.SQL(" AND ").join([*conditions, *own] or [sql.SQL("true")])


@dataclass(frozen=True, slots=True)
class KeysetCutter:
    """Cuts by key: each chunk goes on after the last key of the one before, so none is searched for twice.

    Without a key it has only one span, over everything.

    Args:
        tie_breaker: what orders rows of equal key, where the key is not unique; they stay in one chunk.
    """

    table: sql.Composable
    key: Key
    selection: Selection
    tie_breaker: tuple[str, ...] = ()

    def next_upper(self, lower: Position | None, rows: int, ask: Ask) -> Position | None:
        """Returns the key of the last of the next ``rows`` rows; None where fewer are left."""
        names: list[sql.Composable] = [column.identifier for column in self.key]
        keys = sql.SQL(", ").join(names)
        return ask(self._union(keys, lower, None, keys, sql.SQL(" LIMIT {}").format(sql.Literal(rows))), rows)

    def query(self, span: Span) -> sql.Composed:
        """Returns the SELECT of the span's rows, in the key's order."""
        names: list[sql.Composable] = [column.identifier for column in self.key]
        order = sql.SQL(", ").join([*names, *map(sql.Identifier, self.tie_breaker)])
        return self._union(self.selection.column_list, span.lower, span.upper, order, sql.SQL(""))

    def _union(
        self,
        columns: sql.Composable,
        lower: Position | None,
        upper: Position | None,
        order: sql.Composable,
        limit: sql.Composable,
    ) -> sql.Composed:
        ordered = sql.SQL(" ORDER BY {}").format(order) if self.key else sql.SQL("")
        selects = [
            sql.SQL("SELECT {} FROM {} WHERE {}{}{}").format(
                columns, self.table, self.selection.filtered([condition]), ordered, limit
            )
            for condition in between(self.key, lower, upper)
        ]
        if len(selects) == 1:
            return selects[0]
        return sql.SQL(" UNION ALL ").join([sql.SQL("({})").format(select) for select in selects])


@dataclass(frozen=True, slots=True)
class Pages:
    """A relation with rows of its own: a table without its children, or a leaf of a partitioned one."""

    relation: sql.Composable
    pages: int


@dataclass(frozen=True, slots=True)
class CtidCutter:
    """Cuts by pages, for tables without a key. Sound in one snapshot only: an update moves a row to another page."""

    relations: tuple[Pages, ...]
    selection: Selection
    rows_per_page: float

    def next_upper(self, lower: Position | None, rows: int, ask: Ask) -> Position | None:  # noqa: ARG002
        """Returns where the chunk ends that begins at ``lower``; None after the last relation. Asks nothing."""
        relation, page = _place(lower)
        end = page + max(1, math.ceil(rows / self.rows_per_page))
        if end < self.relations[relation].pages:
            return (str(relation), str(end))
        return (str(relation + 1), "0") if relation + 1 < len(self.relations) else None

    def query(self, span: Span) -> sql.Composed:
        """Returns the SELECT of the rows in the span's pages."""
        (relation, first), end = _place(span.lower), span.upper
        conditions: list[sql.Composable] = [sql.SQL("ctid >= {}::tid").format(sql.Literal(f"({first},0)"))]
        if end is not None and int(end[0] or 0) == relation:
            conditions.append(sql.SQL("ctid < {}::tid").format(sql.Literal(f"({end[1]},0)")))
        return sql.SQL("SELECT {} FROM ONLY {} WHERE {}").format(
            self.selection.column_list, self.relations[relation].relation, self.selection.filtered(conditions)
        )


def _place(position: Position | None) -> tuple[int, int]:
    if position is None:
        return 0, 0
    relation, page = position
    return int(relation or 0), int(page or 0)


Cutter = KeysetCutter | CtidCutter
