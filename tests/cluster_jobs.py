"""The four jobs as the tests of clusters start them: their data on S3 and in PostgreSQL, and what must come of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from deltalake import DeltaTable

from bulkload_loads import PEOPLE, people, query
from s3_server import Bucket, S3Server
from tallymark.io.postgres import Server

KEY = Fernet.generate_key().decode()
_FILES = 4


@dataclass(frozen=True)
class Job:
    """A job on its data: how it is started, its exit code, a line of its output, and what it must leave behind.

    ``left`` reads what it left in a form that two runs can be compared by; ``expected`` is that form by hand.
    """

    name: str
    arguments: tuple[str, ...]
    code: int
    line: str
    left: Callable[[], object]
    expected: object
    environment: dict[str, str] = field(default_factory=dict)


def table(bucket: Bucket, server: S3Server, name: str) -> list[dict[str, Any]]:
    """Returns the rows of a table below the bucket's `out`."""
    options = {**server.environment, "AWS_ALLOW_HTTP": "true"}
    found: list[dict[str, Any]] = (
        DeltaTable(f"{bucket.uri}/out/delta/{name}", storage_options=options).to_pyarrow_table().to_pylist()
    )
    return found


def reconcile_job(bucket: Bucket, server: S3Server, folder: Path, files: int = _FILES) -> Job:
    """The backup lacks one record, and has changed another."""
    lines = [b'{"id":%d,"site":"north","speed":%d.5,"ok":true}\n' % (number, number) for number in range(files * 250)]
    for number in range(files):
        part = lines[number * 250 : number * 250 + 250]
        bucket.put(f"source/{number}.json", b"".join(part))
        other = [*part[1:-1], part[-1].replace(b"true", b"null")] if number == 1 else part
        bucket.put(f"backup/{number}.json", b"".join(other))
    conf = folder / "month.yaml"
    conf.write_text(
        f"source: {bucket.uri}/source\nbackup: {bucket.uri}/backup\nout: {bucket.uri}/out\nkey: [id]\nrun_id: month\n"
    )

    def left() -> object:
        names = ("file_path", "source_records", "matched_records", "mismatched_records", "missing_in_backup")
        rows = sorted(tuple(row[name] for name in names) for row in table(bucket, server, "files"))
        kinds = sorted((row["bucket_type"], row["count"]) for row in table(bucket, server, "mismatches"))
        return rows, kinds

    rows = [
        (f"{number}.json", 250, 248, 1, 1) if number == 1 else (f"{number}.json", 250, 250, 0, 0)
        for number in range(files)
    ]
    total = f"{files * 250:,}"
    matched = f"{files * 250 - 2:,}"
    line = f"source {total} = matched {matched} + changed 1 + moved out 0 + missing in backup 1"
    expected = (rows, [("changed", 1), ("source_only", 1)])
    return Job("reconcile", ("--conf", str(conf)), 1, line, left, expected)


def ingest_job(bucket: Bucket, server: S3Server, files: int = _FILES) -> Job:
    """Every fifth record comes twice; the last file is cut, so the run is incomplete."""
    seal = Fernet(KEY)
    items = []
    for number in range(400):
        text = {
            "user_id": f"{number:064x}", "record_id": f"r{number}", "method": "GET", "url": "/a",
            "inDate": f"2026-03-17T{number % 8:02}:00:00.{number:06}",
        }  # fmt: skip
        items += [{"data": seal.encrypt(str(text).encode()).decode()}] * (2 if number % 5 == 0 else 1)
    for number in range(files):
        bucket.put(f"in/{number}.json.gz", gzip.compress(json.dumps(items[number::files]).encode()))
    bucket.put("in/cut.json.gz", gzip.compress(b'[{"data":"x"},' * 100)[:40])

    def left() -> object:
        rows = sorted(row["record_id"] for row in table(bucket, server, "logs"))
        hours = [bucket.get(f"out/{path}") for path in hour_paths()]
        return rows, [len(gzip.decompress(hour).splitlines()) for hour in hours]

    def hour_paths() -> list[str]:
        return sorted(path for path in bucket.paths("out") if path.startswith("published/") and path.endswith(".gz"))

    expected = (sorted(f"r{number}" for number in range(400)), [50] * 8)
    arguments = ("--input", f"{bucket.uri}/in", "--out", f"{bucket.uri}/out")
    line = "extracted 480 = written 400 + duplicates 80 + quarantined 0"
    return Job("ingest", arguments, 3, line, left, expected, {"TALLYMARK_FERNET_KEYS": KEY})


def bulkload_job(bucket: Bucket, database: Server, folder: Path, files: int = _FILES) -> Job:
    for number in range(files):
        records = people(number * 100, number * 100 + 100)
        bucket.put(f"in/people-{number}.json", "".join(json.dumps(one) + "\n" for one in records).encode())
    conf = folder / "load.yaml"
    options = {
        "input": f"{bucket.uri}/in", "output_dir": f"{bucket.uri}/out", "tables": [PEOPLE], "load": True,
        "method": ["copy_text"], "batch_size": [10], "connections": [2], "run_id": "month",
    }  # fmt: skip
    conf.write_text(json.dumps(options))

    def left() -> object:
        return query(database, "SELECT count(*), count(DISTINCT id), min(id), max(id) FROM people")

    total = files * 100
    line = f"read {total} = loaded {total} + skipped 0 + rejected 0"
    expected = [(total, total, 0, total - 1)]
    return Job("bulkload", ("--conf", str(conf)), 0, line, left, expected, libpq(database))


def export_job(bucket: Bucket, database: Server, rows: int = 20_000) -> Job:
    with database.connect("tests") as connection:
        connection.execute(
            f"CREATE TABLE orders AS SELECT i AS id, 'order ' || i AS note FROM generate_series(1, {rows}) i".encode()
        )
        connection.execute("ALTER TABLE orders ADD PRIMARY KEY (id)")

    def left() -> object:
        paths = [path for path in bucket.paths("orders") if path.startswith("part-")]
        bodies = (bucket.get(f"orders/{path}") for path in paths)
        found = [int(line.split(b",")[0]) for body in bodies for line in body.splitlines()[1:]]
        return len(found), len(set(found)), sum(found)

    arguments = (
        "--table",
        "orders",
        "--to",
        f"{bucket.uri}/orders",
        "--out",
        f"{bucket.uri}/out",
        "--batch-size",
        "1000",
    )
    line = f"rows in the snapshot {rows:,} = rows in the files {rows:,}"
    expected = (rows, rows, rows * (rows + 1) // 2)
    return Job("export", (*arguments, "--no-adapt"), 0, line, left, expected, libpq(database))


def libpq(server: Server) -> dict[str, str]:
    """Returns the variables by which libpq finds the server."""
    place = {"PGHOST": server.host, "PGPORT": server.port, "PGDATABASE": server.dbname, "PGUSER": server.user}
    return {name: str(value) for name, value in place.items()}
