"""The row split: which row fails which rule, to the null; and Great Expectations counts the same on random data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from tallymark.errors import AccountingError, ConfigError
from tallymark.quality.rules import RuleFile, read_rules
from tallymark.quality.split import FAILED_RULES, count, good, judge, quarantined
from tallymark.quality.suite import Judged, write_pages
from tallymark.quality.verdict import TableVerdict

NOW = datetime(2026, 3, 17, 14, tzinfo=timezone.utc)
SCHEMA = "n int, i bigint, j bigint, x double, d decimal(10,2), s string, u string, t date, b boolean"
SPARK_ROWS = {"condition_parser": "spark"}


def rules_of(*kinds: tuple[str, str, dict[str, Any]], private: tuple[str, ...] = ()) -> RuleFile:
    listed = [{"name": name, "type": kind, "kwargs": kwargs} for name, kind, kwargs in kinds]
    columns = {name: {"private": True} for name in private}
    return read_rules("r.yaml", {"table": "t", "columns": columns, "expectations": listed})


EVERY = rules_of(
    ("not_null", "expect_column_values_to_not_be_null", {"column": "i", "mostly": 0.5}),
    ("null", "expect_column_values_to_be_null", {"column": "s"}),
    ("null_where", "expect_column_values_to_be_null", {"column": "s", "row_condition": "i > 1", **SPARK_ROWS}),
    ("between", "expect_column_values_to_be_between", {"column": "i", "min_value": 0, "max_value": 2}),
    ("strict", "expect_column_values_to_be_between",
     {"column": "x", "min_value": 0, "max_value": 2, "strict_max": True}),
    ("from", "expect_column_values_to_be_between", {"column": "d", "min_value": 0.1, "strict_min": True}),
    ("days", "expect_column_values_to_be_between", {"column": "t", "max_value": date(2026, 1, 2), "mostly": 0.9}),
    ("in_set", "expect_column_values_to_be_in_set", {"column": "s", "value_set": ["a", "b"]}),
    ("in_numbers", "expect_column_values_to_be_in_set", {"column": "x", "value_set": [0.5, 1]}),
    ("not_in_set", "expect_column_values_to_not_be_in_set", {"column": "i", "value_set": [1]}),
    ("truth", "expect_column_values_to_be_in_set", {"column": "b", "value_set": [True]}),
    ("match", "expect_column_values_to_match_regex", {"column": "s", "regex": "^[ab]$", "mostly": 0.4}),
    ("no_match", "expect_column_values_to_not_match_regex", {"column": "s", "regex": "é"}),
    ("length", "expect_column_value_lengths_to_be_between", {"column": "s", "min_value": 1, "max_value": 1}),
    ("unique", "expect_column_values_to_be_unique", {"column": "x"}),
    ("unique_where", "expect_column_values_to_be_unique", {"column": "s", "row_condition": "i < 2", **SPARK_ROWS}),
    ("compound", "expect_compound_columns_to_be_unique", {"column_list": ["i", "s"]}),
    ("compound_any", "expect_compound_columns_to_be_unique",
     {"column_list": ["i", "s"], "ignore_row_if": "any_value_is_missing"}),
    ("compound_never", "expect_compound_columns_to_be_unique", {"column_list": ["i", "s"], "ignore_row_if": "never"}),
    ("greater", "expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "i", "column_B": "j"}),
    ("at_least", "expect_column_pair_values_a_to_be_greater_than_b",
     {"column_A": "x", "column_B": "i", "or_equal": True, "ignore_row_if": "neither"}),
    ("equal", "expect_column_pair_values_to_be_equal", {"column_A": "s", "column_B": "u", "mostly": 0.3}),
    ("equal_both", "expect_column_pair_values_to_be_equal",
     {"column_A": "s", "column_B": "u", "ignore_row_if": "either_value_is_missing"}),
    ("sum", "expect_multicolumn_sum_to_equal", {"column_list": ["i", "j"], "sum_total": 3}),
    ("sum_any", "expect_multicolumn_sum_to_equal",
     {"column_list": ["i", "x", "d"], "sum_total": 2.5, "ignore_row_if": "any_value_is_missing"}),
    ("query", "unexpected_rows_expectation", {"unexpected_rows_query": "SELECT * FROM {batch} WHERE i + j <> x"}),
    ("rows", "expect_table_row_count_to_be_between", {"min_value": 1, "max_value": 5, "strict_max": True}),
    ("rows_where", "expect_table_row_count_to_be_between", {"max_value": 2, "row_condition": "i = 1", **SPARK_ROWS}),
    ("columns", "expect_table_columns_to_match_set", {"column_set": ["i", "j"], "exact_match": False}),
    ("columns_exact", "expect_table_columns_to_match_set", {"column_set": ["i", "j"]}),
    private=("i", "j", "x", "d", "s", "u", "t", "b"),  # samples would cost a Spark job each
)  # fmt: skip


def judged(frame: DataFrame, rules: RuleFile) -> Judged:
    return Judged(rules, frame, count(judge(frame, rules), rules, "place", 0))


def failing(frame: DataFrame, rules: RuleFile) -> dict[int, list[str]]:
    return {row.n: row[FAILED_RULES] for row in judge(frame, rules).collect()}


def frame_of(spark: SparkSession, *rows: tuple[Any, ...]) -> DataFrame:
    return spark.createDataFrame(list(rows), SCHEMA)


def row(n: int, **values: Any) -> tuple[Any, ...]:
    return (n, *(values.get(name) for name in ("i", "j", "x", "d", "s", "u", "t", "b")))


def test_a_row_fails_what_is_said_of_its_values_and_nulls_are_not_unexpected(spark: SparkSession) -> None:
    """By hand, rule by rule: the meaning is that of Great Expectations."""
    frame = frame_of(
        spark,
        row(1, i=1, j=2, x=3.0, d=Decimal("0.10"), s="a", u="a", t=date(2026, 1, 2), b=True),
        row(2),
        row(3, i=5, j=5, x=math.nan, s="é", u=None, b=False),
        row(4, i=1, j=None, x=math.nan, s="a", u="b", t=date(2026, 1, 3)),
    )

    assert failing(frame, EVERY) == {
        1: ["null", "strict", "from", "in_numbers", "not_in_set", "unique_where", "compound", "compound_any",
            "compound_never", "greater", "sum_any"],
        2: ["not_null"],
        3: ["null", "null_where", "between", "strict", "in_set", "in_numbers", "truth", "match", "no_match", "unique",
            "greater", "equal", "sum", "query"],
        4: ["null", "strict", "days", "in_numbers", "not_in_set", "unique", "unique_where", "compound", "compound_any",
            "compound_never", "equal", "equal_both", "sum"],
    }  # fmt: skip


VALUES = st.tuples(
    st.none() | st.integers(-1, 3),
    st.none() | st.integers(-1, 3) | st.just(2**63 - 1),
    st.none() | st.sampled_from([0.5, 1.0, 2.0, -0.0, 0.0, math.nan, math.inf]),
    st.none() | st.sampled_from([Decimal("0.10"), Decimal("0.11"), Decimal("-1.00"), Decimal("2.50")]),
    st.none() | st.sampled_from(["a", "b", "", "é", "ab"]),
    st.none() | st.sampled_from(["a", "b"]),
    st.none() | st.sampled_from([date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)]),
    st.none() | st.booleans(),
)


@pytest.fixture(scope="module")
def lenient(spark: SparkSession) -> Iterator[SparkSession]:
    """As `tallymark.runs.quality` runs it; and without compiling each of the many small queries, which takes longer."""
    conf = {
        "spark.sql.ansi.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    }
    former = {name: spark.conf.get(name, None) for name in conf}
    for name, value in conf.items():
        spark.conf.set(name, value)
    yield spark
    for name, text in former.items():
        spark.conf.unset(name) if text is None else spark.conf.set(name, text)


@settings(
    max_examples=1,
    phases=[Phase.generate],  # a run takes seconds: a failing example is small enough as it is
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=st.lists(VALUES, min_size=40, max_size=80))
def test_great_expectations_counts_the_same_on_random_rows(
    lenient: SparkSession, tmp_path: Path, rows: list[tuple[Any, ...]]
) -> None:
    """The law of the room: `write_pages` compares count and verdict of each rule and refuses to go on otherwise."""
    frame = frame_of(lenient, *((n, *values) for n, values in enumerate(rows)))

    write_pages([judged(frame, EVERY)], "run", NOW, tmp_path / "docs")


def test_great_expectations_counts_the_same_on_no_rows(lenient: SparkSession, tmp_path: Path) -> None:
    few = {"not_null", "between", "unique", "equal", "sum", "query", "rows", "columns_exact"}
    rules = replace(EVERY, rules=tuple(rule for rule in EVERY.rules if rule.name in few))
    one = judged(frame_of(lenient), rules)
    write_pages([one], "run", NOW, tmp_path / "docs")

    assert [rule.rule for rule in one.verdict.rules if not rule.passed] == ["rows", "columns_exact"]


def test_a_count_that_differs_is_a_defect_and_nothing_is_reported(lenient: SparkSession, tmp_path: Path) -> None:
    rules = rules_of(("r", "expect_column_values_to_not_be_null", {"column": "i"}))
    one = judged(frame_of(lenient, row(1)), rules)
    wrong = replace(one.verdict, rules=(replace(one.verdict.rules[0], failed=0),))

    with pytest.raises(AccountingError, match=r"fails for 0 rows .* by the split and for 1 "):
        write_pages([replace(one, verdict=wrong)], "run", NOW, tmp_path / "docs")
    assert not (tmp_path / "docs").exists()


def test_every_row_that_fails_is_quarantined_with_its_rules_and_no_other(spark: SparkSession) -> None:
    """Great Expectations keeps a list of 200 at most."""
    rules = rules_of(
        ("small", "expect_column_values_to_be_between", {"column": "i", "max_value": 699}),
        ("even", "unexpected_rows_expectation", {"unexpected_rows_query": "SELECT * FROM {batch} WHERE i % 2 = 1"}),
    )
    frame = spark.range(0, 1_000, 1, 3).selectExpr("id AS i")
    rows = judge(frame, rules)
    verdict = count(rows, rules, "place", 7)

    assert (verdict.rows, verdict.good, verdict.quarantined) == (1_000, 350, 650)
    assert [(rule.considered, rule.failed, rule.passed) for rule in verdict.rules] == [
        (1_000, 300, False),
        (1_000, 500, False),
    ]
    assert sorted(row.i for row in good(rows).collect()) == list(range(0, 700, 2))
    assert good(rows).columns == ["i"]
    assert {(row.i, *row[FAILED_RULES]) for row in quarantined(rows).collect()} == {
        *((i, "even") for i in range(1, 700, 2)),
        *((i, "small") for i in range(700, 1_000, 2)),
        *((i, "small", "even") for i in range(701, 1_000, 2)),
    }


@pytest.mark.parametrize(
    ("kind", "kwargs", "problem"),
    [
        ("expect_column_values_to_not_be_null", {"column": "ii"}, "there is no column ii. Did you mean i?"),
        ("expect_column_values_to_be_between", {"column": "s", "min_value": 1}, "s is of type text, not number"),
        ("expect_column_values_to_match_regex", {"column": "i", "regex": "1"}, "i is of type number, not text"),
        ("expect_column_values_to_match_regex", {"column": "s", "regex": "("}, "'(' is no regular expression of Java"),
        ("expect_column_pair_values_to_be_equal", {"column_A": "i", "column_B": "s"}, "of different types"),
        ("unexpected_rows_expectation", {"unexpected_rows_query": "SELECT * FROM {batch} WHERE ii > 1"}, "ii"),
        ("expect_table_row_count_to_be_between", {"max_value": 1, "row_condition": "ii > 1", **SPARK_ROWS}, "ii"),
        (
            "unexpected_rows_expectation",
            {"unexpected_rows_query": "SELECT * FROM {batch} WHERE i > 1 LIMIT 3"},
            "LIMIT",
        ),
    ],
)
def test_a_rule_that_does_not_fit_the_table_is_refused_before_data_is_read(
    spark: SparkSession, kind: str, kwargs: dict[str, Any], problem: str
) -> None:
    broken = spark.createDataFrame([row(1)], SCHEMA).selectExpr("assert_true(false, 'data was read')", "*")

    with pytest.raises(ConfigError, match=r"^--rules r\.yaml: rule r: ") as caught:
        judge(broken, rules_of(("r", kind, kwargs)))
    assert problem in str(caught.value)


def test_a_column_that_the_split_could_not_write_is_named_before_data_is_read(spark: SparkSession) -> None:
    not_null = rules_of(("r", "expect_column_values_to_not_be_null", {"column": "i"}))
    for name in ("unit price", FAILED_RULES):
        with pytest.raises(ConfigError, match=f"the table has a column '?{name}"):
            judge(spark.range(1).selectExpr("id AS i", f"1 AS `{name}`"), not_null)


def test_a_table_verdict_says_how_many_rows_fail_what() -> None:
    passed = TableVerdict("t", "p", 3, 10, 0, ())

    assert passed.lines() == ["passed: t version 3: rows 10 = good 10 + quarantined 0"]
