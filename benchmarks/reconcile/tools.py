"""The tools of the benchmark: how each is started, which cases and sizes it runs, how its answer is read.

What they do lies in `peers/`; `run.py` starts them. A tool joins by an entry in TOOLS.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PEERS = Path(__file__).parent / "peers"
PEERS_PYTHON = ROOT / "build/peers/bin/python"  # made by `make bench`
ALL = "abcdefghijk"

Answer = dict[str, object]


@dataclass(frozen=True)
class Tool:
    name: str
    command: Callable[[str, Path, Path], list[str]]  # of case, folder of the data, a place for its own output
    cases: str = ALL
    largest: Mapping[str, int] = field(default_factory=dict)  # records a side, of single cases; under "" of the others
    exit_codes: tuple[int, ...] = (0,)
    compares: bool = True
    remembers: bool = False  # what it found in its last run

    def runs(self, case: str, records: int) -> bool:
        return case in self.cases and records <= self.largest.get(case, self.largest.get("", records))

    def answer(self, out: Path, printed: str) -> Answer:
        """Returns what the tool found; nothing if it printed no answer."""
        if self.name == "tallymark":
            return _reported(out)
        for line in reversed(printed.splitlines()):
            if line.startswith("{"):
                return dict(json.loads(line))
        return {}


def _ours(_case: str, folder: Path, out: Path) -> list[str]:
    places = ["--source", folder / "source", "--backup", folder / "backup", "--out", out]
    return [str(ROOT / "spark-submit.sh"), "reconcile", *map(str, places)]


def _reported(out: Path) -> Answer:
    reports = sorted(out.glob("runs/*/report.json"))
    if not reports:
        return {}
    totals = json.loads(reports[-1].read_text())["totals"]
    changed = totals["mismatched_records"]
    return {
        "source": totals["source_records"],
        "backup": totals["backup_records"],
        "source_only": changed + totals["missing_in_backup"],
        "backup_only": changed + totals["missing_in_source"],
        "version": _revision(),
    }


def _revision() -> str:
    git = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def _peer(script: str) -> Callable[[str, Path, Path], list[str]]:
    def command(case: str, folder: Path, out: Path) -> list[str]:
        return [str(PEERS_PYTHON), str(PEERS / script), case, str(folder), str(out)]

    return command


def _limit(what: str) -> Callable[[str, Path, Path], list[str]]:
    def command(_case: str, folder: Path, _out: Path) -> list[str]:
        return [str(ROOT / ".venv/bin/python"), str(PEERS / "limit.py"), what, str(folder)]

    return command


# Without these bounds `make bench` would take a day. In case e those that remember nothing do what they do in a.
_MILLION = 1_000_000
TOOLS = (
    Tool("tallymark", _ours, exit_codes=(0, 1), remembers=True),
    Tool("duckdb", _peer("duckdb_join.py")),
    Tool("polars", _peer("polars_join.py"), cases="abcdfghijk"),
    Tool(
        "spark-plain",
        _peer("spark_plain.py"),
        cases="abcdfghijk",
        largest={"": 2 * _MILLION} | dict.fromkeys("abd", 10 * _MILLION),
    ),
    Tool("datacompy", _peer("datacompy_spark.py"), cases="adg", largest={"": 2 * _MILLION}),
    Tool("sqlite-loop", _peer("sqlite_loop.py"), cases="adfg", largest={"": 2 * _MILLION}),
    Tool("inflate-limit", _limit("inflate"), compares=False),
    Tool("read-limit", _limit("read"), compares=False),
)


def environment() -> dict[str, str]:
    """Returns an environment without what would lead a tool to another Spark or Python than the one meant."""
    foreign = ("PYTHONPATH", "PYSPARK_", "SPARK_HOME", "TALLYMARK_", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
