"""The README says what is true: what it names exists, its tables agree with the code, its numbers add up."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from tallymark import errors
from tallymark.command_line import as_text
from tallymark.config.loading import option
from tallymark.config.reconcile import ReconcileConfig
from tallymark.reconcile.result import Totals, Verdict
from tallymark.reconcile.tables import FILES, MISMATCHES, RUNS
from tallymark.report import repair
from tallymark.runs.reconcile.run import ReconcileResult

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCED = dict(re.findall(r"^```(\w+)\n(.*?)^```$", README[README.index("## Run it") :], re.DOTALL | re.MULTILINE))
TABLE_ROWS = [[cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\|.*\|$", README, re.MULTILINE)]

# Options of the job that are no keys of its YAML, and options of others that commands in the README pass on.
BESIDE = {"--help", "--conf", "--interactive", "--no-ledger"}
FOREIGN = {"--master", "--deploy-mode", "--packages", "--files-from-raw"}


def test_it_has_at_most_150_lines() -> None:
    """More belongs into docs/."""
    assert len(README.splitlines()) <= 150


def test_every_make_target_that_it_names_exists() -> None:
    named = set(re.findall(r"(?:^|`)make (\w+)", README, re.MULTILINE))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    assert {"demo", "test"} <= named <= targets


def test_every_option_that_it_names_exists() -> None:
    """An option that is renamed or taken away would otherwise stay here for ever."""
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", README))

    assert named >= {"--source", "--backup", "--out"}
    assert named - BESIDE - FOREIGN <= set(map(option, ReconcileConfig.model_fields))


def test_the_table_of_options_shows_the_defaults() -> None:
    shown = {row[0].strip("`"): row[1].strip("`") for row in TABLE_ROWS if row[0].startswith("`--")}
    defaults = {option(name): field.get_default() for name, field in ReconcileConfig.model_fields.items()}

    assert shown
    assert shown == {name: "" if defaults[name] is None else as_text(defaults[name]) for name in shown}


def test_every_file_that_it_names_exists() -> None:
    """Only what is named as ours: not places of users (URIs), results below OUT, or files of the sample data."""
    text = re.sub(r"\w+://\S+", "", README)
    words = set(re.findall(r"(?<![\w./-])(?:\./)?[\w-]+(?:[./][\w-]+)*", text))
    ours = {path.name for path in ROOT.iterdir() if path.name not in {"build", "dist"}}
    named = {
        word
        for word in words
        if word.endswith((".md", ".py", ".sh", ".yaml")) or ("/" in word and word.split("/")[0] in ours)
    }

    assert {"./spark-submit.sh", "conf/reconcile.yaml", "docs/architecture.md"} <= named
    assert [word for word in sorted(named) if not (ROOT / word).exists()] == []


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#]+)", README)

    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).is_file()] == []


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    shown = {int(row[0]): row[1] for row in TABLE_ROWS if row[0].isdigit()}

    assert sorted(shown) == sorted(value for name, value in vars(errors).items() if name.startswith("EXIT_"))
    assert {verdict: verdict.value in shown[verdict.exit_code] for verdict in Verdict} == dict.fromkeys(Verdict, True)


@pytest.mark.parametrize("side", ["source", "backup"])
def test_the_transcript_adds_up(side: str) -> None:
    """It was copied from a run; a number that was mistyped or altered by hand shows here."""
    line = next(line for line in README.splitlines() if re.match(rf"  {side} [0-9,]+ = ", line))
    total, *parts = (int(number.replace(",", "")) for number in re.findall(r"[0-9][0-9,]*", line))

    assert len(parts) == 4
    assert total == sum(parts)


def test_the_equation_is_spelt_with_the_names_of_the_counts() -> None:
    names = {field.name for field in fields(Totals)}
    spelt = {
        word
        for side in ("source", "backup")
        for line in re.findall(rf"^    {side} = (.*)$", README, re.MULTILINE)
        for word in re.findall(r"\w+", line)
    }

    assert spelt == {"matched", "changed", "moved_out", "moved_in", "missing_in_backup", "missing_in_source"}
    assert spelt - {"matched", "changed"} <= names


def test_the_columns_and_lists_that_it_names_are_written() -> None:
    columns = {"mismatched_records": FILES, "bucket_type": MISMATCHES, "exit_code": RUNS}

    assert {name: name in README for name in columns} == dict.fromkeys(columns, True)
    assert {name: name in table for name, table in columns.items()} == dict.fromkeys(columns, True)
    assert f"`{repair.COPY_AGAIN}`" in README


def test_the_python_example_uses_what_exists() -> None:
    tree = ast.parse(FENCED["python"])
    call = next(
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "reconcile"
    )
    of_result = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "result"
    }

    assert {keyword.arg for keyword in call.keywords} <= set(ReconcileConfig.model_fields)
    assert of_result
    assert [
        name for name in of_result if name not in vars(ReconcileResult) | ReconcileResult.__dataclass_fields__
    ] == []
