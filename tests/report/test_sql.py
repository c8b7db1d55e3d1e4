"""The views and queries of `docs/sql`, run by Spark SQL and by DuckDB over tables of the jobs' own schemas.

DuckDB reads the tables through delta-rs: its own extension for Delta is loaded from the net.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

import dashboard_tables as tables
from tallymark.columns import arrow_schema
from tallymark.ingest import tables as ingest
from tallymark.reconcile.tables import FILES, MISMATCHES, RUNS
from tallymark.report.catalogue import TABLES
from tallymark.report.tables_page import LAKE

SQL = Path(__file__).parents[2] / "docs/sql"
MADE = {"reconcile": ("runs", "files", "mismatches"), "ingest": ("runs", "logs", "quarantine")} | {
    job: tuple(table.name for table in TABLES if table.job == job) for job in ("bulkload", "export")
}
A, C = ("s3://a", "s3://b"), ("s3://c", "s3://d")

QUERIES: dict[str, str] = dict(
    re.findall(r"^-- (.+\?.*)\n([^-][^;]*);$", (SQL / "queries.sql").read_text(encoding="utf-8"), re.MULTILINE)
)
EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "Which pairs of places match, by their latest run?": [
        (*A, "two", "INCOMPLETE", 99.0),
        (*C, "other", "MATCH", 100.0),
    ],
    "Which pairs of places match now, with what re-checks have found since?": [(*A, 4, 2, 30), (*C, 1, 0, None)],
    "Which files match least now?": [("y.json", 95.0, 1, 0, 3), ("x.json", 99.5, 2, 0, 0)],
    "Which files could the latest runs not compare, and why?": [("y.json", "TRUNCATED_GZIP after 12 bytes")],
    "How many records are open, by what is wrong with them?": [(*A, "backup_only", 3), (*A, "changed", 3)],
    "In which fields do the open changed records differ?": [("$.speed", 2), ("$.name", 1)],
    "How does it go from day to day?": [("2026-11-01", 3, 0, 90.0, 180), ("2026-11-02", 1, 1, 100.0, 10)],
    "How many whole hours was the ingest behind when its last run of the API ended well?": [
        ("late", "2026-11-01T08:00:00Z", 49)
    ],
    "Why are items in quarantine?": [("decrypt", "unknown_key", 2), ("validate", "bad_time", 1)],
    "How many records does each hour have?": [("2026-11-01", "06", 3), ("2026-11-01", "07", 2)],
    "What do a million rows cost with each cell, at 3.60 an hour for the server? Emulated figures have no price.": [
        ("local", "roofline", 1, 2, 0.125),
        ("local", "copy_text", 1000, 1, 0.2857),  # 4,000 and 3,000 rows/s
        ("local", "spark_jdbc", 1000, 1, 2.0),
    ],
    "Which cells failed, and by what?": [
        ("later", "copy_text", 1000, 50, "53300", "too many connections"),
        ("lost", "copy_text", 100, 1, "53300", "too many connections"),
    ],
    "Which chunk of each export was the slowest?": [("checked", 3, "part-3.csv", 0.3)],
    "Which exports are not proven to be of one moment?": [("loose", "per-chunk", False)],
}
Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folders of the four jobs."""
    lake = tmp_path_factory.mktemp("lake")
    reconcile_out(str(lake / "reconcile"))
    tables.ingest_out(str(lake / "ingest"))
    tables.bulkload_out(str(lake / "bulkload"))
    tables.export_out(str(lake / "export"))
    late = {"run_id": "late", "run_time": "2026-11-03T09:30:00+00:00", "status": "COMPLETE"}
    late |= {"watermark": "2026-11-01T08:00:00Z"}
    write_deltalake(str(lake / "ingest/delta/runs"), pa.Table.from_pylist([late], ingest.RUNS), mode="append")
    return lake


def reconcile_out(folder: str) -> None:
    """Run `two` could not read y.json; `three` has checked x.json and w.json again; `killed` has no verdict."""

    def run(name: str, time: str, places: tuple[str, str], verdict: str | None, *figures: Any) -> tables.Row:
        known = {"run_id": name, "run_time": f"2026-11-{time}:00:00+00:00", "source": places[0], "backup": places[1]}
        names = ("exit_code", "match_rate", "source_records", "files_left_out")
        return known | {"verdict": verdict} | dict(zip(names, figures))

    def file(name: str, path: str, status: str, *figures: Any) -> tables.Row:
        names = ("match_rate", "mismatched_records", "missing_in_backup", "missing_in_source", "source_records")
        return {"run_id": name, "file_path": path, "status": status} | dict(zip(names, figures))

    def mismatch(name: str, path: str, bucket: str, count: int, *paths: str) -> tables.Row:
        known = {"run_id": name, "file_path": path, "bucket_type": bucket, "count": count}
        return known | {"changed_paths": list(paths), "hash": f"{path}{paths}"}

    runs = [
        run("one", "01T06", A, "DIFFERENT", 1, 90.0, 100),
        run("two", "01T18", A, "INCOMPLETE", 3, 99.0, 50, 0),
        run("three", "01T20", A, "DIFFERENT", 1, 99.0, 30, 2),
        run("killed", "02T06", A, None),
        run("other", "02T00", C, "MATCH", 0, 100.0, 10),
    ]
    files = [
        file("one", "x.json", "DIFFERENT", 80.0, 5, 1, 0),
        file("one", "y.json", "DIFFERENT", 95.0, 1, 0, 3),
        file("two", "x.json", "DIFFERENT", 99.0, 4, 0, 0),
        file("two", "y.json", "ERROR") | {"error": "TRUNCATED_GZIP after 12 bytes"},
        file("two", "w.json", "DIFFERENT", 97.0, 0, 0, 1),
        file("two", "z.json", "MATCH", 100.0, 0, 0, 0),
        file("three", "x.json", "DIFFERENT", 99.5, 2, 0, 0, 20),
        file("three", "w.json", "MATCH", 100.0, 0, 0, 0, 10),
        file("killed", "x.json", "MATCH", 100.0, 0, 0, 0),
        file("other", "x.json", "MATCH", 100.0, 0, 0, 0),
    ]
    mismatches = [
        mismatch("one", "x.json", "changed", 1, "$.speed"),
        mismatch("one", "x.json", "changed", 4, "$.id", "$.speed"),
        mismatch("one", "x.json", "source_only", 1),
        mismatch("one", "y.json", "changed", 1, "$.name"),
        mismatch("one", "y.json", "backup_only", 3),
        mismatch("two", "x.json", "changed", 4, "$.id", "$.speed"),
        mismatch("two", "w.json", "backup_only", 1),
        mismatch("three", "x.json", "changed", 2, "$.speed"),
        mismatch("killed", "y.json", "source_only", 7),
    ]
    tables.write(folder, "runs", arrow_schema(RUNS), runs)
    tables.write(folder, "files", arrow_schema(FILES), files)
    tables.write(folder, "mismatches", arrow_schema(MISMATCHES), mismatches)


