"""Measures `export` against psql's COPY, a LIMIT/OFFSET loop, Spark, ConnectorX and DuckDB, for `make bench-export`.

A PostgreSQL of its own (the wheel's), tables of seven columns with about 87 bytes a row. Contenders take turns, so a
noisy machine disturbs all of them alike; what counts are the ratios of medians. Every one is a command of its own, ours
is `./spark-submit.sh export`. Each run appends a row to rows.csv; the chunks of the largest export go to chunks.csv.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import shutil
import socket
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "lib"), str(ROOT / "benchmarks/reconcile")]

from measure import measure  # noqa: E402 - the path comes first

from tallymark.io.embedded_postgres import embedded_postgres, embedded_programs  # noqa: E402
from tallymark.io.postgres import Server  # noqa: E402

HERE = Path(__file__).parent
PEERS_PYTHON = ROOT / "build/peers-export/bin/python"  # made by `make bench-export`
HEAD = (
    "time", "machine", "load_average", "case", "rows", "seconds", "cpu_seconds", "peak_mb", "process_peak_bytes",
)  # fmt: skip
TABLE = """
CREATE UNLOGGED TABLE big_{rows} AS SELECT i::bigint AS id, 'name ' || i AS name,
'2024-01-01'::timestamptz + i * interval '1 s' AS at, (i * 1.01)::numeric(12, 2) AS amount, i % 2 = 0 AS ok,
md5(i::text) AS note FROM generate_series(1, {rows}) i;
ALTER TABLE big_{rows} ADD PRIMARY KEY (id)
"""
SETTINGS = {"max_wal_size": "8GB", "shared_buffers": "1GB", "checkpoint_timeout": "30min"}
PSQL, ORDERED, ONE, TWO = "psql COPY", "psql COPY, ordered", "export csv, 1 worker", "export csv, 2 workers"
LOOP, SPARK, CONNECTORX, DUCKDB = "LIMIT/OFFSET loop", "Spark JDBC to csv", "ConnectorX to parquet", "DuckDB to parquet"
PARQUET, BY_PAGES = "export parquet, 2 workers", ", by pages"
PEERS = {
    LOOP: (sys.executable, "offset_loop.py"),
    SPARK: (sys.executable, "spark_jdbc_csv.py"),
    CONNECTORX: (str(PEERS_PYTHON), "connectorx_parquet.py"),
    DUCKDB: (str(PEERS_PYTHON), "duckdb_parquet.py"),
}


@dataclass(frozen=True)
class Found:
    """One run: of the processes of the contender, not of the server. ``peak_mb``: the sum of the PSS of all of them at
    once; ``process_peak``: what our one process says of itself, in bytes.
    """

    case: str
    rows: int
    seconds: float
    cpu_seconds: float
    peak_mb: int
    process_peak: int = 0


class Bench:
    """The database, a folder to write to, and the contenders over both."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.found: list[Found] = []

    def fill(self, rows: int) -> None:
        with self.server.connect("benchmark") as connection:
            for each in [*TABLE.format(rows=rows).split(";"), f"VACUUM (ANALYZE, FREEZE) big_{rows}"]:
                connection.execute(each)  # type: ignore[call-overload]

    def run(self, case: str, rows: int) -> dict[str, Any]:
        """Runs a contender once, and keeps what it took, unless it failed; returns the manifest of ours."""
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        command = self._command(case, rows, out)
        environment = {**os.environ, "PGHOST": str(self.server.host), "PGPORT": str(self.server.port)}
        environment |= {"PGUSER": "postgres", "PGDATABASE": "postgres", "PYTHONPATH": ""}
        with (out / "stdout").open("wb") as stdout, (self.folder / "stderr").open("wb") as stderr:
            took = measure(command, 600, environment, stdout.fileno(), stderr.fileno())
        if took.exit_code:
            print(f"{case}: FAILED with {took.exit_code}\n{(self.folder / 'stderr').read_text()[-2000:]}", flush=True)
            return {}  # the others are measured all the same
        places = [*out.glob("t/manifest.json"), *out.glob("t.manifest.json")]
        manifest = json.loads(places[0].read_text()) if places else {}
        found = Found(case, rows, took.wall_s, took.cpu_s, took.peak_mb, manifest.get("peak_memory_bytes", 0))
        self.found.append(found)
        note(found)
        return dict(manifest)

    def _command(self, case: str, rows: int, out: Path) -> list[str]:
        table = f"big_{rows}"
        if case in (PSQL, ORDERED):
            order = " ORDER BY id" if case == ORDERED else ""
            query = f"COPY (SELECT * FROM {table}{order}) TO STDOUT (FORMAT csv)"  # noqa: S608 - our own table
            return [str(embedded_programs() / "psql"), "-X", "-q", "-c", query]
        if case.startswith("export"):
            form, workers = case.split()[1].rstrip(","), case.split()[2]
            given = ["--table", table, "--to", str(out / "t"), "--format", form, "--workers", workers]
            pages = ["--order-by", "ctid"] if case.endswith(BY_PAGES) else []
            return [str(ROOT / "spark-submit.sh"), "export", *given, *pages]
        python, script = PEERS[case]
        return [python, str(HERE / "peers" / script), self._dsn(case), table, str(out / "t"), str(rows)]

    def _dsn(self, case: str) -> str:
        host, port = self.server.host, self.server.port
        if case == CONNECTORX:  # knows URLs only
            return f"postgresql://postgres@{host}:{port}/postgres"
        return f"host={host} port={port} user=postgres dbname=postgres"


