"""Shows that memory is bounded: compares two large pretty-printed arrays, or many small objects, through the real job.

    .venv/bin/python benchmarks/bounded_memory.py array FOLDER [GIGABYTES]
    .venv/bin/python benchmarks/bounded_memory.py small FOLDER [OBJECTS]

Prints the job's exit code, wall time and the largest resident memory of any Python worker, sampled from /proc ten times
a second. Needs no package beside the project's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from isal import igzip

ROOT = Path(__file__).parents[1]
CHANGED_EVERY = 100_000


def element(number: int, changed: bool) -> bytes:
    record = {
        "device_id": f"dev-{number % 50_000:06}",
        "seq": number,
        "speed": -1 if changed else number % 130,
        "position": {"lat": number % 90, "lon": number % 180},
        "tags": [{"k": "a"}, {"k": "b", "v": number % 7}],
        "note": "x" * 60,
    }
    return json.dumps(record, indent=2).encode()


def make_arrays(folder: Path, gigabytes: float) -> None:
    for side in ("source", "backup"):
        (folder / side).mkdir(parents=True)
        written, number = 1, 0
        with igzip.open(folder / side / "array.json.gz", "wb", compresslevel=1) as file:
            file.write(b"[\n")
            while written < gigabytes * (1 << 30):
                changed = side == "backup" and number % CHANGED_EVERY == 0
                piece = (b",\n" if number else b"") + element(number, changed)
                file.write(piece)
                written += len(piece)
                number += 1
            file.write(b"\n]\n")


def make_small(folder: Path, objects: int) -> None:
    for side in ("source", "backup"):
        for number in range(objects):
            path = folder / side / f"{number % 100:02}" / f"{number:06}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            changed = side == "backup" and number % 1_000 == 0
            path.write_bytes(b"".join(b'{"n":%d,"o":%d,"v":%d}\n' % (n, number, changed) for n in range(10)))


def worker_memory(root: int) -> int:
    """Returns the largest resident size, in MB, of any Python worker below the process."""
    parents: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                status = dict(line.split(":", 1) for line in Path(f"/proc/{entry}/status").read_text().splitlines())
                command = Path(f"/proc/{entry}/cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry)] = int(status["PPid"])
            if b"pyspark.daemon" in command and "VmRSS" in status:
                sizes[int(entry)] = int(status["VmRSS"].split()[0]) >> 10

    def is_below(process: int) -> bool:
        while process > 1 and process != root:
            process = parents.get(process, 0)
        return process == root

    return max((size for process, size in sizes.items() if is_below(process)), default=0)


def main(what: str, folder: Path, amount: float) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    if what == "array":
        make_arrays(folder, amount)
    else:
        make_small(folder, int(amount))
    places = ["--source", folder / "source", "--backup", folder / "backup", "--out", folder / "out"]
    began, peak = time.perf_counter(), 0
    with subprocess.Popen([str(ROOT / "spark-submit.sh"), "reconcile", *map(str, places)]) as job:
        while job.poll() is None:
            peak = max(peak, worker_memory(job.pid))
            time.sleep(0.1)
    seconds = time.perf_counter() - began
    print(f"{what}: exit code {job.returncode}, {seconds:.1f} s, largest Python worker {peak} MB")
    return 0 if job.returncode == 1 else 1


if __name__ == "__main__":
    default = {"array": 2.0, "small": 20_000.0}[sys.argv[1]]
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else default))