def statements(name: str) -> list[str]:
    """Return the statements of a file of `docs/sql`; a comment may hold a semicolon."""
    text = re.sub(r"^--.*\n", "", (SQL / f"{name}.sql").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [statement.strip() for statement in text.split(";") if statement.strip()]


@pytest.fixture(scope="module")
def ask_duckdb(lake: Path) -> Iterator[Ask]:
    with duckdb.connect() as connection:
        for table in TABLES:
            if table.name in MADE[table.job]:
                place = lake / table.job / "delta" / table.name
                connection.register(table.sql_name, DeltaTable(place).to_pyarrow_table())
        for view in statements("views"):
            connection.execute(view)
        yield lambda query: connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def ask_spark(lake: Path, spark: SparkSession) -> Iterator[Ask]:
    made = [
        statement.replace(LAKE, str(lake)) for table, statement in zip(TABLES, statements("spark"))
        if table.name in MADE[table.job]
    ]  # fmt: skip
    for statement in [*made, *statements("views")]:
        spark.sql(statement)
    yield lambda query: [tuple(row) for row in spark.sql(query).collect()]
    for view in ("open_mismatches", "latest_files", "latest_run"):
        spark.sql(f"DROP VIEW {view}")
    for table in TABLES:
        spark.sql(f"DROP TABLE IF EXISTS {table.sql_name}")


def query(title: str, dialect: str) -> str:
    """Return the query of that title, or the one of two that is for the dialect."""
    return next(text for name, text in QUERIES.items() if name == title or (name.startswith(title) and dialect in name))


def rounded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(round(float(x), 9) if isinstance(x, float | Decimal) else x for x in row) for row in rows]


def test_every_query_has_an_expected_answer() -> None:
    assert {re.sub(r" \((DuckDB|Spark).*\)$", "", title) for title in QUERIES} == set(EXPECTED)
    assert len(QUERIES) == len(statements("queries")) == len(EXPECTED) + 1


@pytest.mark.parametrize("title", EXPECTED)
def test_duckdb_answers(ask_duckdb: Ask, title: str) -> None:
    assert rounded(ask_duckdb(query(title, "DuckDB"))) == EXPECTED[title]


@pytest.mark.parametrize("title", EXPECTED)
def test_spark_answers(ask_spark: Ask, title: str) -> None:
    assert rounded(ask_spark(query(title, "Spark"))) == EXPECTED[title]


def test_a_mismatch_is_open_until_a_finished_run_has_compared_its_file_again(ask_duckdb: Ask) -> None:
    rows = ask_duckdb("SELECT run_id, file_path, bucket_type, count FROM open_mismatches ORDER BY ALL")

    assert rows == [
        ("one", "y.json", "backup_only", 3),  # `two` could not read it, and `killed` does not count
        ("one", "y.json", "changed", 1),
        ("three", "x.json", "changed", 2),  # and w.json, which is well by `three`, has none
    ]


def test_a_recheck_is_not_the_latest_run_but_says_how_its_files_are(ask_duckdb: Ask) -> None:
    """A month must not look as if it had two files, nor must what was mended stay open."""
    assert ask_duckdb("SELECT run_id, source FROM latest_run ORDER BY ALL") == [("other", C[0]), ("two", A[0])]
    assert ask_duckdb("SELECT run_id, file_path, status FROM latest_files ORDER BY ALL") == [
        ("one", "y.json", "DIFFERENT"),
        ("other", "x.json", "MATCH"),
        ("three", "w.json", "MATCH"),
        ("three", "x.json", "DIFFERENT"),
        ("two", "z.json", "MATCH"),
    ]


def test_a_view_has_the_columns_of_its_table(ask_duckdb: Ask) -> None:
    assert [row[0] for row in ask_duckdb("DESCRIBE latest_run")] == list(RUNS)
    assert [row[0] for row in ask_duckdb("DESCRIBE latest_files")] == ["source", "backup", *FILES]
    assert [row[0] for row in ask_duckdb("DESCRIBE open_mismatches")] == ["source", "backup", *MISMATCHES]


def test_spark_shows_what_a_column_means(ask_spark: Ask) -> None:
    told = {row[0]: row[2] for row in ask_spark("DESCRIBE TABLE export_chunks")}

    assert told["up_to"] == "last key of the chunk, a JSON array of text; null at the table's end"
