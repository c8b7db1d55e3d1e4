"""Starts the PostgreSQL of the wheel, fills public.orders and exports it by conf/export.yaml: `make demo-export`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "lib"))

from tallymark.io.embedded_postgres import embedded_postgres  # noqa: E402

ROWS = 200_000
TABLE = f"""
DROP TABLE IF EXISTS orders;
CREATE TABLE orders (
  region text, number bigint, placed timestamptz, amount numeric(12, 2), paid boolean, note text,
  PRIMARY KEY (region, number)
);
INSERT INTO orders SELECT (ARRAY['north', 'south', 'east', 'west'])[1 + i % 4], i,
  '2024-01-01 00:00+00'::timestamptz + i * interval '7 seconds', i * 1.01, i % 3 = 0,
  CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'a "quoted", note' END FROM generate_series(1, {ROWS}) i;
ANALYZE orders
"""  # noqa: S608 - a number


def main() -> int:
    with embedded_postgres(ROOT / "build/demo-export/postgres") as running:
        server = running.server
        with server.connect("demo") as connection:
            connection.execute(TABLE)
        place = {"PGHOST": server.host, "PGPORT": server.port, "PGUSER": server.user, "PGDATABASE": server.dbname}
        print(f"A table of {ROWS:,} rows is in {server}. Exporting it, and reading all of it again:", flush=True)
        done = subprocess.run(
            ["./spark-submit.sh", "export", "--conf", "conf/export.yaml", "--verify"],
            cwd=ROOT,
            env={**os.environ, **{name: str(value) for name, value in place.items()}},
            check=False,
        )
        return done.returncode


if __name__ == "__main__":
    sys.exit(main())
