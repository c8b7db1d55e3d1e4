"""The expectations that a rule file may name, and their arguments: a choice out of those of Great Expectations 1.x.

Names, arguments and meaning are theirs; a test holds this list against their classes. It stands here once more so that
a wrong rule is refused before data is read and without their import, which takes seconds. `tallymark.quality.rules`
asks it, `tallymark.quality.conditions` gives each its meaning in Spark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

Check = Callable[[object], str | None]
"""Says what is wrong with a value, or None."""

_WHERE = re.compile(
    r"\s*select\s+\*\s+from\s+\{batch\}\s+where\s+(?P<condition>.+?)\s*;?\s*", re.IGNORECASE | re.DOTALL
)
_EXACT = 2**53
"""Bounds become doubles in Great Expectations, which hold whole numbers up to here."""


@dataclass(frozen=True)
class Argument:
    """One argument; ``names`` says that its value is a column, or a list of them."""

    check: Check
    required: bool = False
    names: bool = False


@dataclass(frozen=True)
class Expectation:
    """``judges``: column, pair, list or query, whose rows can fail; or table, which fails as a whole."""

    judges: str
    arguments: Mapping[str, Argument]
    one_of: tuple[str, ...] = ()


def condition_of(query: str) -> str:
    """Returns what stands behind WHERE in an ``unexpected_rows_query``.

    >>> condition_of("SELECT * FROM {batch} WHERE good + bad <> total")
    'good + bad <> total'
    """
    found = _WHERE.fullmatch(query)
    assert found, "checked when the rules were read"
    return found["condition"]


def _text(value: object) -> str | None:
    return None if isinstance(value, str) and value else "it must be a text"


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "it must be true or false"


def _number(value: object) -> str | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "it must be a number"
    return None if abs(value) <= _EXACT else "beyond 2**53 a number is not exact: write unexpected_rows_expectation"


def _whole(value: object) -> str | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if fits else "it must be a whole number"


def _share(value: object) -> str | None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return None if fits else "it must be a number from 0 to 1"


def _bound(value: object) -> str | None:
    if isinstance(value, datetime):  # they would cut the time off
        return "it must be a number or a date; for a time of day write unexpected_rows_expectation"
    return None if isinstance(value, date) else _number(value)


def _columns(value: object) -> str | None:
    fits = isinstance(value, list) and len(value) > 1 and all(isinstance(item, str) and item for item in value)
    return None if fits else "it must be a list of at least two columns"


def _column_set(value: object) -> str | None:
    fits = isinstance(value, list) and value and all(isinstance(item, str) and item for item in value)
    return None if fits else "it must be a list of columns"


def _values(value: object) -> str | None:
    if isinstance(value, list) and value:
        for kind in (_text, _flag, _number):
            if all(kind(item) is None for item in value):
                return None
    return "it must be a list of texts, of numbers or of truth values"


def _query(value: object) -> str | None:
    found = _WHERE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return "it must read SELECT * FROM {batch} WHERE condition, so that rows can be split by the condition"
    return "the condition must not hold braces" if re.search("[{}]", found["condition"]) else None


def _one_of(*choices: str) -> Check:
    return lambda value: None if value in choices else f"it must be one of {', '.join(choices)}"


_COLUMN = {"column": Argument(_text, required=True, names=True)}
_PAIR = {
    "column_A": Argument(_text, required=True, names=True),
    "column_B": Argument(_text, required=True, names=True),
    "ignore_row_if": Argument(_one_of("both_values_are_missing", "either_value_is_missing", "neither")),
}
_LIST = {
    "column_list": Argument(_columns, required=True, names=True),
    "ignore_row_if": Argument(_one_of("all_values_are_missing", "any_value_is_missing", "never")),
}
_ROWS = {"row_condition": Argument(_text), "condition_parser": Argument(_one_of("spark"))}
_SHARE = {"mostly": Argument(_share)}
_STRICT = {"strict_min": Argument(_flag), "strict_max": Argument(_flag)}
_BOUNDS = {"min_value": Argument(_bound), "max_value": Argument(_bound), **_STRICT}
_LENGTHS = {"min_value": Argument(_whole), "max_value": Argument(_whole), **_STRICT}
_REGEX = {"regex": Argument(_text, required=True)}
_SET = {"value_set": Argument(_values, required=True)}
_ANY_BOUND = ("min_value", "max_value")


def _of_column(more: Mapping[str, Argument], one_of: tuple[str, ...] = ()) -> Expectation:
    return Expectation("column", {**_COLUMN, **more, **_SHARE, **_ROWS}, one_of)


EXPECTATIONS: Mapping[str, Expectation] = {
    "expect_column_values_to_not_be_null": _of_column({}),
    "expect_column_values_to_be_null": _of_column({}),
    "expect_column_values_to_be_between": _of_column(_BOUNDS, _ANY_BOUND),
    "expect_column_values_to_be_in_set": _of_column(_SET),
    "expect_column_values_to_not_be_in_set": _of_column(_SET),
    "expect_column_values_to_match_regex": _of_column(_REGEX),
    "expect_column_values_to_not_match_regex": _of_column(_REGEX),
    "expect_column_value_lengths_to_be_between": _of_column(_LENGTHS, _ANY_BOUND),
    "expect_column_values_to_be_unique": _of_column({}),
    "expect_column_pair_values_a_to_be_greater_than_b": Expectation(
        "pair", {**_PAIR, "or_equal": Argument(_flag), **_SHARE, **_ROWS}
    ),
    "expect_column_pair_values_to_be_equal": Expectation("pair", {**_PAIR, **_SHARE, **_ROWS}),
    "expect_multicolumn_sum_to_equal": Expectation(
        "list", {**_LIST, "sum_total": Argument(_number, required=True), **_SHARE, **_ROWS}
    ),
    "expect_compound_columns_to_be_unique": Expectation("list", {**_LIST, **_SHARE, **_ROWS}),
    "unexpected_rows_expectation": Expectation("query", {"unexpected_rows_query": Argument(_query, required=True)}),
    "expect_table_row_count_to_be_between": Expectation("table", {**_LENGTHS, **_ROWS}, _ANY_BOUND),
    "expect_table_columns_to_match_set": Expectation(
        "table", {"column_set": Argument(_column_set, required=True), "exact_match": Argument(_flag)}
    ),
}
