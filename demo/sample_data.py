"""Makes the sample data of `make demo`: telemetry of one week and a backup of it with known faults.

    python demo/sample_data.py FOLDER

writes FOLDER/source and FOLDER/backup (48 objects a side at most, 240,000 records, JSON Lines, JSON arrays and CSV,
gzip and plain, in nested folders) and prints what is wrong with the backup, to hold against the report.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Record = dict[str, Any]

RECORDS = 5_000
DAYS = 8
SITES = ("north", "south", "west")
KINDS = ("jsonl", "array", "csv")


def record(rng: random.Random, day: int, number: int) -> Record:
    return {
        "device_id": f"dev-{rng.randrange(2_000):05}",
        "seq": number,
        "ts": f"2026-10-{day:02}T{rng.randrange(24):02}:{rng.randrange(60):02}:00.{rng.randrange(1000):03}Z",
        "speed": round(rng.uniform(0, 130), 2),
        "temperature": round(rng.uniform(-20, 45), 1),
        "position": {"lat": round(rng.uniform(-60, 60), 6), "lon": round(rng.uniform(-180, 180), 6)},
        "status": rng.choice(["ok", "ok", "ok", "warn", "Störung"]),
        "tags": rng.sample(["a", "b", "c", "d"], 2),
    }


def json_lines(records: list[Record]) -> bytes:
    return b"".join(json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" for item in records)


def respelled_lines(records: list[Record]) -> bytes:
    """The same records as another tool writes them: keys sorted, spaces, escapes."""
    return b"".join(json.dumps(item, sort_keys=True).encode() + b"\n" for item in records)


def array(records: list[Record]) -> bytes:
    return json.dumps(records, indent=2, ensure_ascii=False).encode()


def table(records: list[Record]) -> bytes:
    file = io.StringIO(newline="")
    flat = [{**item, "position": json.dumps(item["position"]), "tags": " ".join(item["tags"])} for item in records]
    writer = csv.DictWriter(file, list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return file.getvalue().encode()


WRITERS: dict[str, Callable[[list[Record]], bytes]] = {"jsonl": json_lines, "array": array, "csv": table}
ENDINGS = {"jsonl": "jsonl", "array": "json", "csv": "csv"}


def put(folder: Path, name: str, content: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, 1, mtime=0) if name.endswith(".gz") else content)


def main(target: Path) -> None:
    rng = random.Random(20261001)
    source, backup = target / "source", target / "backup"
    for folder in (source, backup):
        shutil.rmtree(folder, ignore_errors=True)
    objects: dict[str, tuple[str, list[Record]]] = {}
    for day in range(1, DAYS + 1):
        for site_number, site in enumerate(SITES):
            for part in range(2):
                kind = KINDS[(day + site_number + part) % 3]
                packed = ".gz" if (day + part) % 2 else ""
                name = f"{site}/2026/10/{day:02}/part-{part}.{ENDINGS[kind]}{packed}"
                first = len(objects) * RECORDS
                objects[name] = (kind, [record(rng, day, first + number) for number in range(RECORDS)])
    for name, (kind, records) in objects.items():
        put(source, name, WRITERS[kind](records))
    for line in plant_faults(objects, backup):
        print(f"  - {line}")


def plant_faults(objects: dict[str, tuple[str, list[Record]]], backup: Path) -> list[str]:
    """Writes the backup; returns what is wrong with it."""
    lines = [name for name, (kind, _) in objects.items() if kind == "jsonl"]
    arrays = [name for name, (kind, _) in objects.items() if kind == "array"]
    tables = [name for name, (kind, _) in objects.items() if kind == "csv"]
    copies = {name: list(records) for name, (_, records) in objects.items()}
    for name in (lines[0], arrays[0]):
        copies[name][100:160] = [{**item, "speed": item["speed"] + 1} for item in copies[name][100:160]]
    copies[tables[0]] = [{**item, "status": "ok?"} if item["seq"] % 500 == 0 else item for item in copies[tables[0]]]
    del copies[lines[1]][2_000:2_025]
    copies[lines[2]] += copies[lines[2]][:10]
    moved = copies[arrays[1]][:40]
    del copies[arrays[1]][:40]
    copies[arrays[2]] += moved
    for name, (kind, _) in objects.items():
        if name == tables[1]:
            continue
        content = (respelled_lines if name in lines[3:6] else WRITERS[kind])(copies[name])
        put(backup, name, content)
    packed = next(name for name in lines[6:] if name.endswith(".gz"))
    whole = (backup / packed).read_bytes()
    (backup / packed).write_bytes(whole[: len(whole) // 2])
    put(backup, "south/2026/10/01/left-over.jsonl", json_lines(objects[lines[0]][1][:3]) + b'{"seq": 1, "seq": 2}\n')
    return [
        f"120 records changed in $.speed: {lines[0]}, {arrays[0]}",
        f"10 records changed in $.status: {tables[0]}",
        f"25 records missing: {lines[1]}",
        f"10 records twice: {lines[2]}",
        f"40 records moved: from {arrays[1]} to {arrays[2]}",
        f"3 objects written again with other key order and spacing: {', '.join(lines[3:6])}",
        f"an object missing: {tables[1]}",
        f"an object cut in half: {packed}",
        "an object too many, with 3 copied records and an invalid one: south/2026/10/01/left-over.jsonl",
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
