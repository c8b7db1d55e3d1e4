"""Draws rows.csv as docs/benchmark.svg: wall time of each tool and case, with the fastest and the slowest run.

    .venv/bin/python benchmarks/reconcile/chart.py [ROWS [SVG]]

The size is the largest that both Tallymark and DuckDB ran. The axis is logarithmic, so that a second and ten minutes
both show; therefore dots, because the length of a bar would mean nothing.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from pathlib import Path

from data import CASES
from summary import OURS, Row, Summary, read_rows, summarise

RIVAL = "duckdb"
LIMIT = "inflate-limit"
# Middle tones, which stand out from white and from black; ours is the only warm one.
COLORS = {
    OURS: "#e8590c",
    "duckdb": "#3b82c4",
    "polars": "#2b9a8f",
    "spark-plain": "#8b7fd1",
    "datacompy": "#7d8fa3",
    "sqlite-loop": "#6b9a3f",
}
LEFT, RIGHT, TOP, LANE, GAP, WIDTH = 280, 140, 96, 15, 13, 960
STYLE = """
  text { font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #33393f; }
  .title { font-size: 17px; font-weight: 600; } .soft { fill: #67707a; } .ours { font-weight: 700; }
  .grid { stroke: #8a939c; stroke-opacity: .28; } .limit { stroke: #d6336c; stroke-width: 2; }
  @media (prefers-color-scheme: dark) { text { fill: #e2e6ea; } .soft { fill: #a3acb5; } }
"""


def draw(rows: list[Row]) -> str:
    """Returns the picture; raises ValueError where Tallymark and DuckDB have no size in common."""
    sizes = [{row.records for row in rows if row.tool == tool} for tool in (OURS, RIVAL)]
    if not sizes[0] & sizes[1]:
        raise ValueError(f"the rows hold no size that both {OURS} and {RIVAL} ran; run both")
    size = max(sizes[0] & sizes[1])
    shown = [one for one in summarise(rows) if one.records == size]
    groups = {case: [one for one in shown if one.case == case] for case in sorted({one.case for one in shown})}
    scale = Scale(one.slowest for one in shown if one.tool in COLORS or one.tool == LIMIT)
    parts: list[str] = []
    y = TOP
    for case, group in groups.items():
        lanes = sorted((one for one in group if one.tool in COLORS), key=lambda one: list(COLORS).index(one.tool))
        parts += _case(case, y, lanes, next((one for one in group if one.tool == LIMIT), None), scale)
        y += len(lanes) * LANE + GAP
    parts = [*_head(size, rows), *_axis(scale, y), *parts, *_foot(size, rows, y + 34)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 84}" width="{WIDTH}" height="{y + 84}" '
        f'role="img" aria-label="Wall time of reconcile and its peers">\n<style>{STYLE}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


class Scale:
    """A logarithmic axis from one power of ten, or half of one, below the smallest value to above the largest."""

    def __init__(self, values: Iterable[float]) -> None:
        known = [value for value in values if not math.isnan(value)]
        self.low = 10 ** math.floor(math.log10(min(known)))
        self.high = 1.15 * max(known)

    def x(self, seconds: float) -> float:
        part = math.log(max(seconds, self.low) / self.low) / math.log(self.high / self.low)
        return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)

    def ticks(self) -> list[float]:
        steps = [factor * 10.0**power for power in range(-2, 6) for factor in (1, 2, 5)]
        return [step for step in steps if self.low <= step <= self.high]


def _case(case: str, y: int, lanes: list[Summary], limit: Summary | None, scale: Scale) -> list[str]:
    bottom = y + max(1, len(lanes)) * LANE
    middle = (y + bottom) / 2 + 4
    parts = [f'<text x="12" y="{middle}"><tspan font-weight="700">{case}</tspan>  {escape(CASES[case])}</text>']
    if limit:
        x = scale.x(limit.wall)
        parts.append(f'<line class="limit" x1="{x}" x2="{x}" y1="{y}" y2="{bottom}"/>')
    for lane, one in enumerate(lanes):
        parts += _lane(one, y + lane * LANE + LANE / 2, scale)
    return parts


def _lane(one: Summary, y: float, scale: Scale) -> list[str]:
    color = COLORS[one.tool]
    style = ' class="ours"' if one.tool == OURS else ' class="soft"'
    if math.isnan(one.wall):
        label = f"{one.tool}: {escape(one.remark)}"
        return [f'<text{style} x="{WIDTH - 12}" y="{y + 4}" text-anchor="end">{label}</text>']
    x, first, last = scale.x(one.wall), scale.x(one.fastest), scale.x(one.slowest)
    wrong = " (no right answer)" if one.remark else ""
    return [
        f'<path d="M{LEFT} {y}H{x}" stroke="{color}" stroke-opacity=".4"/>',
        f'<path d="M{first} {y - 5}v10M{first} {y}H{last}M{last} {y - 5}v10" stroke="{color}" stroke-width="1.5"/>',
        f'<circle cx="{x}" cy="{y}" r="4" fill="{color}"/>',
        f'<text{style} x="{max(x, last) + 9}" y="{y + 4}">{seconds(one.wall)} {one.tool}{wrong}</text>',
    ]


def _head(size: int, rows: list[Row]) -> list[str]:
    runs = max(row.repetition for row in rows if row.records == size)
    what = (
        "Wall time from process start to exit, reports written. "
        f"Dot: median of {runs} interleaved runs; whiskers: fastest and slowest. Less is better."
    )
    return [
        f'<text class="title" x="12" y="26">How long a comparison takes: {size / 1e6:g} million records a side</text>',
        f'<text class="soft" x="12" y="46">{what}</text>',
        '<line class="limit" x1="14" x2="14" y1="56" y2="70"/>',
        '<text class="soft" x="22" y="67">the limit: only inflating both sides, on all cores</text>',
    ]


def _axis(scale: Scale, bottom: int) -> list[str]:
    parts = []
    for tick in scale.ticks():
        x = scale.x(tick)
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP - 8}" y2="{bottom}"/>')
        parts.append(f'<text class="soft" x="{x}" y="{bottom + 14}" text-anchor="middle">{tick:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [
        *parts,
        f'<text class="soft" x="{middle}" y="{bottom + 31}" text-anchor="middle">seconds, logarithmic</text>',
    ]


def _foot(size: int, rows: list[Row], y: int) -> list[str]:
    here = [row for row in rows if row.records == size]
    versions = {row.tool: row.version for row in here if row.version and row.tool in COLORS}
    absent = sorted({row.tool for row in rows} & COLORS.keys() - {row.tool for row in here})
    named = ", ".join(f"{tool} {versions[tool]}" for tool in COLORS if tool in versions)
    machine = f"{here[0].cores} cores, {min(row.when for row in here)[:10]}; page cache warm"
    small = f"; too slow for this size, see the table: {', '.join(absent)}" if absent else ""
    return [
        f'<text class="soft" x="12" y="{y + 22}">{escape(named)}</text>',
        f'<text class="soft" x="12" y="{y + 39}">{escape(machine + small)}</text>',
    ]


def seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


if __name__ == "__main__":
    here = Path(__file__).parent
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else here / "rows.csv"
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else here.parents[1] / "docs/benchmark.svg"
    target.write_text(draw(read_rows(source)), encoding="utf-8")
    print(target)
