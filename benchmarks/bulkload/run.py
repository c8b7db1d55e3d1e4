"""Measures our own methods against Spark's JDBC writer and `psql \\copy`, on a PostgreSQL of the benchmark's own.

    .venv/bin/python benchmarks/bulkload/run.py [--records 245000] [--repeat 3] [--out build/bench-bulkload]

The matrix is measured by the job itself. Then `psql` copies a prepared file of the same rows into the same table, with
as many processes as the best COPY cell had connections. Every repeat is a row in rows.csv beside this script, appended
at once; the last lines are the ratios of the medians. The fastest COPY cell is chosen by its median, and so is the
fastest cell of each of Spark's writers.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

from data import COLUMNS
from deltalake import DeltaTable

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "lib"))

from tallymark.io.embedded_postgres import RunningPostgres, embedded_postgres  # noqa: E402 - the path comes first

ROWS = Path(__file__).with_name("rows.csv")
SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "8GB", "checkpoint_timeout": "30min"}
CELLS = {"batch_size": "100,1000,5000", "connections": "1,2,4"}
HEAD = (
    "time", "machine", "records", "method", "batch_size", "connections", "repeat", "rows_per_second", "load_seconds",
    "wall_seconds", "effective_connections", "load_average", "status",
)  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--records", type=int, default=245_000)
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--out", type=Path, default=ROOT / "build/bench-bulkload")
    options.add_argument("--batch-size", default=CELLS["batch_size"])
    options.add_argument("--connections", default=CELLS["connections"])
    given = options.parse_args()
    folder = given.out.resolve() / str(given.records)
    data = Path(__file__).with_name("data.py")
    if not (folder / "input").exists():
        subprocess.run([sys.executable, str(data), str(folder / "input"), str(given.records)], check=True)
    with embedded_postgres(folder / "postgres", free_port(), SETTINGS) as running:
        rows = matrix(running, folder, given)
        best = fastest(rows, ("copy_text", "copy_binary"))
        rows += [
            copy_by_psql(running, folder, given.records, best["connections"], n) for n in range(1, given.repeat + 1)
        ]
    report(rows, best)


def free_port() -> int:
    from tallymark.runs.bulkload.begun import free_port as found

    return found()


def matrix(running: RunningPostgres, folder: Path, given: argparse.Namespace) -> list[dict[str, Any]]:
    server = running.server
    tables = [
        {"pattern": "tenders*", "table": "tenders", "key": ["id"],
         "columns": [{"name": name, "type": kind} for name, kind in COLUMNS]},
    ]  # fmt: skip
    run_id = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}"
    command = [
        str(ROOT / "spark-submit.sh"), "bulkload", "--host", str(server.host), "--port", str(server.port),
        "--user", str(server.user), "--dbname", str(server.dbname), "--input", str(folder / "input"),
        "--output-dir", str(folder / "out"), "--tables", json.dumps(tables), "--run-id", run_id,
        "--repeat", str(given.repeat), "--batch-size", given.batch_size, "--connections", given.connections,
        "--method", "spark_jdbc,spark_jdbc_rewrite,copy_text,copy_binary",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    cells = DeltaTable(str(folder / "out/delta/bulkload_cells")).to_pyarrow_table(filters=[("run_id", "=", run_id)])
    return [note(cell | {"connections": cell["num_connections"]}, given.records) for cell in cells.to_pylist()]


def note(cell: dict[str, Any], records: int) -> dict[str, Any]:
    """Appends a repeat to the raw rows, and returns it."""
    known = cell | {
        "time": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        "machine": f"{platform.machine()}-{os.cpu_count()}",
        "records": records,
        "load_average": round(os.getloadavg()[0], 1),
    }
    is_new = not ROWS.exists()
    with ROWS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HEAD, extrasaction="ignore", lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(known)
    return known


def copy_by_psql(running: RunningPostgres, folder: Path, records: int, connections: int, repeat: int) -> dict[str, Any]:
    """Copies prepared files by ``psql`` processes at once; the time is from the first start to the last end."""
    files = [folder / f"ready-{number}-of-{connections}.tsv" for number in range(connections)]
    table = "tallymark_bench.tenders_0"
    if not all(file.exists() for file in files):
        for number, file in enumerate(files):
            part = f"SELECT * FROM {table} WHERE id % {connections} = {number}"  # noqa: S608 - of numbers
            psql(running, f"\\copy ({part}) TO '{file}'").wait()
    psql(running, f"TRUNCATE {table}").wait()
    psql(running, "CHECKPOINT").wait()
    clock = time.monotonic()
    started = [psql(running, f"\\copy {table} FROM '{file}'") for file in files]
    codes = [each.wait() for each in started]
    seconds = time.monotonic() - clock
    found = {"method": "psql", "batch_size": records, "connections": connections, "repeat": repeat}
    figures = {"rows_per_second": records / seconds, "load_seconds": seconds, "wall_seconds": seconds}
    return note(found | figures | {"status": "OK" if not any(codes) else "FAILED"}, records)


def psql(running: RunningPostgres, command: str) -> subprocess.Popen[bytes]:
    server = running.server
    place = ["-h", str(server.host), "-p", str(server.port), "-U", str(server.user), "-d", str(server.dbname)]
    program = str(running.programs / "psql")
    return subprocess.Popen(
        [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", *place, "-c", command], stdout=subprocess.DEVNULL
    )


def fastest(rows: list[dict[str, Any]], methods: tuple[str, ...]) -> dict[str, Any]:
    speeds: dict[tuple[str, int, int], list[float]] = {}
    for row in rows:
        if row["status"] == "OK" and row["method"] in methods:
            speeds.setdefault((row["method"], row["batch_size"], row["connections"]), []).append(row["rows_per_second"])
    (method, size, connections), found = max(speeds.items(), key=lambda item: median(item[1]))
    return {"method": method, "batch_size": size, "connections": connections, "speed": median(found)}


def report(rows: list[dict[str, Any]], best: dict[str, Any]) -> None:
    print(f"best COPY cell: {best['method']} {best['batch_size']}x{best['connections']}: {best['speed']:,.0f} rows/s")
    for method in ("spark_jdbc_rewrite", "spark_jdbc", "psql", "roofline"):
        other = fastest(rows, (method,))
        cell = f"{other['batch_size']}x{other['connections']}"
        print(f"  {best['speed'] / other['speed']:.2f} x {method} ({cell}, {other['speed']:,.0f} rows/s)")


if __name__ == "__main__":
    main()
