"""A thousand files that went wrong, and bombs: each is accounted for, none is called equal that is not, memory stays.

What the files hold is decided apart, in `fuzzed_files`, by the standard library.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import pytest
from pyspark.sql import Row, SparkSession

import fuzzed_files as fuzz
from fuzzed_files import HARMFUL, HARMLESS, UnreadableError, records_of
from reconcile_runs import Objects, reconciled, written

SEED = os.environ.get("TORTURE_SEED", "1")
FILES = 1_000
MOST_MEMORY = 350 << 20
SIDES = ("source", "backup", "both")


def files_of(random: Random) -> tuple[Objects, Objects, set[str]]:
    """Returns the objects of both sides, and the names of those that must match."""
    source, backup, equal = Objects(), Objects(), set[str]()
    kinds = [*HARMLESS, *HARMFUL]
    for number in range(FILES):
        kind = kinds[number % len(kinds)]
        suffix, content = fuzz.good(random)
        odd = (HARMLESS.get(kind) or HARMFUL[kind])(random, content)
        side = random.choice(SIDES)
        name = f"{number} {kind.replace(chr(92), '')}{suffix}" + random.choice(("", ".gz"))
        source[name] = content if side == "backup" else odd
        backup[name] = content if side == "source" else odd
        if kind in HARMLESS:
            equal.add(name)
    return source, backup, equal


def really_equal(name: str, source: bytes, backup: bytes) -> bool:
    try:
        left, right = (records_of(content, ".csv" in name) for content in (source, backup))
    except UnreadableError:
        return False
    return left == right


@contextmanager
def peak_of_workers(spark: SparkSession) -> Iterator[list[int]]:
    """Collects the largest memory, in bytes, that a Python worker of the session had meanwhile."""
    gateway = spark.sparkContext._gateway
    assert gateway is not None
    jvm = gateway.proc.pid
    for pid in workers(jvm):
        with suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): forgets the largest so far
    peaks, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            for pid in workers(jvm):
                with suppress(OSError, StopIteration):
                    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                    peaks.append(1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1]))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield peaks
    finally:
        stop.set()
        watching.join()


def workers(ancestor: int) -> list[int]:
    """Returns the processes below one."""
    found: list[int] = []
    level = {ancestor}
    parents: dict[int, int] = {}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(place.name)] = int(place.joinpath("stat").read_text().rpartition(")")[2].split()[1])
    while level:
        level = {pid for pid, parent in parents.items() if parent in level}
        found += level
    return [pid for pid in found if b"pyspark" in command(pid)]


def command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def assert_each_is_accounted_for(rows: list[Row], names: set[str]) -> None:
    assert {row.file_path for row in rows} == names
    for row in rows:
        assert "UNEXPECTED" not in (row.error or ""), row.error
        assert (row.status == "ERROR") == bool(row.error), row


@pytest.mark.torture
def test_bombs(spark: SparkSession, tmp_path: Path) -> None:
    """Each beside a sound file: none is equal to it, none stops another."""
    bombs = dict(fuzz.bombs(100))
    sound = b'{"id":1}\n{"id":2}\n'
    with peak_of_workers(spark) as peaks:
        result = reconciled(spark, tmp_path, {**bombs, "sound": sound}, dict.fromkeys([*bombs, "sound"], sound))
    rows = written(result, "files")

    assert_each_is_accounted_for(rows, {*bombs, "sound"})
    assert [row.file_path for row in rows if row.status == "MATCH"] == ["sound"]
    assert max(peaks) < MOST_MEMORY


def test_a_thousand_files_that_went_wrong(spark: SparkSession, tmp_path: Path) -> None:
    source, backup, equal = files_of(Random(f"{SEED} files"))
    with peak_of_workers(spark) as peaks:
        result = reconciled(spark, tmp_path, source, backup)
    rows = {row.file_path: row for row in written(result, "files")}

    assert_each_is_accounted_for(list(rows.values()), set(source))
    matched = {path for path, row in rows.items() if row.status == "MATCH"}
    wrong = [name for name in source if name in matched and not really_equal(name, source[name], backup[name])]
    assert wrong == []
    assert [name for name in sorted(equal) if name not in matched] == []
    assert result.exit_code == 3
    assert max(peaks) < MOST_MEMORY
