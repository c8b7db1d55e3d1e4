"""The pages: values of private columns never stand in them, nor anything remote; two runs in one process are apart."""

from __future__ import annotations

import re
import socket
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tallymark.quality.rules import read_rules
from tallymark.quality.split import count, judge
from tallymark.quality.suite import Judged, write_pages

NOW = datetime(2026, 3, 17, 14, tzinfo=timezone.utc)
MARKER, PUBLIC = "marker-7f3a", "shown-51c2<script>alert(1)</script>"


def text_of(docs: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in docs.rglob("*.html"))


def judged(spark: SparkSession, table: str) -> Judged:
    # A session of its own, as notebooks and benchmarks have: a condition in SQL must find its view there.
    frame = spark.newSession().createDataFrame([(PUBLIC, MARKER), (None, MARKER)], "public string, secret string")
    kwargs = {"regex": "^[0-9]+$"}
    pair = {"column_A": "public", "column_B": "secret", "ignore_row_if": "either_value_is_missing"}
    query = f"SELECT * FROM {{batch}} WHERE secret LIKE 'marker%' AND public = '{PUBLIC[:5]}'"
    rules = read_rules(
        "r", {"table": table, "columns": {"secret": {"private": True}}, "expectations": [
            {"name": "p", "type": "expect_column_values_to_match_regex", "kwargs": {"column": "public", **kwargs}},
            {"name": "s", "type": "expect_column_values_to_match_regex", "kwargs": {"column": "secret", **kwargs}},
            {"name": "u", "type": "expect_column_values_to_be_unique", "kwargs": {"column": "secret"}},
            {"name": "ps", "type": "expect_column_pair_values_to_be_equal", "kwargs": pair},
            {"name": "q", "type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": query}},
        ]},
    )  # fmt: skip
    return Judged(rules, frame, count(judge(frame, rules), rules, "place", 4))


def test_values_of_a_private_column_stand_in_no_page_and_no_log_and_nothing_is_remote(
    spark: SparkSession,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """T13: verdicts and counts are there, the marker is not; a public column shows what failed.

    T23: two suites in one process; pages open without a network, and nobody is told that they are made or read.
    """
    caplog.set_level("DEBUG")
    asked: list[Any] = []
    former = socket.socket.connect

    def connect(own: socket.socket, place: Any) -> None:
        asked.append(place)
        former(own, place)

    monkeypatch.setattr(socket.socket, "connect", connect)
    one = judged(spark, "first")
    write_pages([one, judged(spark, "second")], "run", NOW, tmp_path / "docs")
    pages = text_of(tmp_path / "docs")
    logged = "".join(map(str, capfd.readouterr())) + caplog.text

    assert [(rule.rule, rule.failed) for rule in one.verdict.rules] == [
        ("p", 1), ("s", 2), ("u", 2), ("ps", 1), ("q", 0),
    ]  # fmt: skip
    assert escape(PUBLIC) in pages
    assert PUBLIC not in pages  # their templates would run it
    assert pages.count("script-src 'none'") == len(list((tmp_path / "docs").rglob("*.html")))
    assert MARKER not in pages
    assert MARKER not in logged
    assert len(list((tmp_path / "docs/validations").rglob("*.html"))) == 2
    assert {place[0] for place in asked} <= {"127.0.0.1"}
    assert re.findall(r"""<(?:link|script|img)[^>]*(?:src|href)=["']https?://[^"']*""", pages) == []
