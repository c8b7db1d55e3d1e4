"""The match rates of some runs as the geometry of a small line chart. Called by the HTML report, which draws it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tallymark.reconcile.history import RunPoint

WIDTH, HEIGHT = 720, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 28
_SPANS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Heights of the scale in percent: the smallest that holds all points, so that a dip shows."""


@dataclass(frozen=True)
class Dot:
    """A run in the chart; ``y`` is that of the lowest line where it has no rate."""

    x: float
    y: float
    run: RunPoint


@dataclass(frozen=True)
class Tick:
    """A line of the scale."""

    y: float
    label: str


@dataclass(frozen=True)
class TrendChart:
    """``lines`` are the points of polylines; a run without a rate interrupts the line."""

    dots: list[Dot]
    ticks: list[Tick]
    lines: list[str]


def trend_chart(runs: Sequence[RunPoint]) -> TrendChart:
    """Returns the chart of the runs, oldest first."""
    lowest = min((run.match_rate for run in runs if run.match_rate is not None), default=100.0)
    span = next((span for span in _SPANS if 100 - lowest <= span), _SPANS[-1])
    decimals = max(0, 1 - math.floor(math.log10(span))) if span < 10 else 0
    height, step = HEIGHT - _TOP - _BOTTOM, (WIDTH - _LEFT - _RIGHT) / max(1, len(runs) - 1)

    def y_of(rate: float | None) -> float:
        share = 1.0 if rate is None else (100 - rate) / span
        return round(_TOP + height * share, 1)

    first = _LEFT if len(runs) > 1 else (_LEFT + WIDTH - _RIGHT) / 2
    dots = [Dot(round(first + step * number, 1), y_of(run.match_rate), run) for number, run in enumerate(runs)]
    ticks = [Tick(y_of(rate), f"{rate:.{decimals}f} %") for rate in (100, 100 - span / 2, 100 - span)]
    lines: list[list[str]] = [[]]
    for dot in dots:
        if dot.run.match_rate is None:
            lines.append([])
        else:
            lines[-1].append(f"{dot.x},{dot.y}")
    return TrendChart(dots, ticks, [" ".join(line) for line in lines if len(line) > 1])
