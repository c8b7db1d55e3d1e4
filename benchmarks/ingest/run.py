"""Measures `ingest` beside the bare decryption of the same tokens and beside the loop that people write first.

    .venv/bin/python benchmarks/ingest/run.py [--sizes 100000,1000000] [--repeat 3]        or: make bench-ingest

Every run is a row of benchmarks/ingest/rows.csv: what, records, seconds. The speed of `ingest` is the slope between the
two sizes (the start of Spark falls out); that of the decryption is all tokens over the time of the slower process.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build/bench-ingest"
ROWS = Path(__file__).with_name("rows.csv")
HISTORY_DAYS = 60
LOOP_RECORDS = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100000,1000000")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--parts", default="speed,history,loop", help="which of these")
    options = parser.parse_args()
    small, large = map(int, options.sizes.split(","))
    os.environ["TALLYMARK_FERNET_KEYS"] = ",".join(Fernet.generate_key().decode() for _ in range(2))
    WORK.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[float]] = defaultdict(list)

    def note(what: str, records: int, seconds: float) -> None:
        found[what].append(seconds)
        with ROWS.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(
                [f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}", what, records, f"{seconds:.2f}"]
            )
        print(f"{what:24} {records:>9,} records {seconds:8.2f} s", flush=True)

    if "speed" in options.parts:
        for size in (small, large):
            make_items(f"items-{size}", size, hours=24)
        for _ in range(options.repeat):
            for size in (small, large):
                note(f"decrypt {size}", size, decrypt_all(WORK / f"items-{size}"))
                note(f"ingest {size}", size, ingest(f"items-{size}", fresh("out")))
    if "history" in options.parts:
        make_items("hour", 2_000, hours=1)
        for days in (1, HISTORY_DAYS):
            make_items("history", days * 3_000, hours=24 * days)
            ingest("history", fresh("table"))
            for _ in range(options.repeat):
                shutil.copytree(WORK / "table", copy := fresh("copy"))
                note(f"one hour into {days} days", 2_000, ingest("hour", copy))
    if "loop" in options.parts:
        make_items("loop", LOOP_RECORDS, hours=24)
        note("ingest of the loop", LOOP_RECORDS, ingest("loop", fresh("out")))
        note("plain loop", LOOP_RECORDS, plain_loop(WORK / "loop", fresh("looped")))
    summarise(found, small, large)


def summarise(found: dict[str, list[float]], small: int, large: int) -> None:
    median = {what: statistics.median(seconds) for what, seconds in found.items()}
    for what, seconds in found.items():
        print(f"  {what}: {min(seconds):.2f} - {max(seconds):.2f} s in {len(seconds)} runs")
    if f"ingest {large}" in median:
        decrypt = large / median[f"decrypt {large}"]
        speed = (large - small) / (median[f"ingest {large}"] - median[f"ingest {small}"])
        print(f"bare decryption {decrypt:,.0f} records/s, ingest {speed:,.0f}: {speed / decrypt:.0%}")
    if "plain loop" in median:
        print(f"plain loop over ingest: {median['plain loop'] / median['ingest of the loop']:.1f} x")
    if "one hour into 1 days" in median:
        ratio = median[f"one hour into {HISTORY_DAYS} days"] / median["one hour into 1 days"]
        print(f"one hour into {HISTORY_DAYS} days over into 1 day: {ratio:.2f} x")


def make_items(name: str, records: int, hours: int) -> None:
    command = [
        sys.executable,
        str(ROOT / "demo/log_api.py"),
        "--write-files",
        str(fresh(name)),
        "--records",
        str(records),
    ]
    subprocess.run(
        [*command, "--files", "16", "--hours", str(hours), "--bad", "0.001", "--repeats", "0.001"],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def fresh(name: str) -> Path:
    shutil.rmtree(WORK / name, ignore_errors=True)
    return WORK / name


def ingest(items: str, out: Path) -> float:
    start = time.perf_counter()
    command = [str(ROOT / "spark-submit.sh"), "ingest", "--input", str(WORK / items), "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def decrypt_all(folder: Path) -> float:
    """Return the seconds of decryption alone, of the process that takes longest; reading is not counted."""
    files = sorted(folder.iterdir())
    cores = os.cpu_count() or 1
    with multiprocessing.Pool(cores) as pool:
        return max(pool.map(decrypt_files, [files[core::cores] for core in range(cores)], chunksize=1))


def decrypt_files(files: list[Path]) -> float:
    decrypt = MultiFernet([Fernet(key) for key in os.environ["TALLYMARK_FERNET_KEYS"].split(",")]).decrypt
    seconds = 0.0
    for path in files:
        tokens = [
            token for item in json.loads(gzip.decompress(path.read_bytes())) if is_text(token := item.get("data"))
        ]
        start = time.perf_counter()
        for token in tokens:
            with suppress(InvalidToken):
                decrypt(token)
        seconds += time.perf_counter() - start
    return seconds


def is_text(token: object) -> bool:
    return isinstance(token, str) and token.isascii()


def plain_loop(folder: Path, out: Path) -> float:
    """Pages of 100: decrypt, compare with all stored records, add what is new, write its hours again."""
    decrypt = MultiFernet([Fernet(key) for key in os.environ["TALLYMARK_FERNET_KEYS"].split(",")]).decrypt
    start = time.perf_counter()
    for path in sorted(folder.iterdir()):
        items = json.loads(gzip.decompress(path.read_bytes()))
        for at in range(0, len(items), 100):
            store_page(items[at : at + 100], decrypt, out)
    return time.perf_counter() - start


def store_page(items: list[dict[str, str]], decrypt: Callable[[str], bytes], out: Path) -> None:
    hours: dict[str, list[dict[str, str]]] = defaultdict(list)
    for item in items:
        try:
            record = json.loads(decrypt(item["data"]).replace(b"'", b'"'))
            hours[record["inDate"][:13]].append({**record, "record_id": str(record["record_id"])})
        except (InvalidToken, ValueError, KeyError, TypeError, RecursionError):
            continue
    stored = {
        path.name.partition(".")[0]: [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        for path in out.glob("*.json.gz")
    }
    known = {record["record_id"] for records in stored.values() for record in records}
    for hour, records in hours.items():
        new = [record for record in records if record["record_id"] not in known]
        lines = (json.dumps(record) + "\n" for record in [*stored.get(hour, []), *new])
        out.mkdir(exist_ok=True)
        (out / f"{hour}.json.gz").write_bytes(gzip.compress("".join(lines).encode()))


if __name__ == "__main__":
    main()
