"""The physical limits, which compare nothing: reading all bytes in one go, and inflating them on all cores.

python limit.py read|inflate FOLDER
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

from isal import igzip

PIECE = 1 << 18  # stays in the second-level cache; 1 MB and 64 KB were slower


def read(path: Path) -> int:
    total, buffer = 0, bytearray(PIECE)
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            total += size
    return total


def inflate(path: Path) -> int:
    total, buffer = 0, bytearray(PIECE)
    with igzip.IGzipFile(path) as file:
        while size := file.readinto(buffer):
            total += size
    return total


def main(what: str, folder: Path) -> None:
    # Largest first, so that no core waits for another at the end.
    paths = sorted((path for path in folder.rglob("*.gz")), key=lambda path: -path.stat().st_size)
    if what == "read":
        total = sum(map(read, paths))
    else:
        with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            total = sum(pool.map(inflate, paths, chunksize=max(1, len(paths) // 200)))
    print(json.dumps({"bytes": total, "version": version("isal")}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
