"""What is often written by hand: pages by LIMIT and OFFSET through csv.writer. Arguments: DSN TABLE OUT ROWS."""

from __future__ import annotations

import csv
import sys

import psycopg

PAGE = 10_000

dsn, table, out, rows = sys.argv[1:]
with psycopg.connect(dsn) as connection, open(out, "w", newline="") as file:
    writer = csv.writer(file)
    for offset in range(0, int(rows), PAGE):
        query = f"SELECT * FROM {table} ORDER BY id LIMIT {PAGE} OFFSET {offset}"  # noqa: S608 - the benchmark's own
        writer.writerows(connection.execute(query).fetchall())  # type: ignore[call-overload]
