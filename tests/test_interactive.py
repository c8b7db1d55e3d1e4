"""The dialogue: what it asks, what Enter means, what it refuses, and how it is left."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable

import pytest
from rich.console import Console

from tallymark.command_line import parse
from tallymark.config.loading import read_local_text
from tallymark.config.reconcile import ReconcileConfig
from tallymark.errors import ConfigError
from tallymark.interactive import ask

ALL_ENTER = [""] * 5


class Person:
    """Types prepared lines and remembers what was asked; at the end of the lines the input ends."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.prompts: list[str] = []

    def __call__(self, prompt: str) -> str:
        self.prompts.append(prompt)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)


def run(person: Callable[[str], str], **defaults: object) -> tuple[ReconcileConfig | None, str]:
    console = Console(file=io.StringIO(), width=80)
    config = ask(defaults, console, person)
    assert isinstance(console.file, io.StringIO)
    return config, console.file.getvalue()


def started(person: Callable[[str], str], **defaults: object) -> ReconcileConfig:
    config, _ = run(person, **defaults)
    assert config is not None
    return config


def test_the_questions_and_their_defaults() -> None:
    person = Person("src", "bak", *ALL_ENTER, "y")
    run(person)

    assert person.prompts == [
        "source: ",
        "backup: ",
        "out (default ./tallymark-out): ",
        "format (1-3, default 1): ",
        "chunk size (10,000-50,000, default 20,000): ",
        "report (default ./detailed_report.csv): ",
        "log level (DEBUG, INFO, WARNING, ERROR, default INFO): ",
        "Start? [y/N] ",
    ]


def test_enter_takes_every_default() -> None:
    expected = ReconcileConfig(
        source="src",
        backup="bak",
        out="./tallymark-out",
        format="jsonl",
        chunk_size=20_000,
        report="./detailed_report.csv",
        log_level="INFO",
    )

    assert expected == started(Person("src", "bak", *ALL_ENTER, "y"))


def test_every_answer_arrives() -> None:
    config = started(Person(" src ", "bak", "o", "3", "30,000", "r.csv", "debug", "YES"))

    assert (
        config.source,
        config.backup,
        config.out,
        config.format,
        config.chunk_size,
        config.report,
        config.log_level,
    ) == ("src", "bak", "o", "csv", 30_000, "r.csv", "DEBUG")


@pytest.mark.parametrize(
    ("typed", "chosen"), [("1", "jsonl"), ("2", "array"), ("3", "csv"), ("auto", "auto"), ("JSONL", "jsonl")]
)
def test_a_format_is_chosen_by_number_or_name(typed: str, chosen: str) -> None:
    assert chosen == started(Person("s", "b", "", typed, "", "", "", "y")).format


def test_auto_is_mentioned_where_the_format_is_asked() -> None:
    _, shown = run(Person("s", "b", *ALL_ENTER, "n"))

    assert "1) JSON Lines   2) JSON array   3) CSV   (auto: looks at each object)" in shown


def test_wrong_answers_are_asked_again_with_the_reason() -> None:
    person = Person(
        *["s", "", "b", "", "4", "2", "9,999", "50001", "-1", "many", "²", "9" * 5000, "50000", "", "inf", "info", "y"]
    )
    config, shown = run(person)

    assert config is not None
    assert (config.format, config.chunk_size, config.log_level) == ("array", 50_000, "INFO")
    assert len([prompt for prompt in person.prompts if prompt == "backup: "]) == 2
    assert "An answer is needed here; Ctrl-C leaves." in shown
    assert "Type 1, 2, 3 or auto." in shown
    assert shown.count("Type a number in 10,000-50,000; --chunk-size takes others.") == 6
    assert "Type one of DEBUG, INFO, WARNING, ERROR. Did you mean INFO?" in shown


def test_options_already_given_are_the_defaults_and_the_others_are_kept() -> None:
    person = Person(*[""] * 7, "y")
    config = started(
        person,
        source="s",
        backup="b",
        out="o",
        format="csv",
        chunk_size="70000",
        log_level="error",
        report=None,
        key="a,b",
    )

    assert person.prompts[:7] == [
        "source (default s): ",
        "backup (default b): ",
        "out (default o): ",
        "format (1-3, default 3): ",
        "chunk size (10,000-50,000, default 70,000): ",
        "report (default ./detailed_report.csv): ",
        "log level (DEBUG, INFO, WARNING, ERROR, default ERROR): ",
    ]
    assert (config.chunk_size, config.key, config.format) == (70_000, ("a", "b"), "csv")


def test_auto_given_as_option_stays_auto_on_enter() -> None:
    person = Person("s", "b", *ALL_ENTER, "y")

    assert started(person, format="auto").format == "auto"
    assert "format (1-3, default auto): " in person.prompts


def test_a_wrong_option_is_reported_before_the_first_question() -> None:
    """Nobody should type seven answers to learn that --threshold was wrong."""
    person = Person()
    with pytest.raises(ConfigError, match="--threshold: 'high'"):
        run(person, threshold="high")

    assert person.prompts == []


def test_the_settings_are_shown_as_a_table_before_the_start() -> None:
    _, shown = run(Person("s3://a/[bold]/", "b", *ALL_ENTER, "n"), mask="$.a")
    rows = [tuple(cell.strip() for cell in line.split("│")[1:3]) for line in shown.splitlines() if "│" in line]

    assert ("source", "s3://a/[bold]/") in rows
    assert ("chunk_size", "20000") in rows
    assert ("mask", "$.a") in rows
    assert ("run_id", "-") in rows
    assert len(rows) == 27


def test_the_printed_command_gives_the_same_config_in_one_line_however_long() -> None:
    config, shown = run(Person("/data/" + "long " * 30, "b[0]", *ALL_ENTER, "y"), ignore="$['a'],$.b")
    command = next(line for line in shown.splitlines() if line.startswith("./spark-submit.sh reconcile "))

    assert config == parse(ReconcileConfig, "reconcile", shlex.split(command)[2:], read_local_text)


@pytest.mark.parametrize("answer", ["", "n", "N", "no", "start", "yy"])
def test_anything_but_yes_starts_nothing(answer: str) -> None:
    config, shown = run(Person("s", "b", *ALL_ENTER, answer))

    assert config is None
    assert "./spark-submit.sh reconcile --source s" in shown


@pytest.mark.parametrize("lines", [(), ("s", "b"), ("s", "b", *ALL_ENTER)])
def test_the_end_of_the_input_leaves_like_ctrl_c(lines: tuple[str, ...]) -> None:
    """A job without a terminal must not start on defaults that nobody saw."""
    with pytest.raises(KeyboardInterrupt):
        run(Person(*lines))
