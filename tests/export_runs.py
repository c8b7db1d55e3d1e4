"""What the tests of whole exports share: how one is started, and what a CSV export holds."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tallymark.config.export_options import ExportOptions
from tallymark.io.postgres import Server
from tallymark.retry import RetryPolicy
from tallymark.runs.export.run import ExportResult, export

QUICK = RetryPolicy(attempts=12, base_seconds=0.05, cap_seconds=0.8)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)


@pytest.fixture
def database(fresh_database: Server) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the test's own database."""
    with fresh_database.connect("tests") as connection:
        yield connection


Export = Callable[..., ExportResult]


@pytest.fixture
def run(fresh_database: Server, tmp_path: Path) -> Export:
    """Exports into tmp_path/out, by default a table t in chunks of 1,000 rows that stay so."""

    def start(**given: Any) -> ExportResult:
        server = given.pop("server", fresh_database)
        place = {name: getattr(server, name) for name in ("host", "port", "user", "dbname")}
        show = given.pop("show_progress", lambda _live: nullcontext())
        options = ExportOptions(table="t", to=str(tmp_path / "out"), batch_size=1_000, adapt=False, snapshot_linger=20)
        return export(replace(options, **place, **given), policy=QUICK, show_progress=show)

    return start


def rows(folder: Path) -> list[list[str]]:
    """Returns the rows of all parts, in their order; each part has the header."""
    found = []
    for part in sorted(folder.glob("part-*.csv")):
        header, *content = csv.reader(io.StringIO(part.read_text()))
        found += content
        assert header
    return found


def copied(connection: psycopg.Connection[Any], query: str) -> bytes:
    """Returns what COPY writes of a query."""
    with connection.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT csv)") as copy:
        return b"".join(map(bytes, copy))
