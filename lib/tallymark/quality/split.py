"""The row split: every row is judged by all rules at once, in one Spark pass.

`judge` adds the column FAILED_RULES; `count` adds up in one aggregate what the rules found. Rules of uniqueness cost
a shuffle each, nothing else does. Pure: where the rows come from and go to is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from tallymark.errors import ConfigError
from tallymark.quality.conditions import UNIQUE, condition_for, require_fit
from tallymark.quality.rules import Rule, RuleFile
from tallymark.quality.verdict import RuleVerdict, TableVerdict

FAILED_RULES = "failed_rules"
"""array<string>: the names of the rules that the row fails, in the order of the file; empty for a good row."""
_NOT_IN_A_NAME = set(" ,;{}()\n\t=")
_COPIES, _APART = "__tallymark_copies", "__tallymark_apart"


def judge(frame: DataFrame, rules: RuleFile) -> DataFrame:
    """Returns the rows with the column FAILED_RULES at the end.

    Raises:
        ConfigError: a rule does not fit the schema; no data was read.
    """
    if FAILED_RULES in frame.columns:
        raise ConfigError(f"the table has a column {FAILED_RULES}, which the split adds: rename it")
    require_fit(rules, frame)
    unwritable = [name for name in frame.columns if _NOT_IN_A_NAME & set(name)]
    if unwritable:
        raise ConfigError(
            f"the table has a column {unwritable[0]!r}, which good and quarantined could not have: Delta takes such a "
            "name only with column mapping, which fewer readers know; judge a copy with other names"
        )
    judged, marks = frame, []
    for number, rule in enumerate(rules.row_rules):
        copies = None
        if rule.type in UNIQUE:
            judged, copies = _with_copies(judged, rule, number)
        condition = condition_for(rule, frame, copies)
        marks.append(F.when(condition.considered & ~condition.expected, F.lit(rule.name)))
    failed = F.array_compact(F.array(*marks)) if marks else F.array().cast("array<string>")
    return judged.select(*(F.col(_quoted(name)) for name in frame.columns), failed.alias(FAILED_RULES))


def good(judged: DataFrame) -> DataFrame:
    """Returns the rows that fail no rule, in the schema of the table."""
    return judged.where(F.size(FAILED_RULES) == 0).drop(FAILED_RULES)


def quarantined(judged: DataFrame) -> DataFrame:
    """Returns the rows that fail a rule, with FAILED_RULES."""
    return judged.where(F.size(FAILED_RULES) > 0)


def count(judged: DataFrame, rules: RuleFile, place: str, version: int) -> TableVerdict:
    """Returns what the rules found, by one aggregate over the judged rows."""
    frame = judged.drop(FAILED_RULES)
    sums = [F.count(F.lit(1)), F.count_if(F.size(FAILED_RULES) > 0)]
    for rule in rules.rules:
        sums += _sums(rule, frame)
    row = judged.agg(*(column.alias(f"n{number}") for number, column in enumerate(sums))).collect()[0]
    total, bad, *found = list(row)
    names = _names(frame.schema)
    verdicts = [
        _verdict(rule, names, considered, failed)
        for rule, considered, failed in zip(rules.rules, found[::2], found[1::2], strict=True)
    ]
    return TableVerdict(rules.table, place, version, total, bad, tuple(verdicts))


def _sums(rule: Rule, frame: DataFrame) -> list[Column]:
    if rule.judges == "table":
        condition = rule.kwargs.get("row_condition")
        return [F.count_if(F.expr(condition)) if condition else F.count(F.lit(1)), F.lit(0)]
    considered = condition_for(rule, frame).considered
    return [F.count_if(considered), F.count_if(F.array_contains(FAILED_RULES, rule.name))]


def _verdict(rule: Rule, columns: set[str], considered: int, failed: int) -> RuleVerdict:
    if rule.judges == "table":
        passed = _table_passes(rule.kwargs, columns, considered)
    elif rule.judges == "query":
        passed = failed == 0
    else:
        passed = considered == 0 or (considered - failed) / considered >= rule.mostly
    return RuleVerdict(rule.name, rule.type, considered, failed, rule.mostly, passed)


def _names(schema: T.StructType) -> set[str]:
    """Returns the columns as Great Expectations counts them: the fields of a struct too, as a.b."""
    names = set()
    for field in schema.fields:
        names.add(f"`{field.name}`" if "." in field.name else field.name)
        if isinstance(field.dataType, T.StructType):
            names |= {f"{field.name}.{name}" for name in _names(field.dataType)}
    return names


def _table_passes(kwargs: Mapping[str, Any], columns: set[str], rows: int) -> bool:
    if "column_set" in kwargs:
        wanted = set(kwargs["column_set"])
        return wanted == columns if kwargs.get("exact_match", True) else wanted <= columns
    least, most = kwargs.get("min_value"), kwargs.get("max_value")
    enough = least is None or rows > least or (rows == least and not kwargs.get("strict_min"))
    return enough and (most is None or rows < most or (rows == most and not kwargs.get("strict_max")))


def _with_copies(frame: DataFrame, rule: Rule, number: int) -> tuple[DataFrame, Column]:
    """Adds how many considered rows have the same values.

    A row that is not considered is kept apart from all others: millions of nulls must not meet in one task.
    """
    copies, apart = f"{_COPIES}{number}", f"{_APART}{number}"
    considered = condition_for(rule, frame).considered
    kept_apart = F.when(~considered, F.monotonically_increasing_id())
    same = Window.partitionBy(apart, *(F.col(name) for name in rule.columns))
    counted = frame.withColumn(apart, kept_apart).withColumn(copies, F.count(F.lit(1)).over(same))
    return counted, F.col(copies)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
