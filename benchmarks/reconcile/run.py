"""Runs the benchmark: all tools on all cases, interleaved, each answer checked against what was planted.

    .venv/bin/python benchmarks/reconcile/run.py --cases ad --sizes 2 --tools tallymark,duckdb

`make bench` runs everything. Each run is appended at once to rows.csv beside this file; `--resume` skips the runs that
stand there. At the end the summary is printed as Markdown.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from random import Random

from data import CASES, make
from measure import Measurement, end_in_order, measure
from summary import COLUMNS, Row, as_markdown, read_rows, run_id
from tools import ALL, ROOT, TOOLS, Answer, Tool, environment

MILLION = 1_000_000
ROWS = Path(__file__).parent / "rows.csv"


def main(arguments: argparse.Namespace) -> None:
    done = {run_id(row) for row in read_rows(arguments.rows)} if arguments.resume else set()
    random = Random(arguments.seed)
    for case, records in ((case, round(size * MILLION)) for case in arguments.cases for size in arguments.sizes):
        tools = [tool for tool in arguments.tools if arguments.no_limits or tool.runs(case, records)]
        plan = list(interleaved(tools, arguments.repetitions, random))
        plan = [(tool, turn) for tool, turn in plan if (case, records, tool.name, turn) not in done]
        if not plan:
            continue
        folder = arguments.folder / f"{case}-{records}"
        shutil.rmtree(folder, ignore_errors=True)  # of a bench that was interrupted
        planted = make(case, folder, records)
        bench = Bench(case, folder, planted, arguments.time_limit)
        for tool, turn in plan:
            row = bench.run(tool, turn, records)
            append(arguments.rows, row)
            print(
                f"{case} {records:,} {tool.name} {turn}: {row.wall_s:.1f} s, {row.peak_mb} MB, {row.note or 'ok'}",
                flush=True,
            )
        if not arguments.keep:
            shutil.rmtree(folder)
    print(as_markdown(read_rows(arguments.rows)))


def interleaved(tools: list[Tool], repetitions: int, random: Random) -> Iterator[tuple[Tool, int]]:
    """Yields every tool once, then every tool again: what slows the machine down for a while hits them all alike."""
    for turn in range(1, repetitions + 1):
        for tool in random.sample(tools, len(tools)):
            yield tool, turn


class Bench:
    """The data of one case and size, and the runs on it."""

    def __init__(self, case: str, folder: Path, planted: dict[str, int], time_limit: float) -> None:
        self._case, self._folder, self._planted, self._limit = case, folder, planted, time_limit
        self._environment = environment()

    def run(self, tool: Tool, turn: int, records: int) -> Row:
        out = self._folder / "out" / tool.name
        keeps = self._case == "e" and tool.remembers
        if not (keeps and out.exists()):
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            if keeps:  # the run that the measured ones remember
                self._start(tool, out)
        self._warm()
        taken, printed = self._start(tool, out)
        answer = tool.answer(out, printed) if not taken.timed_out else {}
        answer_ok, note = self._judge(tool, taken, answer, printed)
        if not keeps:
            shutil.rmtree(out)
        return Row(
            case=self._case, records=records, tool=tool.name, version=str(answer.get("version", "")), repetition=turn,
            wall_s=taken.wall_s, cpu_s=taken.cpu_s, peak_mb=taken.peak_mb, worker_mb=taken.worker_mb,
            worker_pss_mb=taken.worker_pss_mb, bytes_read=taken.bytes_read, exit_code=taken.exit_code,
            answer_ok=answer_ok, when=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            cores=len(os.sched_getaffinity(0)), note=note,
        )  # fmt: skip

    def _start(self, tool: Tool, out: Path) -> tuple[Measurement, str]:
        log = self._folder / "out" / "stdout.txt"
        with log.open("wb") as stdout, log.with_name("stderr.txt").open("wb") as stderr:
            command = tool.command(self._case, self._folder, out)
            taken = measure(command, self._limit, self._environment, stdout.fileno(), stderr.fileno())
        return taken, log.read_text(errors="replace")

    def _warm(self) -> None:
        """Reads every file, so that all tools alike find them in the page cache."""
        buffer = bytearray(1 << 20)
        for path in self._folder.glob("*/*/*.gz"):
            with path.open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass

    def _judge(self, tool: Tool, taken: Measurement, answer: Answer, printed: str) -> tuple[str, str]:
        if taken.timed_out:
            return "", f"TIMEOUT after {self._limit:.0f} s"
        if not answer:
            return "no", "no answer: " + " ".join((printed or self._last_error()).split())[-200:]
        if taken.exit_code not in tool.exit_codes:
            return "no", f"exit code {taken.exit_code}"
        if not tool.compares:
            return "", ""
        planted = self._planted
        due = {"source_only": planted["different"], "backup_only": planted["different"]}
        # Not every tool counts the records.
        due |= {side: planted["records"] for side in ("source", "backup") if answer.get(side) is not None}
        wrong = [
            f"{name} {answer.get(name)}, planted {count}" for name, count in due.items() if answer.get(name) != count
        ]
        return ("no", "; ".join(wrong)) if wrong else ("yes", "")

    def _last_error(self) -> str:
        return (self._folder / "out" / "stderr.txt").read_text(errors="replace")


def append(path: Path, row: Row) -> None:
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(vars(row))


def read_arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Runs the benchmark of reconcile.")
    parser.add_argument(
        "--cases", default=ALL, help="letters: " + "; ".join(f"{k} {v}" for k, v in CASES.items()).replace("%", "%%")
    )
    parser.add_argument("--sizes", default="2,10", help="million records a side, with commas between; default 2,10")
    parser.add_argument("--tools", default=",".join(tool.name for tool in TOOLS), help="default: %(default)s")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--time-limit", type=float, default=900, help="seconds a run; default 900")
    parser.add_argument("--no-limits", action="store_true", help="run slow tools on the sizes they are spared, too")
    parser.add_argument("--resume", action="store_true", help="skip the runs that stand in the file of rows")
    parser.add_argument("--rows", type=Path, default=ROWS)
    parser.add_argument("--folder", type=Path, default=ROOT / "build/bench", help="for the data; default build/bench")
    parser.add_argument("--keep", action="store_true", help="leave the data there")
    parser.add_argument("--seed", type=int, default=1, help="of the order of the tools")
    given = parser.parse_args(argv)
    known = {tool.name: tool for tool in TOOLS}
    given.sizes = [float(size) for size in given.sizes.split(",")]
    names = given.tools.split(",")
    if unknown := [name for name in names if name not in known] + [case for case in given.cases if case not in ALL]:
        parser.error(f"unknown: {', '.join(unknown)}; tools are {', '.join(known)}")
    given.tools = [known[name] for name in names]
    given.folder = given.folder.resolve()
    return given


if __name__ == "__main__":
    end_in_order()
    main(read_arguments(sys.argv[1:]))
