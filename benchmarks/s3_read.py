"""Reconciles the same data from the local disk and from a slow S3 server, and compares how long the comparing took.

    .venv/bin/python benchmarks/s3_read.py FOLDER [--repetitions 3] [--delay-ms 20] [--megabytes 50]

FOLDER holds the folders `source` and `backup`, as benchmarks/reconcile/data.py makes them. Comparing is the longest
stage in Spark's own event log; the rest of a run is the same wherever the objects are. Prints one line of JSON a run
(seconds) and last the medians; `speed` is that of S3 in parts of the local one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
KEYS = {
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@contextmanager
def slow_server(folder: Path, options: argparse.Namespace) -> Iterator[str]:
    script = str(Path(__file__).with_name("slow_s3.py"))
    command = [
        sys.executable,
        script,
        str(folder),
        f"--delay-ms={options.delay_ms}",
        f"--megabytes={options.megabytes}",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def run(places: tuple[str, str], endpoint: str) -> dict[str, float]:
    """Runs the job once; returns the seconds of all of it and of its longest stage."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "log").mkdir()
        settings = {"enabled": "true", "dir": f"file://{scratch}/log", "compress": "false", "rolling.enabled": "false"}
        spark = [part for name, text in settings.items() for part in ("--conf", f"spark.eventLog.{name}={text}")]
        job = ["reconcile", "--source", places[0], "--backup", places[1], "--out", f"{scratch}/out"]
        started = time.perf_counter()
        done = subprocess.run(
            [str(ROOT / "spark-submit.sh"), *spark, *job],
            env={**os.environ, **KEYS, "AWS_ENDPOINT_URL": endpoint},
            capture_output=True,
            text=True,
            check=False,
        )
        total = time.perf_counter() - started
        if done.returncode not in (0, 1):
            raise SystemExit(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return {"total": round(total, 2), "comparing": round(longest_stage(Path(scratch) / "log"), 2)}


def longest_stage(folder: Path) -> float:
    lines = (line for path in folder.iterdir() for line in path.read_text(encoding="utf-8").splitlines())
    ended = (json.loads(line)["Stage Info"] for line in lines if '"SparkListenerStageCompleted"' in line)
    return max((stage["Completion Time"] - stage["Submission Time"]) / 1000 for stage in ended)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--delay-ms", type=float, default=20)
    parser.add_argument("--megabytes", type=float, default=50)
    options = parser.parse_args()
    folder = options.folder.resolve()
    places = {
        "local": (f"{folder}/source", f"{folder}/backup"),
        "s3": ("s3://source", "s3://backup"),
    }
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in places}
    with slow_server(folder, options) as endpoint:
        for _ in range(options.repetitions):
            for name, pair in places.items():
                rows[name].append(run(pair, endpoint))
                print(json.dumps({"from": name, **rows[name][-1]}), flush=True)
    medians = {name: median(row["comparing"] for row in taken) for name, taken in rows.items()}
    print(json.dumps({**medians, "speed": round(medians["local"] / medians["s3"], 3)}))


if __name__ == "__main__":
    main()
