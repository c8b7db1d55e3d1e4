"""README and pages say what is true: what they name exists, their tables agree with the code, their numbers add up."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from tallymark import errors
from tallymark.command_line import as_text
from tallymark.config.bulkload import BulkloadConfig
from tallymark.config.export import ExportConfig
from tallymark.config.ingest import IngestConfig
from tallymark.config.loading import JobConfig, load, option
from tallymark.config.maintain import MaintainConfig
from tallymark.config.quality import QualityConfig
from tallymark.config.reconcile import ReconcileConfig
from tallymark.reconcile.result import Totals
from tallymark.reconcile.tables import FILES, MISMATCHES, RUNS
from tallymark.report import repair
from tallymark.runs.reconcile.run import ReconcileResult

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECONCILE = (ROOT / "docs/reconcile.md").read_text(encoding="utf-8")
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
JOBS: dict[str, type[JobConfig]] = {
    "reconcile": ReconcileConfig,
    "ingest": IngestConfig,
    "bulkload": BulkloadConfig,
    "export": ExportConfig,
    "quality": QualityConfig,
    "maintain": MaintainConfig,
}
PYTHON = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)

# Options of the jobs that are no keys of their YAML, and options of others that commands in the pages pass on.
BESIDE = {"--help", "--conf", "--interactive"}
FOREIGN = {
    "--master", "--deploy-mode", "--packages", "--files-from-raw", "--name", "--schedule-expression", "--server",
    "--cases", "--sizes", "--repetitions", "--rows", "--without-peers",
    "--archives", "--application-id", "--cluster", "--execution-role-arn", "--files", "--job-driver", "--properties",
    "--jars", "--py-files", "--region",
}  # fmt: skip


def table_rows(page: str) -> list[list[str]]:
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\|.*\|$", page, re.MULTILINE)]


def options_of(config: type[JobConfig]) -> set[str]:
    switches = {name for name, field in config.model_fields.items() if field.annotation is bool}
    return {option(name) for name in config.model_fields} | {option(f"no_{name}") for name in switches}


def test_it_has_at_most_150_lines() -> None:
    """More belongs into docs/."""
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", PAGES[page], re.MULTILINE))
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    assert page != "README.md" or {"demo", "test"} <= named
    assert named <= targets


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith("docs/deploy")])
def test_every_option_that_a_page_names_exists(page: str) -> None:
    """An option that is renamed or taken away would otherwise stay here for ever. Guides: `tests/deploy`."""
    known = set[str]().union(*(map(options_of, JOBS.values())))

    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGES[page])) - BESIDE - FOREIGN <= known


def test_every_job_is_in_the_table_of_the_jobs_and_has_its_four_corners() -> None:
    shown = {row[0].strip("`[]").partition("]")[0].strip("`") for row in table_rows(README) if "](docs/" in row[0]}
    jobs = {path.stem for path in (ROOT / "jobs").glob("*.py")}

    assert shown == jobs == set(JOBS)
    for job in jobs:
        assert all((ROOT / place).exists() for place in (f"conf/{job}.yaml", f"lib/tallymark/{job}", f"tests/{job}"))


@pytest.mark.parametrize("job", JOBS)
def test_the_conf_file_of_a_job_has_every_option_in_the_order_of_the_help(job: str) -> None:
    keys = re.findall(r"^([a-z_]+):", (ROOT / f"conf/{job}.yaml").read_text(encoding="utf-8"), re.MULTILINE)

    assert keys == list(JOBS[job].model_fields)


@pytest.mark.parametrize("job", JOBS)
def test_the_conf_file_of_a_job_is_valid(job: str) -> None:
    load(JOBS[job], str(ROOT / f"conf/{job}.yaml"), {})


def test_the_table_of_options_shows_the_defaults() -> None:
    shown = {row[0].strip("`"): row[1].strip("`") for row in table_rows(RECONCILE) if row[0].startswith("`--")}
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

    assert {"./spark-submit.sh", "docs/architecture.md"} <= named
    assert [word for word in sorted(named) if not (ROOT / word).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", PAGES[page]) if "://" not in link]

    assert [link for link in links if not (ROOT / page).parent.joinpath(link).is_file()] == []


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    shown = {int(row[0]) for row in table_rows(README) if row[0].isdigit()}

    assert sorted(shown) == sorted(value for name, value in vars(errors).items() if name.startswith("EXIT_"))


@pytest.mark.parametrize("side", ["source", "backup"])
def test_the_transcript_adds_up(side: str) -> None:
    """It was copied from a run; a number that was mistyped or altered by hand shows here."""
    line = next(line for line in RECONCILE.splitlines() if re.match(rf"  {side} [0-9,]+ = ", line))
    total, *parts = (int(number.replace(",", "")) for number in re.findall(r"[0-9][0-9,]*", line))

    assert len(parts) == 4
    assert total == sum(parts)


def test_the_equation_is_spelt_with_the_names_of_the_counts() -> None:
    names = {field.name for field in fields(Totals)}
    spelt = {
        word
        for side in ("source", "backup")
        for line in re.findall(rf"^    {side} = (.*)$", RECONCILE, re.MULTILINE)
        for word in re.findall(r"\w+", line)
    }

    assert spelt == {"matched", "changed", "moved_out", "moved_in", "missing_in_backup", "missing_in_source"}
    assert spelt - {"matched", "changed"} <= names


def test_the_columns_and_lists_that_it_names_are_written() -> None:
    columns = {"mismatched_records": FILES, "bucket_type": MISMATCHES, "exit_code": RUNS}

    assert {name: name in README + RECONCILE for name in columns} == dict.fromkeys(columns, True)
    assert {name: name in table for name, table in columns.items()} == dict.fromkeys(columns, True)
    assert f"`{repair.COPY_AGAIN}`" in RECONCILE


def test_the_python_example_uses_what_exists() -> None:
    tree = ast.parse(PYTHON[0])
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