def note(found: Found) -> None:
    """Appends a run to the raw rows, and shows it."""
    place = HERE / "rows.csv"
    is_new = not place.exists()
    with place.open("a", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        if is_new:
            writer.writerow(HEAD)
        now, machine = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}", f"{platform.machine()}-{os.cpu_count()}"
        load = round(os.getloadavg()[0], 1)
        writer.writerow(
            [now, machine, load, found.case, found.rows, found.seconds, found.cpu_seconds, found.peak_mb,
             found.process_peak]
        )  # fmt: skip
    print(
        f"{found.case:<30} {found.rows:>10,} rows {found.seconds:7.2f} s, {found.cpu_seconds:6.2f} s of a processor, "
        f"{found.peak_mb:>5,} MB",
        flush=True,
    )


def note_chunks(manifest: dict[str, Any]) -> None:
    """Keeps the chunks of an export: their times show whether it slows down."""
    with (HERE / "chunks.csv").open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["number", "rows", "bytes", "seconds"])
        writer.writerows([each["number"], each["rows"], each["bytes"], each["seconds"]] for each in manifest["chunks"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the large table")
    parser.add_argument("--small", type=int, default=1_000_000, help="rows of the table in the race with the peers")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--without-peers", action="store_true")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tallymark-bench-"))
    try:
        with embedded_postgres(folder / "pg", _free_port(), SETTINGS) as running:
            bench = Bench(running.server, folder)
            measure_all(bench, given.rows, given.small, given.repetitions, [] if given.without_peers else [*PEERS])
            print("\n".join(summary(bench.found, given.rows, given.small)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure_all(bench: Bench, large: int, small: int, repetitions: int, peers: Sequence[str]) -> None:
    tiny = small // 10
    for rows in (tiny, small, large):
        bench.fill(rows)
    manifest: dict[str, Any] = {}
    for _ in range(repetitions):
        for case in (PSQL, ORDERED, ONE, TWO, ONE + BY_PAGES, TWO + BY_PAGES):
            made = bench.run(case, large)
            manifest = made if case == ONE else manifest
    note_chunks(manifest)
    for _ in range(repetitions):
        for case in (PSQL, ONE, TWO, PARQUET, *peers):
            bench.run(case, small)
    for case in (PARQUET, *(peer for peer in peers if peer in (CONNECTORX, DUCKDB))):
        bench.run(case, large)
    for form in ("csv", "jsonl", "parquet", "delta"):
        bench.run(f"export {form}, 2 workers", tiny)
    for form in ("jsonl", "delta"):
        bench.run(f"export {form}, 2 workers", large)


def summary(found: list[Found], large: int, small: int) -> list[str]:
    """Returns the lines that the issue of speed and memory asks for."""
    lines = []
    for rows in (large, small):
        times = _medians(found, rows, lambda each: each.seconds)
        peaks = _medians(found, rows, lambda each: each.peak_mb)
        lines.append(f"{rows:,} rows: rows/s, times psql COPY, MB of all processes")
        lines += [
            f"  {case:<30} {rows / seconds:>10,.0f} {times[PSQL] / seconds:6.2f} x {peaks[case]:>6,.0f} MB"
            for case, seconds in times.items()
        ]
    tiny = small // 10
    before, after = (_medians(found, rows, lambda each: each.process_peak) for rows in (tiny, large))
    lines.append(f"growth of the process from {tiny:,} to {large:,} rows")
    lines += [
        f"  {case:<30} {before[case] / 1e6:6.1f} -> {after[case] / 1e6:6.1f} MB"
        for case in before
        if before[case] and case in after
    ]
    return [*lines, _flatness(HERE / "chunks.csv")]


def _medians(found: list[Found], rows: int, figure: Callable[[Found], float]) -> dict[str, float]:
    cases = dict.fromkeys(each.case for each in found if each.rows == rows)
    return {
        case: statistics.median(figure(each) for each in found if (each.case, each.rows) == (case, rows))
        for case in cases
    }


def _flatness(chunks: Path) -> str:
    """Compares the full chunks of the first and of the last third."""
    with chunks.open() as file:
        read = [(int(row["rows"]), float(row["seconds"])) for row in csv.DictReader(file)]
    most = max(rows for rows, _ in read)
    full = [seconds / rows * 1e6 for rows, seconds in read if rows > most / 2]
    third = max(1, len(full) // 3)
    first, last = statistics.median(full[:third]), statistics.median(full[-third:])
    return f"{len(read)} chunks: {first:.2f} us a row in the first third, {last:.2f} in the last"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
