"""Shows that memory is bounded: compares two large pretty-printed arrays, or many small objects, through the real job.

    .venv/bin/python benchmarks/bounded_memory.py array FOLDER [GIGABYTES]
    .venv/bin/python benchmarks/bounded_memory.py small FOLDER [OBJECTS]

Prints the job's exit code, wall time and the largest resident memory of any Python worker. Needs no package beside the
project's.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from isal import igzip

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks/reconcile"))

from measure import end_in_order, measure  # noqa: E402 - found only now

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


def main(what: str, folder: Path, amount: float) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    if what == "array":
        make_arrays(folder, amount)
    else:
        make_small(folder, int(amount))
    places = ["--source", folder / "source", "--backup", folder / "backup", "--out", folder / "out"]
    taken = measure([str(ROOT / "spark-submit.sh"), "reconcile", *map(str, places)])
    print(f"{what}: exit code {taken.exit_code}, {taken.wall_s:.1f} s, largest Python worker {taken.worker_mb} MB")
    return 0 if taken.exit_code == 1 else 1


if __name__ == "__main__":
    end_in_order()
    default = {"array": 2.0, "small": 20_000.0}[sys.argv[1]]
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else default))
