"""A rule file as values: which table it is about, which columns are private, what is expected.

Everything that can be wrong without the data is found here, all of it at once. Reading the file is not done here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tallymark.config.spelling import suggestion
from tallymark.errors import ConfigError
from tallymark.quality.expectations import EXPECTATIONS, Expectation

_KEYS = ("table", "columns", "expectations")
_RULE_KEYS = ("name", "type", "kwargs")


@dataclass(frozen=True)
class Rule:
    """One expectation under the name that people give it; ``kwargs`` are those of Great Expectations."""

    name: str
    type: str
    kwargs: Mapping[str, Any]

    @property
    def judges(self) -> str:
        return EXPECTATIONS[self.type].judges

    @property
    def mostly(self) -> float:
        """The share of the rows considered that must pass."""
        return float(self.kwargs.get("mostly", 1.0))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it names; a condition in SQL is not looked into."""
        arguments = EXPECTATIONS[self.type].arguments
        named = [self.kwargs[name] for name, argument in arguments.items() if argument.names]
        return tuple(column for value in named for column in ([value] if isinstance(value, str) else value))


@dataclass(frozen=True)
class RuleFile:
    """The rules of one table; ``place``: where they were read, for messages."""

    table: str
    place: str
    private: frozenset[str]
    rules: tuple[Rule, ...]

    @property
    def row_rules(self) -> tuple[Rule, ...]:
        """Those that a single row can fail."""
        return tuple(rule for rule in self.rules if rule.judges != "table")

    def may_show_values(self, rule: Rule) -> bool:
        """Tell whether values that fail the rule may stand in a report."""
        return rule.judges in {"column", "pair", "list"} and not self.private & set(rule.columns)


def read_rules(place: str, content: Mapping[str, Any]) -> RuleFile:
    """Returns the rules of a parsed YAML file.

    Raises:
        ConfigError: names the file and, for everything that is wrong, the rule and what was meant.
    """
    content = _plain(content)
    problems = [f"unknown key {key}.{suggestion(key, _KEYS)}" for key in content if key not in _KEYS]
    table, listed = content.get("table"), content.get("expectations")
    if not isinstance(table, str) or not table:
        problems.append("`table` is missing: name the table, as in `table: orders`")
    if not isinstance(listed, list) or not listed:
        problems.append("`expectations` is missing: list at least one")
        listed = []
    private = _private(content.get("columns"), problems)
    rules = [rule for number, item in enumerate(listed, 1) if (rule := _rule(number, item, problems))]
    names = [rule.name for rule in rules]
    problems += [f"rule {name}: the name is given twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if problems:
        raise ConfigError("\n".join(f"--rules {place}: {problem}" for problem in problems))
    return RuleFile(str(table), place, private, tuple(rules))


def _plain(value: Any) -> Any:
    """Returns the value with floats where our YAML reader makes decimals: Great Expectations counts in floats."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _private(columns: Any, problems: list[str]) -> frozenset[str]:
    columns = {} if columns is None else columns
    fits = isinstance(columns, dict) and all(
        isinstance(name, str)
        and isinstance(said, dict)
        and set(said) == {"private"}
        and isinstance(said["private"], bool)
        for name, said in columns.items()
    )
    if not fits:
        problems.append("`columns` says of a column whether it is private, as in `columns: {email: {private: true}}`")
        return frozenset()
    return frozenset(name for name, said in columns.items() if said["private"])


def _rule(number: int, item: Any, problems: list[str]) -> Rule | None:
    if not isinstance(item, dict):
        problems.append(f"expectation {number}: write name, type and kwargs")
        return None
    name, kind, kwargs = item.get("name"), item.get("type"), item.get("kwargs", {})
    label = f"rule {name}" if isinstance(name, str) and name else f"expectation {number}"
    found = [f"unknown key {key}.{suggestion(str(key), _RULE_KEYS)}" for key in item if key not in _RULE_KEYS]
    if not isinstance(name, str) or not name:
        found.append("`name` is missing: rows that fail are marked with it")
    expectation = EXPECTATIONS.get(kind) if isinstance(kind, str) else None
    if expectation is None:
        known = suggestion(str(kind), EXPECTATIONS) or f" Known are: {', '.join(EXPECTATIONS)}."
        found.append(f"unknown type {kind}.{known}")
    elif not isinstance(kwargs, dict):
        found.append("`kwargs` are the arguments, as in `kwargs: {column: price}`")
    else:
        found += _arguments(expectation, kwargs)
    problems += [f"{label}: {problem}" for problem in found]
    return None if found else Rule(str(name), str(kind), kwargs)


def _arguments(expectation: Expectation, kwargs: Mapping[str, Any]) -> list[str]:
    known = expectation.arguments
    found = []
    for name, value in kwargs.items():
        if name not in known:
            nearest = suggestion(str(name), known) or f" It takes {', '.join(known)}."
            found.append(f"unknown argument {name}.{nearest}")
        elif problem := known[name].check(value):
            found.append(f"{name}: {problem}")
    found += [f"{name} is missing" for name, argument in known.items() if argument.required and name not in kwargs]
    if expectation.one_of and not set(expectation.one_of) & set(kwargs):
        found.append(f"give {' or '.join(expectation.one_of)}")
    least, most = kwargs.get("min_value"), kwargs.get("max_value")
    if not found and least is not None and most is not None:
        if isinstance(least, int | float) != isinstance(most, int | float):
            found.append("min_value and max_value are of different kinds")
        elif least > most:
            found.append("min_value is greater than max_value")
    if ("row_condition" in kwargs) != ("condition_parser" in kwargs):
        found.append("row_condition and condition_parser: spark go together")
    return found
