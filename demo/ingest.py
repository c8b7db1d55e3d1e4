"""`make demo-ingest`: a log API with faults, two runs over three hours of it, and what the API says is the truth."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import requests
from deltalake import DeltaTable

ROOT = Path(__file__).parents[1]
HERE = ROOT / "build/demo-ingest"
WINDOW = ("2026-10-01T06:00:00Z", "2026-10-01T09:00:00Z")


def main() -> int:
    subprocess.run(["rm", "-rf", str(HERE)], check=True)
    keys = HERE / "keys"
    command = [sys.executable, str(ROOT / "demo/log_api.py"), "--port", "0", "--keys-file", str(keys)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            print(f"The log API answers at {url}: 502, 504, cut bodies, repeated, late and hostile records among them.")
            codes = [ingest(f"{url}/next?from={{from}}&to={{to}}", keys) for _ in range(2)]
            truth = Counter(requests.get(f"{url[:-5]}/truth?from={WINDOW[0]}&to={WINDOW[1]}", timeout=60).json())
        finally:
            server.terminate()
    files = pa.table(DeltaTable(HERE / "out/delta/logs").get_add_actions(flatten=True)).to_pylist()
    found = Counter[str]()
    for file in files:
        found[f"{file['partition.dt']}T{file['partition.hour']}"] += file["num_records"]
    same = found == truth
    print(
        f"The API has logged {truth.total():,} good records in {len(truth)} hours; "
        f"the table has {found.total():,} in {len(found)}: {'the same' if same else 'NOT THE SAME'}."
    )
    return 0 if same and codes == [0, 0] else 1


def ingest(api: str, keys: Path) -> int:
    since, until = WINDOW
    options = ["--api", api, "--since", since, "--until", until, "--keys-from", f"file:{keys}"]
    return subprocess.run(
        [str(ROOT / "spark-submit.sh"), "ingest", "--conf", str(ROOT / "conf/ingest.yaml"), *options],
        cwd=ROOT,
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
