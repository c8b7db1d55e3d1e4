"""The Python loop: a file at a time, each record as JSON with sorted names, its SHA-256 into SQLite, compared there.

    python sqlite_loop.py CASE FOLDER OUT

Standard library only, one core. The hash stands in the table as bytes and the file and the position beside it, so that
the few differing records can be fetched.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

DIFFERENT = """
    CREATE TABLE different AS
    SELECT hash, sum(side = 'source') AS source_n, sum(side = 'backup') AS backup_n,
           min(file) AS file, min(line) AS line
    FROM records GROUP BY hash HAVING source_n <> backup_n
"""
TOTALS = """
    SELECT (SELECT count(*) FROM records WHERE side = 'source'), (SELECT count(*) FROM records WHERE side = 'backup'),
           coalesce(sum(max(source_n - backup_n, 0)), 0), coalesce(sum(max(backup_n - source_n, 0)), 0)
    FROM different
"""


def records(case: str, path: Path) -> Iterator[object]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        if case == "f":
            yield from json.load(file)
        elif case == "g":
            yield from csv.DictReader(file)
        else:
            yield from map(json.loads, file)


def rows(case: str, side: str, path: Path) -> Iterator[tuple[bytes, str, str, int]]:
    for number, record in enumerate(records(case, path), 1):
        text = json.dumps(record, sort_keys=True, separators=(",", ":"))
        yield hashlib.sha256(text.encode()).digest(), side, str(path), number


def main(case: str, folder: Path, out: Path) -> None:
    base = sqlite3.connect(out / "hashes.sqlite")
    base.execute("PRAGMA journal_mode = OFF")  # the file is only a place to sort in
    base.execute("PRAGMA synchronous = OFF")
    base.execute("CREATE TABLE records (hash BLOB, side TEXT, file TEXT, line INTEGER)")
    for side in ("source", "backup"):
        for path in sorted((folder / side).rglob("*.gz")):
            base.executemany("INSERT INTO records VALUES (?, ?, ?, ?)", rows(case, side, path))
    base.execute(DIFFERENT)
    answer = dict(zip(("source", "backup", "source_only", "backup_only"), base.execute(TOTALS).fetchone(), strict=True))
    with (out / "different.csv").open("w", newline="") as file:
        csv.writer(file).writerows(base.execute("SELECT source_n, backup_n, file, line FROM different"))
    base.close()
    print(json.dumps({**answer, "version": sqlite3.sqlite_version}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
