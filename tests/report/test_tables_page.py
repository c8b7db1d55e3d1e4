"""The tables say the same to programs, to readers of Delta and to people: one source, nothing left out."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from tallymark.columns import COMMENT, Column, arrow_schema
from tallymark.io import delta, delta_rs
from tallymark.io.objects import ObjectStore
from tallymark.report import catalogue
from tallymark.report.catalogue import TABLES
from tallymark.report.tables_page import DIALECTS, statements, tables_page

ROOT = Path(__file__).parents[2]
COLUMNS = {"run_id": Column("string", "name of the run"), "rows": Column("bigint", "rows in the files")}


def comments(folder: str) -> dict[str, str | None]:
    return {field.name: field.metadata.get(COMMENT) for field in DeltaTable(folder).schema().fields}


def test_the_page_is_that_of_the_code() -> None:
    """`make docs-tables` writes it."""
    assert (ROOT / "docs/tables.md").read_text(encoding="utf-8") == tables_page()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_statements_are_those_of_the_code(dialect: str) -> None:
    assert (ROOT / f"docs/sql/{dialect}.sql").read_text(encoding="utf-8") == statements(dialect)


DOCUMENTED = {
    # docs.aws.amazon.com/athena, "Get started" of Delta Lake tables: nothing but LOCATION and table_type is allowed
    "athena": "CREATE EXTERNAL TABLE ingest_runs LOCATION 's3://lake/ingest/delta/runs/' "
    "TBLPROPERTIES ('table_type' = 'DELTA');",
    # trino.io/docs, Delta Lake connector, "Register table"
    "trino": "CALL delta.system.register_table(schema_name => 'tallymark', table_name => 'export_runs', "
    "table_location => 's3://lake/export/delta/export_runs');",
    "spark": "CREATE TABLE IF NOT EXISTS reconcile_files USING DELTA LOCATION 's3://lake/reconcile/delta/files';",
    "duckdb": "CREATE OR REPLACE VIEW ingest_logs AS SELECT * FROM delta_scan('s3://lake/ingest/delta/logs');",
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_statement_as_the_engine_documents_it(dialect: str) -> None:
    assert DOCUMENTED[dialect] in statements(dialect).splitlines()


def test_every_table_that_the_code_writes_is_on_the_page() -> None:
    """The names are those that the modules of `runs` write; written by hand."""
    names = {
        "reconcile": {"runs", "files", "mismatches", "ledger", "ledger_residue"},
        "ingest": {"runs", "logs", "quarantine"},
        "bulkload": {"bulkload_cells", "bulkload_batches"},
        "export": {"export_runs", "export_chunks"},
    }

    assert {job: {table.name for table in TABLES if table.job == job} for job in names} == names
    assert len({table.sql_name for table in TABLES}) == len(TABLES) == 12


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.sql_name))
def test_every_column_says_in_few_words_what_it_means(table: catalogue.DeltaTable) -> None:
    told = {field.name: (field.metadata or {}).get(COMMENT.encode(), b"").decode() for field in table.schema}

    assert [name for name, text in told.items() if not 5 < len(text) < 200] == []
    assert [name for name, text in told.items() if text.count("; null ") > 1 or re.search(r"[\n|`]", text)] == []
    assert set(table.partition_by) <= set(told)


def test_a_column_is_its_type_wherever_only_that_is_asked_for() -> None:
    """Also after its way to an executor."""
    there = pickle.loads(pickle.dumps(Column("bigint", "rows", "of a load")))

    assert (there, there.comment) == ("bigint", "rows; null of a load")
    assert arrow_schema({"rows": there}).equals(pa.schema([("rows", pa.int64())]))


def test_a_table_carries_the_meaning_of_its_columns_from_its_first_rows(tmp_path: Path) -> None:
    store = ObjectStore()
    rows = pa.Table.from_pylist([{"run_id": "a", "rows": 1}], arrow_schema(COLUMNS))

    delta.replace_run(store, str(tmp_path / "replaced"), "a", rows)
    delta.append_rows(store, str(tmp_path / "appended"), rows)
    delta.make_table(store, str(tmp_path / "made"), rows.schema)

    for name in ("replaced", "appended", "made"):
        assert comments(str(tmp_path / name)) == {"run_id": "name of the run", "rows": "rows in the files"}


@pytest.mark.parametrize("older", [None, "what it meant before"])
def test_a_table_of_other_words_is_written_to_as_before(tmp_path: Path, older: str | None) -> None:
    """delta-rs refuses to merge two comments: a better text here must not lock anybody out of his tables."""
    store, folder = ObjectStore(), str(tmp_path / "table")
    before = {"run_id": "string", "rows": Column("bigint", older) if older else "bigint"}
    delta.append_rows(store, folder, pa.Table.from_pylist([{"run_id": "a", "rows": 1}], arrow_schema(before)))

    new = COLUMNS | {"more": Column("string", "new in this version")}
    rows = pa.Table.from_pylist([{"run_id": "b", "rows": 2, "more": "x"}], arrow_schema(new))
    delta.append_rows(store, folder, rows)
    delta.replace_run(store, folder, "b", rows)

    found = delta_rs.open_table(store, folder).to_pyarrow_table().sort_by("run_id").to_pylist()
    assert found == [{"run_id": "a", "rows": 1, "more": None}, {"run_id": "b", "rows": 2, "more": "x"}]
    assert comments(folder)["rows"] == older
