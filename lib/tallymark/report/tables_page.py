"""The page that describes the Delta tables, and the statements that make them known to a SQL engine.

Both are made from the columns in the code; `make docs-tables` writes them, a test compares them with what is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType

from tallymark.columns import COMMENT, sql_type
from tallymark.report.catalogue import TABLES, DeltaTable

LAKE = "s3://lake"
"""Stands in the statements for where the output folders of the jobs are."""

_INTRODUCTION = """\
# The tables

Each job leaves Delta tables in `OUT/delta/`. They are made to be read: every column carries its meaning as its comment,
too (`DESCRIBE TABLE`). This page and the statements in `docs/sql` are made from the code by `make docs-tables`.

- Any column of a Delta table can be null for a reader; here a column without an entry under *null* never is.
- Text of times is ISO 8601 in UTC, so it sorts; lengths of time are seconds, sizes bytes, rates percent.
- **A run of `reconcile` without a verdict counts for nothing**: it was killed, or still works. The views keep to that.
- A re-check (`--only-failed-from`) has rows for the files that it compared alone. `latest_run` passes it over, so a
  month never looks as if it had three files; `latest_files` and `open_mismatches` take what it found, file by file.
- A table can get a column with a new version; none changes its meaning.

| for | use |
| --- | --- |
| Athena and Glue | [sql/athena.sql](sql/athena.sql) |
| Trino | [sql/trino.sql](sql/trino.sql) |
| Spark SQL | [sql/spark.sql](sql/spark.sql) |
| DuckDB | [sql/duckdb.sql](sql/duckdb.sql) |
| the latest state, in all of them | [sql/views.sql](sql/views.sql): `latest_run`, `latest_files`, `open_mismatches` |
| one query for each question | [sql/queries.sql](sql/queries.sql); tests run them in Spark SQL and in DuckDB |
| small and fast tables | [maintain.md](maintain.md) |

The first four make the tables known; put your place in: `sed 's#s3://lake#s3://my/place#' docs/sql/athena.sql`.
The records of `ingest` are a Delta table (`ingest_logs`) and gzip lines, which `OUT/ddl/athena.sql` makes known.
Beside these, `bulkload` keeps its ledger in the database that it loads: [bulkload.md](bulkload.md).
"""

_STATEMENTS = MappingProxyType(
    {
        "athena": "CREATE EXTERNAL TABLE {name} LOCATION '{place}/' TBLPROPERTIES ('table_type' = 'DELTA');",
        "trino": "CALL delta.system.register_table(schema_name => 'tallymark', table_name => '{name}', "
        "table_location => '{place}');",
        "spark": "CREATE TABLE IF NOT EXISTS {name} USING DELTA LOCATION '{place}';",
        "duckdb": "CREATE OR REPLACE VIEW {name} AS SELECT * FROM delta_scan('{place}');",
    }
)
_HEADS = MappingProxyType(
    {
        "athena": "Athena and Glue take the columns from the Delta log; none is named here. One statement a run.",
        "trino": "A catalogue `delta` with delta.register-table-procedure.enabled=true and a schema `tallymark`.",
        "spark": "Any Spark with Delta Lake; the table takes its columns, and their comments, from the Delta log.",
        "duckdb": "After INSTALL delta; LOAD delta;",
    }
)
DIALECTS = tuple(_STATEMENTS)


def tables_page() -> str:
    """Return `docs/tables.md`."""
    parts = [_INTRODUCTION]
    for job, tables in groupby(TABLES, attrgetter("job")):
        parts += [f"\n## {job}\n", *("\n".join(_described(table)) for table in tables)]
    return "\n".join(parts)


def statements(dialect: str) -> str:
    """Return what makes all tables known to an engine of `DIALECTS`; `LAKE` stands for the user's place."""
    lines = [
        _STATEMENTS[dialect].format(name=table.sql_name, place=f"{LAKE}/{table.job}/delta/{table.name}")
        for table in TABLES
    ]
    head = [f"-- {_HEADS[dialect]}", f"-- Made by `make docs-tables`; {LAKE} stands for your place."]
    return "\n".join([*head, *lines, ""])


def _described(table: DeltaTable) -> Iterator[str]:
    partitions = f"; partitioned by {', '.join(table.partition_by)}" if table.partition_by else ""
    yield f"### {table.sql_name}\n"
    yield f"`OUT/delta/{table.name}`: {table.holds}{partitions}.\n"
    yield "| column | type | meaning | null |"
    yield "| --- | --- | --- | --- |"
    for field in table.schema:
        meaning, _, null = field.metadata[COMMENT.encode()].decode().partition("; null ")
        cells = (f"`{field.name}`", sql_type(field.type), meaning, null)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""
