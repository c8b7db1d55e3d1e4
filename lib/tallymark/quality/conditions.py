"""What each expectation means for one row, as Spark columns: is it considered, and does it fail?

The meaning is that of Great Expectations on Spark, to the null: nulls are never unexpected in a column, `ignore_row_if`
and `row_condition` take rows out, and a condition that comes to null does not fail. Only the split asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from tallymark.config.spelling import suggestion
from tallymark.errors import ConfigError
from tallymark.quality.expectations import condition_of
from tallymark.quality.rules import Rule, RuleFile

UNIQUE = ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique")
"""They look at other rows too: `tallymark.quality.split` counts those by a window."""

_ABOUT_NULLS = ("expect_column_values_to_not_be_null", "expect_column_values_to_be_null")
_ALL_MISSING = {"both_values_are_missing", "all_values_are_missing"}
_ANY_MISSING = {"either_value_is_missing", "any_value_is_missing"}
_INTEGRAL = (T.ByteType, T.ShortType, T.IntegerType, T.LongType)
Kwargs = Mapping[str, Any]


@dataclass(frozen=True)
class Condition:
    """``considered``: the row counts for the rule; ``expected``: it passes, or null where that cannot be said."""

    considered: Column
    expected: Column


def condition_for(rule: Rule, frame: DataFrame, copies: Column | None = None) -> Condition:
    """Returns the condition of a rule that judges rows.

    Args:
        copies: for a rule of UNIQUE, how many considered rows have the same values.
    """
    kwargs = rule.kwargs
    if rule.judges == "query":
        return Condition(F.lit(True), ~F.expr(condition_of(kwargs["unexpected_rows_query"])))
    columns = [F.col(name) for name in rule.columns]
    considered = _considered(rule, columns)
    if rule.type in UNIQUE:
        return Condition(considered, F.lit(True) if copies is None else copies <= 1)
    if rule.judges == "list":
        return Condition(considered, _sum(rule.columns, frame) == F.lit(float(kwargs["sum_total"])))
    return Condition(considered, _EXPECTED[rule.type](*columns, kwargs))


def require_fit(rules: RuleFile, frame: DataFrame) -> None:
    """Holds the rules against the schema; no row of the table is read.

    Raises:
        ConfigError: a rule names a column that is missing or of the wrong type, or SQL that Spark does not understand.
    """
    problems = [problem for rule in rules.rules if (problem := _misfit(rule, frame))]
    problems += [
        f"columns: there is no column {name}.{suggestion(name, frame.columns)}"
        for name in sorted(rules.private - set(frame.columns))
    ]
    if problems:
        raise ConfigError("\n".join(f"--rules {rules.place}: {problem}" for problem in problems))


def _misfit(rule: Rule, frame: DataFrame) -> str | None:
    for name in rule.columns:
        if name not in frame.columns:
            nearest = suggestion(name, frame.columns) or f" The table has {', '.join(frame.columns)}."
            return f"rule {rule.name}: there is no column {name}.{nearest}"
        if "." in name or "`" in name:
            return (
                f"rule {rule.name}: column {name}: write unexpected_rows_expectation for a name with a dot or backtick"
            )
    kinds = {name: _kind(frame.schema[name].dataType) for name in rule.columns}
    if problem := _wrong_kind(rule, kinds):
        return f"rule {rule.name}: {problem}"
    try:
        frame.select(*_asked(rule, frame))
    except (AnalysisException, ParseException) as error:
        return f"rule {rule.name}: Spark does not understand it: {str(error).strip().partition(chr(10))[0]}"
    if "regex" in rule.kwargs and not _is_pattern(rule.kwargs["regex"], frame.sparkSession):
        return f"rule {rule.name}: regex: {rule.kwargs['regex']!r} is no regular expression of Java: correct it"
    return None


def _is_pattern(regex: str, spark: SparkSession) -> bool:
    """Asks Spark, on a row of its own: the analysis takes any text, and the first record would end the run."""
    try:
        spark.range(1).select(F.lit("").rlike(regex)).collect()
    except (PySparkException, Py4JJavaError):
        return False
    return True


def _asked(rule: Rule, frame: DataFrame) -> list[Column]:
    if rule.judges == "table":
        return [F.expr(rule.kwargs["row_condition"])] if "row_condition" in rule.kwargs else []
    condition = condition_for(rule, frame)
    return [condition.considered, condition.expected]


def _wrong_kind(rule: Rule, kinds: Mapping[str, str]) -> str | None:
    """A comparison of unlike types would end the run at the first value that cannot be cast, and quote it."""
    if rule.type in UNIQUE:
        wrong = [f"{name} holds a map, which cannot be compared" for name, kind in kinds.items() if kind == "map"]
        return wrong[0] if wrong else None
    if rule.judges == "pair":
        return None if len(set(kinds.values())) == 1 else "its columns are of different types"
    wanted = _wanted(rule)
    wrong = [f"{name} is of type {kind}, not {wanted}" for name, kind in kinds.items() if wanted not in {None, kind}]
    return wrong[0] if wrong else None


def _wanted(rule: Rule) -> str | None:
    kwargs = rule.kwargs
    if rule.type == "expect_column_values_to_be_between":
        bound = kwargs["min_value"] if kwargs.get("min_value") is not None else kwargs["max_value"]
        return "number" if isinstance(bound, int | float) else "time"
    if "value_set" in kwargs:
        first = kwargs["value_set"][0]
        return "truth" if isinstance(first, bool) else "text" if isinstance(first, str) else "number"
    if rule.judges == "list":
        return "number"
    return "text" if "regex" in rule.type or "lengths" in rule.type else None


def _kind(kind: T.DataType) -> str:
    known: tuple[tuple[str, tuple[type[T.DataType], ...]], ...] = (
        ("number", (T.NumericType,)),
        ("text", (T.StringType, T.VarcharType, T.CharType)),
        ("truth", (T.BooleanType,)),
        ("time", (T.DateType, T.TimestampType, T.TimestampNTZType)),
        ("map", (T.MapType,)),
    )
    return next((name for name, types in known if isinstance(kind, types)), kind.simpleString())


def _considered(rule: Rule, columns: list[Column]) -> Column:
    taken = F.lit(True)
    if "row_condition" in rule.kwargs:
        taken = F.coalesce(F.expr(rule.kwargs["row_condition"]), F.lit(False))
    if rule.type in _ABOUT_NULLS:
        return taken
    if rule.judges == "column":
        return taken & columns[0].isNotNull()
    ignored = rule.kwargs.get("ignore_row_if", "all_values_are_missing")
    nulls = [column.isNull() for column in columns]
    if ignored in _ALL_MISSING:
        return taken & ~reduce(and_, nulls)
    return taken & ~reduce(or_, nulls) if ignored in _ANY_MISSING else taken


def _sum(names: tuple[str, ...], frame: DataFrame) -> Column:
    """Returns the sum with nulls as 0; whole numbers as decimals, which do not overflow."""
    integral = {name for name in names if isinstance(frame.schema[name].dataType, _INTEGRAL)}
    values = {name: F.coalesce(F.col(name), F.lit(0)) for name in names}
    return reduce(
        lambda left, right: left + right,
        (value.cast("decimal(38,0)") if name in integral else value for name, value in values.items()),
    )


def _between(column: Column, kwargs: Kwargs) -> Column:
    least, most = (_bound(kwargs.get(name)) for name in ("min_value", "max_value"))
    parts = []
    if least is not None:
        parts.append(column > least if kwargs.get("strict_min") else column >= least)
    if most is not None:
        parts.append(column < most if kwargs.get("strict_max") else column <= most)
    return reduce(and_, parts)


def _bound(value: Any) -> Column | None:
    """Great Expectations makes a float of every number."""
    if value is None:
        return None
    return F.lit(float(value)) if isinstance(value, int | float) else F.lit(value)


def _greater(left: Column, right: Column, kwargs: Kwargs) -> Column:
    return (left >= right) | left.eqNullSafe(right) if kwargs.get("or_equal") else left > right


_EXPECTED: Mapping[str, Callable[..., Column]] = {
    "expect_column_values_to_not_be_null": lambda column, _: column.isNotNull(),
    "expect_column_values_to_be_null": lambda column, _: column.isNull(),
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": lambda column, kwargs: column.isin(kwargs["value_set"]),
    "expect_column_values_to_not_be_in_set": lambda column, kwargs: ~column.isin(kwargs["value_set"]),
    "expect_column_values_to_match_regex": lambda column, kwargs: column.rlike(kwargs["regex"]),
    "expect_column_values_to_not_match_regex": lambda column, kwargs: ~column.rlike(kwargs["regex"]),
    "expect_column_value_lengths_to_be_between": lambda column, kwargs: _between(F.length(column), kwargs),
    "expect_column_pair_values_a_to_be_greater_than_b": _greater,
    "expect_column_pair_values_to_be_equal": lambda left, right, _: left.eqNullSafe(right),
}
