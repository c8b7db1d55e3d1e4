"""Measures `export` against psql's COPY, a LIMIT/OFFSET loop and its own memory; `make bench-export` runs it.

A PostgreSQL of its own (the wheel's), a table of seven columns with about 87 bytes a row. Contenders take turns, so a
noisy machine disturbs all of them alike; what counts are the ratios of medians. Each run adds a row to rows.csv:
case, rows, repetition, seconds, peak memory of the process in bytes (0: not measured).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "lib"))

from tallymark.io.embedded_postgres import embedded_postgres, embedded_programs  # noqa: E402
from tallymark.io.postgres import Server  # noqa: E402

ROWS_CSV = Path(__file__).with_name("rows.csv")
TABLE = """
CREATE TABLE big_{rows} AS SELECT i::bigint AS id, 'name ' || i AS name, '2024-01-01'::timestamptz + i * interval '1 s'
AS at, (i * 1.01)::numeric(12, 2) AS amount, i % 2 = 0 AS ok, md5(i::text) AS note FROM generate_series(1, {rows}) i;
ALTER TABLE big_{rows} ADD PRIMARY KEY (id)
"""
# One export in a process of its own, which tells its peak of memory.
CHILD = """
import json, sys, time
from tallymark.config.export_options import ExportOptions
from tallymark.runs.export.run import export
begin = time.perf_counter()
made = export(ExportOptions(**json.loads(sys.argv[1]))).manifest
chunks = [(chunk["rows"], chunk["seconds"]) for chunk in made["chunks"]]
print(json.dumps([time.perf_counter() - begin, made["peak_memory_bytes"], chunks]))
"""
Case = Callable[[], tuple[float, int]]
Row = tuple[str, int, int, float, int]


class Bench:
    """The database, a folder to write to, and the cases over both."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder

    def fill(self, rows: int) -> None:
        with self.server.connect("benchmark") as connection:
            for statement in (
                f"DROP TABLE IF EXISTS big_{rows}",
                TABLE.format(rows=rows),
                f"VACUUM ANALYZE big_{rows}",
            ):
                for each in statement.split(";"):
                    connection.execute(each)  # type: ignore[arg-type]

    def psql(self, query: str) -> tuple[float, int]:
        place = {"PGHOST": self.server.host, "PGPORT": str(self.server.port), "PGUSER": "postgres"}
        begin = time.perf_counter()
        with (self.folder / "psql.csv").open("wb") as out:
            subprocess.run(
                [str(embedded_programs() / "psql"), "-qc", f"COPY ({query}) TO STDOUT (FORMAT csv)", "postgres"],
                env={**os.environ, **{name: str(value) for name, value in place.items()}}, stdout=out, check=True,
            )  # fmt: skip
        return time.perf_counter() - begin, 0

    def export(self, rows: int, **given: Any) -> tuple[float, int]:
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        options = {
            "table": f"big_{rows}", "to": str(self.folder / "out"), "overwrite": True,
            "host": self.server.host, "port": self.server.port, "user": "postgres", "dbname": "postgres", **given,
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", CHILD, json.dumps(options)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "lib")}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        seconds, peak, _ = json.loads(done.stdout)
        return seconds, peak

    def offset_loop(self, rows: int, size: int = 10_000) -> tuple[float, int]:
        """What is often written by hand: pages by LIMIT and OFFSET through csv.writer."""
        begin = time.perf_counter()
        with self.server.connect("benchmark") as connection, (self.folder / "loop.csv").open("w") as out:
            writer = csv.writer(out)
            for offset in range(0, rows, size):
                query = f"SELECT * FROM big_{rows} ORDER BY id LIMIT {size} OFFSET {offset}"  # noqa: S608
                writer.writerows(connection.execute(query).fetchall())  # type: ignore[arg-type]
        return time.perf_counter() - begin, 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table in the race")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--curve", default="100000,1000000", help="rows of the tables in the memory curve")
    parser.add_argument("--forms", default="csv,jsonl,parquet,delta", help="forms in the memory curve")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tallymark-bench-"))
    try:
        with embedded_postgres(folder / "pg", settings={"max_wal_size": "4GB"}) as running:
            curve = [(int(rows), form) for rows in given.curve.split(",") for form in given.forms.split(",")]
            measure(Bench(running.server, folder), given.rows, given.repetitions, curve)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(bench: Bench, rows: int, repetitions: int, curve: list[tuple[int, str]]) -> None:
    for number in sorted({rows, *(number for number, _ in curve)}):
        bench.fill(number)
    table = f"big_{rows}"
    race: dict[str, Case] = {
        "psql COPY": lambda: bench.psql(f"SELECT * FROM {table}"),  # noqa: S608 - a number
        "psql COPY, ordered": lambda: bench.psql(f"SELECT * FROM {table} ORDER BY id"),  # noqa: S608
        "export csv, 1 worker": lambda: bench.export(rows, workers=1),
        "export csv, 2 workers": lambda: bench.export(rows, workers=2),
        "LIMIT/OFFSET loop": lambda: bench.offset_loop(rows),
    }
    found: list[Row] = []
    with ROWS_CSV.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["case", "rows", "repetition", "seconds", "peak_memory_bytes"])

        def note(name: str, number: int, repetition: int, seconds: float, peak: int) -> None:
            found.append((name, number, repetition, seconds, peak))
            writer.writerow([name, number, repetition, round(seconds, 3), peak])
            out.flush()
            print(f"{name:<24} {number:>10,} rows {seconds:7.2f} s {peak / 1e6:7.1f} MB", flush=True)

        for repetition in range(repetitions):
            for name, case in race.items():
                note(name, rows, repetition, *case())
        for number, form in curve:
            note(f"memory {form}", number, 0, *bench.export(number, format=form))
    print("\n".join(summary(found, rows)))


def summary(found: list[Row], rows: int) -> list[str]:
    """Returns rows a second of each case in the race, and how it compares with psql."""
    times: dict[str, list[float]] = {}
    for name, number, _, seconds, _ in found:
        if number == rows and not name.startswith("memory"):
            times.setdefault(name, []).append(seconds)
    best = statistics.median(times["psql COPY"])
    return [
        f"{name:<24} {rows / middle:>10,.0f} rows/s   {best / middle:6.2f} x psql COPY"
        for name, middle in ((name, statistics.median(each)) for name, each in times.items())
    ]


if __name__ == "__main__":
    main()
