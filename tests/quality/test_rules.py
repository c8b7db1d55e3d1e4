"""Rule files: what is wrong is said at once, with the file, the rule and what was meant, before any data is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tallymark.config.loading import read_local_text, read_yaml
from tallymark.errors import ConfigError
from tallymark.quality.expectations import EXPECTATIONS
from tallymark.quality.rules import Rule, read_rules

SHIPPED = sorted((Path(__file__).parents[2] / "conf/rules").glob("*.yaml"))


def rule(kind: str = "expect_column_values_to_not_be_null", **kwargs: Any) -> dict[str, Any]:
    return {"name": "r", "type": kind, "kwargs": kwargs or {"column": "a"}}


def message(*rules: dict[str, Any], **more: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        read_rules("x.yaml", {"table": "t", "expectations": list(rules), **more})
    return str(caught.value)


def test_a_rule_file_becomes_rules() -> None:
    content = {"table": "t", "columns": {"b": {"private": True}, "c": {"private": False}}, "expectations": [rule()]}
    rules = read_rules("x.yaml", content)

    assert (rules.table, rules.place, sorted(rules.private)) == ("t", "x.yaml", ["b"])
    assert rules.rules == (Rule("r", "expect_column_values_to_not_be_null", {"column": "a"}),)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_file_can_be_read_and_is_about_the_table_of_its_name(path: Path) -> None:
    rules = read_rules(str(path), read_yaml("--rules", str(path), read_local_text))

    assert rules.table == path.stem.removeprefix("example_")


def test_an_unknown_type_is_refused_with_the_nearest_one() -> None:
    assert message(rule("expect_column_values_to_be_nul", column="a")) == (
        "--rules x.yaml: rule r: unknown type expect_column_values_to_be_nul. "
        "Did you mean expect_column_values_to_be_null?"
    )


def test_an_unknown_argument_is_refused_with_the_nearest_one() -> None:
    assert message(rule(colum="a")) == (
        "--rules x.yaml: rule r: unknown argument colum. Did you mean column?\n"
        "--rules x.yaml: rule r: column is missing"
    )


@pytest.mark.parametrize(
    ("kind", "kwargs", "problem"),
    [
        ("expect_column_values_to_be_between", {"column": "a"}, "give min_value or max_value"),
        ("expect_column_values_to_be_between", {"column": "a", "min_value": "5"}, "min_value: it must be a number"),
        ("expect_column_values_to_be_between", {"column": "a", "min_value": 2**53 + 1}, "not exact"),
        ("expect_column_values_to_be_between", {"column": "a", "min_value": 2, "max_value": 1}, "greater than"),
        ("expect_column_values_to_be_in_set", {"column": "a", "value_set": [1, "a"]}, "value_set: it must be a list"),
        ("expect_column_values_to_be_in_set", {"column": "a", "value_set": [None]}, "value_set: it must be a list"),
        (
            "expect_column_values_to_not_be_null",
            {"column": "a", "mostly": 90},
            "mostly: it must be a number from 0 to 1",
        ),
        ("expect_column_values_to_not_be_null", {"column": "a", "row_condition": "b > 1"}, "go together"),
        ("expect_compound_columns_to_be_unique", {"column_list": ["a"]}, "at least two columns"),
        ("unexpected_rows_expectation", {"unexpected_rows_query": "SELECT a FROM {batch}"}, "it must read SELECT *"),
        ("unexpected_rows_expectation", {"unexpected_rows_query": "SELECT * FROM {batch} WHERE a = '{'"}, "braces"),
    ],
)
def test_a_wrong_argument_is_named(kind: str, kwargs: dict[str, Any], problem: str) -> None:
    said = message(rule(kind, **kwargs))

    assert said.startswith("--rules x.yaml: rule r: ")
    assert problem in said


def test_everything_that_is_wrong_is_said_at_once() -> None:
    said = message(rule(), rule(), {"type": "x"}, tabel="t", columns={"a": {"secret": True}})

    assert [line.removeprefix("--rules x.yaml: ").partition(".")[0] for line in said.splitlines()] == [
        "unknown key tabel",
        "`columns` says of a column whether it is private, as in `columns: {email: {private: true}}`",
        "expectation 3: `name` is missing: rows that fail are marked with it",
        "expectation 3: unknown type x",
        "rule r: the name is given twice",
    ]


def test_values_may_be_shown_only_where_no_private_column_is_touched() -> None:
    pair = rule("expect_column_pair_values_to_be_equal", column_A="a", column_B="b")
    query = rule("unexpected_rows_expectation", unexpected_rows_query="SELECT * FROM {batch} WHERE a > 1")
    rules = read_rules(
        "x", {"table": "t", "columns": {"b": {"private": True}}, "expectations": [
            rule(), pair | {"name": "pair"}, query | {"name": "query"}, rule(column="b") | {"name": "b"},
        ]},
    )  # fmt: skip

    assert [each.name for each in rules.rules if rules.may_show_values(each)] == ["r"]


def test_names_and_arguments_are_those_of_great_expectations() -> None:
    """Two lists that must agree: ours is a choice of theirs."""
    from great_expectations.expectations.registry import get_expectation_impl

    for kind, expectation in EXPECTATIONS.items():
        fields = get_expectation_impl(kind).__fields__
        required = {name for name, argument in expectation.arguments.items() if argument.required}

        assert set(expectation.arguments) <= set(fields), kind
        assert {name for name, field in fields.items() if field.required} <= required, kind
