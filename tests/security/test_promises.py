"""SECURITY.md promises only what a test shows: each row names tests, and each of them exists."""

from __future__ import annotations

import ast
import re

import pytest

from conftest import ROOT

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [
    (cells[0], re.findall(r"`(tests/[^`]+)`", cells[-1]))
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| promise", "| ---"))
    for cells in [re.split(r"(?<!\\)\|", line)[1:-1]]
]


def names_in(path: str) -> set[str]:
    """Returns the names of the tests of a file, those of classes as Class::test."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return {name for name in found if name.rpartition("::")[2].startswith("test_")}


def test_there_are_promises_of_each_kind() -> None:
    assert len(ROWS) > 30
    assert set(re.findall(r"^### (.*)$", PAGE, re.MULTILINE)) == {
        "Secrets", "Transport", "Names from outside", "Content from outside", "Rights",
    }  # fmt: skip


@pytest.mark.parametrize(("promise", "shown_by"), ROWS, ids=[promise.strip()[:60] for promise, _ in ROWS])
def test_a_promise_names_tests_that_exist(promise: str, shown_by: list[str]) -> None:
    assert shown_by, promise
    for node in shown_by:
        path, _, name = node.partition("::")
        assert name in names_in(path), f"{node}, which is to show: {promise.strip()}"
