"""The rows of the benchmark and what follows from them: medians, spread, ratios, marginal throughput.

    .venv/bin/python benchmarks/reconcile/summary.py [ROWS]

prints the summary of a file of rows as Markdown. `run.py` writes the rows, `chart.py` draws them.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from dataclasses import dataclass, fields
from math import isnan, nan
from pathlib import Path
from statistics import median

OURS = "tallymark"


@dataclass(frozen=True)
class Row:
    """One run of one tool."""

    case: str
    records: int  # of each side
    tool: str
    version: str
    repetition: int
    wall_s: float
    cpu_s: float
    peak_mb: int
    worker_mb: int
    worker_pss_mb: int
    bytes_read: int
    exit_code: int
    answer_ok: str  # yes, no; empty where nothing was to be answered
    when: str
    cores: int
    note: str


COLUMNS = [column.name for column in fields(Row)]
_TYPES = {"int": int, "float": float, "str": str}


@dataclass(frozen=True)
class Summary:
    """All runs of one tool on one case and size."""

    case: str
    records: int
    tool: str
    runs: int
    wall: float  # medians; of the runs that ended
    fastest: float
    slowest: float
    cpu: float
    peak_mb: float
    worker_mb: float
    gigabytes_read: float
    ratio: float | None  # wall time against ours, on the same case and size
    marginal: float | None  # records a side per second that more data costs: from the smallest to the largest size
    remark: str


def read_rows(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [
            Row(**{c.name: _TYPES[str(c.type)](line[c.name]) for c in fields(Row)}) for line in csv.DictReader(file)
        ]


def run_id(row: Row) -> tuple[str, int, str, int]:
    return row.case, row.records, row.tool, row.repetition


def summarise(rows: Iterable[Row]) -> list[Summary]:
    """Returns a summary per case, size and tool; a run that was stopped at the time limit has no time.

    Of the same repetition the last row counts: rows are only ever appended, and a tool may be measured again.
    """
    groups: dict[tuple[str, int, str], list[Row]] = {}
    for row in {run_id(row): row for row in rows}.values():
        groups.setdefault((row.case, row.records, row.tool), []).append(row)
    walls = {key: median(times) for key, group in groups.items() if (times := _walls(group))}
    return [
        _summary(key, groups[key], walls) for key in sorted(groups, key=lambda key: (key[0], key[1], _order(key[2])))
    ]


def _summary(key: tuple[str, int, str], group: list[Row], walls: dict[tuple[str, int, str], float]) -> Summary:
    case, records, tool = key
    times = _walls(group) or [nan]
    ours = walls.get((case, records, OURS))
    return Summary(
        case, records, tool,
        runs=len(group), wall=median(times), fastest=min(times), slowest=max(times),
        cpu=median(row.cpu_s for row in group),
        peak_mb=median(row.peak_mb for row in group),
        worker_mb=median(row.worker_mb for row in group),
        gigabytes_read=median(row.bytes_read for row in group) / 1e9,
        ratio=walls[key] / ours if ours and key in walls else None,
        marginal=_marginal(case, tool, walls),
        remark="; ".join(sorted({row.note for row in group if row.note})),
    )  # fmt: skip


def _marginal(case: str, tool: str, walls: dict[tuple[str, int, str], float]) -> float | None:
    points = sorted((records, wall) for (a, records, b), wall in walls.items() if (a, b) == (case, tool))
    if len(points) < 2 or points[-1][1] <= points[0][1]:
        return None  # one size, or nothing that grows: a second run that remembers
    return (points[-1][0] - points[0][0]) / (points[-1][1] - points[0][1])


def _walls(group: list[Row]) -> list[float]:
    return [row.wall_s for row in group if not row.note.startswith("TIMEOUT")]


def _order(tool: str) -> tuple[bool, bool, str]:
    return "limit" in tool, tool != OURS, tool


def as_markdown(rows: Iterable[Row]) -> str:
    head = ("case", "records a side", "tool", "runs", "wall s", "min-max", "x ours", "marginal records/s", "cpu s",
            "peak MB", "worker MB", "GB read", "remark")  # fmt: skip
    rule = ("---", "---:", "---", *["---:"] * 9, "---")
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *map(_cells, summarise(rows))))


def _cells(one: Summary) -> tuple[str, ...]:
    return (
        one.case,
        f"{one.records:,}",
        one.tool,
        str(one.runs),
        "" if isnan(one.wall) else f"{one.wall:.1f}",
        "" if isnan(one.wall) else f"{one.fastest:.1f}-{one.slowest:.1f}",
        f"{one.ratio:.2f}" if one.ratio else "",
        f"{one.marginal:,.0f}" if one.marginal else "",
        f"{one.cpu:.0f}",
        f"{one.peak_mb:.0f}",
        f"{one.worker_mb:.0f}" if one.worker_mb else "",
        f"{one.gigabytes_read:.2f}",
        one.remark,
    )


if __name__ == "__main__":
    print(as_markdown(read_rows(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "rows.csv")))
