"""Makes the data of the benchmark: telemetry of a seed, and a backup of it that a case says how to spoil.

    .venv/bin/python benchmarks/reconcile/data.py CASE FOLDER RECORDS

writes FOLDER/source and FOLDER/backup, gzip, about 290 bytes a record, 20 to 200 files. The same case and number of
records give the same bytes. Prints one line of JSON: the records of each side and how many differ, as planted.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from isal import igzip

SEED = 20261001
DIFFERENT_EVERY = 500  # 0.2 %
MOVED_EVERY = 100  # 1 %
CASES = {
    "a": "0.2 % of the records differ",
    "b": "content equal, gzip different",
    "c": "objects byte-identical",
    "d": "other key order and spacing, 0.2 % differ",
    "e": "case a, second run, nothing changed",
    "f": "JSON arrays, 0.2 % differ",
    "g": "CSV, 0.2 % differ",
    "h": "20,000 small objects, 0.2 % differ",
    "i": "1 % of the records moved to other files",
    "j": "records shuffled inside each file",
    "k": "backup in 20 files of other names",
}

_STATUS = ("driving", "driving", "driving", "idle", "charging", "parked")
_FIELDS = (
    '"device_id":"dev-{:06}"', '"ts":"2026-10-{:02}T{:02}:{:02}:{:02}.{:03}Z"', '"seq":{}', '"lat":{}.{:05}',
    '"lon":{}.{:05}', '"speed":{}.{}', '"heading":{}', '"battery":{{"soc":{}.{},"voltage":{}.{},"temperature":{}}}',
    '"status":"{}"', '"odometer":{}', '"signal":-{}', '"tags":["fleet-{:02}"]', '"firmware":"4.12.{}"',
    '"vin":"WVWZZZ{:06}"',
)  # fmt: skip
LINE = "{{" + ",".join(_FIELDS) + "}}"
_NAMES = "device_id,ts,seq,lat,lon,speed,heading,soc,voltage,temperature,status,odometer,signal,tags,firmware,vin"
_ROW = (
    "dev-{:06},2026-10-{:02}T{:02}:{:02}:{:02}.{:03}Z,{},{}.{:05},{}.{:05},"
    "{}.{},{},{}.{},{}.{},{},{},{},-{},fleet-{:02},4.12.{},WVWZZZ{:06}"
)
# The places of the values in LINE, so that the same values can be written in another order of names.
_ARGUMENTS = (1, 5, 1, 2, 2, 2, 1, 5, 1, 1, 1, 1, 1, 1)
_SPEED = 12  # where the whole part of the speed stands among the values

Values = tuple[object, ...]
Write = Callable[[list[Values]], bytes]


def other_order() -> str:
    """Returns the template of the same record with its names sorted and blanks after `:` and `,`."""
    starts = [sum(_ARGUMENTS[:position]) for position in range(len(_ARGUMENTS))]
    order = sorted(range(len(_FIELDS)), key=lambda position: _FIELDS[position])
    parts = []
    for position in order:
        numbers = iter(range(starts[position], starts[position] + _ARGUMENTS[position]))
        text = _FIELDS[position].replace('":', '": ').replace(',"', ', "')
        for spec in ("{}", "{:02}", "{:03}", "{:05}", "{:06}"):
            text = text.replace(spec, spec.replace("{", "\0"))
        while "\0" in text:
            text = text.replace("\0", "{" + str(next(numbers)), 1)
        parts.append(text)
    return "{{" + ", ".join(parts) + "}}"


OTHER_LINE = other_order()


def values(part: int, count: int) -> list[Values]:
    """Returns the records of one file as the values of LINE."""
    rng = np.random.default_rng([SEED, part])

    def draw(high: int, low: int = 0) -> list[int]:
        return rng.integers(low, high, count).tolist()

    def odd(high: int) -> list[int]:  # decimals without a last 0, as every JSON writer spells them
        return (rng.integers(0, high, count) | 1).tolist()

    device = draw(50_000)
    second = np.sort(rng.integers(0, 86_400, count))
    day = [1 + part % 31] * count
    hour, minute, rest = (second // 3600).tolist(), (second // 60 % 60).tolist(), (second % 60).tolist()
    sequence = range(part * count, (part + 1) * count)
    status = [_STATUS[number] for number in draw(len(_STATUS))]
    return list(zip(
        device, day, hour, minute, rest, draw(1000), sequence, draw(60, 40), odd(100_000), draw(25), odd(100_000),
        draw(180), draw(10, 1), draw(360), draw(100), draw(10, 1), draw(420, 350), draw(10, 1), draw(45), status,
        draw(300_000), draw(110, 40), draw(40), draw(9), device,
    ))  # fmt: skip


def lines(records: list[Values], template: str = LINE) -> bytes:
    form = template.format
    return "\n".join([form(*record) for record in records]).encode() + b"\n"


def respelled(records: list[Values]) -> bytes:
    return lines(records, OTHER_LINE)


def array(records: list[Values]) -> bytes:
    return b"[" + lines(records)[:-1].replace(b"\n", b",\n") + b"]\n"


def table(records: list[Values]) -> bytes:
    return _NAMES.encode() + b"\n" + lines(records, _ROW)


def spoilt(records: list[Values]) -> list[Values]:
    """Returns the records with a speed of 999 in every DIFFERENT_EVERYth."""
    changed = list(records)
    for position in range(0, len(records), DIFFERENT_EVERY):
        record = records[position]
        changed[position] = (*record[:11], 999, *record[12:])
    return changed


@dataclass(frozen=True)
class Case:
    """How many files, and how the two sides are written."""

    name: str
    folder: Path
    records: int

    @property
    def files(self) -> int:
        return 20_000 if self.name == "h" else max(20, min(200, self.records // 50_000))

    @property
    def each(self) -> int:
        return self.records // self.files

    @property
    def ending(self) -> str:
        return {"f": "json", "g": "csv"}.get(self.name, "jsonl") + ".gz"

    def path(self, side: str, part: int, name: str = "part") -> Path:
        return self.folder / side / f"2026-10-{1 + part % 31:02}" / f"{name}-{part:05}.{self.ending}"


def write_pair(case: Case, part: int) -> None:
    """Writes one file of both sides; of case k, ten source files and the one backup file of their records."""
    write: Write = {"f": array, "g": table}.get(case.name, lines)
    if case.name == "k":
        each = case.files // 20
        contents = [lines(values(number, case.each)) for number in range(part * each, (part + 1) * each)]
        for number, content in enumerate(contents, part * each):
            put(case.path("source", number), content)
        put(case.path("backup", part, "again"), b"".join(contents))
        return
    records = values(part, case.each)
    packed = put(case.path("source", part), write(records))
    target = case.path("backup", part)
    if case.name == "c":
        shutil.copyfile(case.path("source", part), made(target))
    elif case.name == "b":
        made(target).write_bytes(gzip.compress(packed, 6, mtime=1))
    elif case.name == "d":
        put(target, respelled(spoilt(records)))
    elif case.name == "i":
        previous = values((part - 1) % case.files, case.each)[::MOVED_EVERY]
        stay = [record for position, record in enumerate(records) if position % MOVED_EVERY]
        put(target, lines(stay + previous))
    elif case.name == "j":
        Random(part).shuffle(records)
        put(target, lines(records))
    else:
        put(target, write(spoilt(records)))


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def put(path: Path, content: bytes) -> bytes:
    made(path).write_bytes(igzip.compress(content, 2, mtime=0))
    return content


def _write_parts(case: Case, parts: range) -> None:
    for part in parts:
        write_pair(case, part)


def make(name: str, folder: Path, records: int) -> dict[str, int]:
    """Writes the data of a case; returns what is planted."""
    case = Case("a" if name == "e" else name, folder, records)
    for side in ("source", "backup"):
        shutil.rmtree(folder / side, ignore_errors=True)
    parts = 20 if name == "k" else case.files
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores) as pool:
        list(pool.map(_write_parts, [case] * cores, [range(core, parts, cores) for core in range(cores)]))
    total = case.files * case.each
    spoils = case.name in "adfgh"
    return {
        "records": total,
        "different": case.files * -(-case.each // DIFFERENT_EVERY) if spoils else 0,
        "moved": case.files * -(-case.each // MOVED_EVERY) if case.name == "i" else 0,
    }


def _bytes_below(folder: Path) -> Iterator[int]:
    return (path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    place = Path(sys.argv[2])
    planted = make(sys.argv[1], place, int(sys.argv[3]))
    planted["bytes"] = sum(_bytes_below(place / "source")) + sum(_bytes_below(place / "backup"))
    print(json.dumps(planted))
