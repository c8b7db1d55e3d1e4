"""Names of objects come from outside: none of them writes a line of its own into a log or onto a terminal."""

from __future__ import annotations

import logging
import sys

import pytest
from rich.console import Console

from tallymark.errors import IncompleteError
from tallymark.runs.job import OneLine, exit_code_of

FORGED = "s3://b/a\n2026-11-21 10:00:00 INFO all records match\x1b[2J\u2028\u202e"


def test_a_message_of_the_log_is_one_line_whatever_it_names() -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "cannot read %s", (FORGED,), None)
    line = OneLine().format(record)

    assert line.endswith(
        "WARNING cannot read s3://b/a\\x0a2026-11-21 10:00:00 INFO all records match\\x1b[2J\\u2028\\u202e"
    )


def test_the_traceback_of_a_defect_keeps_its_lines() -> None:
    try:
        int("x")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "stopped", (), sys.exc_info())

    assert "\nTraceback" in OneLine().format(record)


def test_an_error_that_ends_a_job_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: Console) -> int:
        raise IncompleteError(f"cannot list {FORGED}: try again")

    assert exit_code_of("reconcile", fail, "") == 3
    assert "\x1b" not in capsys.readouterr().err
