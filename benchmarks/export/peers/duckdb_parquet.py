"""DuckDB's reader of PostgreSQL to Parquet, with two threads. Arguments: DSN TABLE OUT ROWS."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import duckdb_extension_postgres_scanner as reader

dsn, table, out, _ = sys.argv[1:]
(extension,) = Path(reader.__file__).parent.glob("extensions/*/postgres_scanner.duckdb_extension")
with duckdb.connect(config={"threads": 2}) as database:
    database.load_extension(str(extension))
    database.execute(f"ATTACH '{dsn}' AS pg (TYPE postgres, READ_ONLY)")
    database.execute(f"COPY (SELECT * FROM pg.public.{table}) TO '{out}' (FORMAT parquet)")  # noqa: S608 - our own
