"""ConnectorX reads a table in two partitions into Arrow, pyarrow writes it. Arguments: DSN TABLE OUT ROWS."""

from __future__ import annotations

import sys

import connectorx
import pyarrow.parquet as pq

dsn, table, out, _ = sys.argv[1:]
query = f"SELECT * FROM {table}"  # noqa: S608 - the benchmark's own
pq.write_table(connectorx.read_sql(dsn, query, return_type="arrow", partition_on="id", partition_num=2), out)
