"""What measured cells say: percentiles, medians of repeats, the cheapest good cell, the knee, and what rows cost.

Knows no clock and no server. Called by the runs that measure and recommend.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tallymark.bulkload.matrix import ROOFLINE, Cell

OK = "OK"
FAILED = "FAILED"
_WITHIN = 0.95
_SECONDS_AN_HOUR = 3600


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """Returns the nearest-rank percentile.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5), percentile([1.0, 2.0, 3.0, 4.0], 0.99)
    (2.0, 4.0)
    """
    return sorted_values[max(0, math.ceil(share * len(sorted_values)) - 1)]


@dataclass(frozen=True)
class Measured:
    """A cell over its repeats that ended well; figures are medians, waits are added up.

    ``spread``: (fastest - slowest) / median of rows per second. ``roofline_percent``: None without a roofline.
    """

    cell: Cell
    status: str
    repeats: int
    failed: int
    sqlstate: str | None
    error: str | None
    rows: int
    load_seconds: float | None
    wall_seconds: float | None
    rows_per_second: float | None
    spread: float | None
    p50_seconds: float | None
    p95_seconds: float | None
    p99_seconds: float | None
    wal_bytes_per_row: float | None
    effective_connections: int | None
    top_waits: dict[str, int]
    roofline_percent: float | None = None


def summarise(runs: Iterable[Mapping[str, Any]]) -> list[Measured]:
    """Returns the cells of rows of `tables.CELLS`, fastest first and failed ones last.

    A cell with a failed repeat is FAILED as a whole: what works only sometimes cannot be recommended.
    """
    by_cell: dict[Cell, list[Mapping[str, Any]]] = {}
    for run in runs:
        by_cell.setdefault(Cell(run["method"], run["batch_size"], run["num_connections"]), []).append(run)
    ceilings = [run["rows_per_second"] for cell, found in by_cell.items() if cell.method == ROOFLINE for run in found]
    ceiling = median(speeds) if (speeds := [speed for speed in ceilings if speed]) else None
    measured = [_measured(cell, found, ceiling) for cell, found in by_cell.items()]
    return sorted(measured, key=lambda one: (one.status != OK, -(one.rows_per_second or 0), one.cell))


def _measured(cell: Cell, runs: Sequence[Mapping[str, Any]], ceiling: float | None) -> Measured:
    good = [run for run in runs if run["status"] == OK]
    failed = next((run for run in runs if run["status"] != OK), None)
    waits: Counter[str] = Counter()
    for run in good:
        waits.update(dict(run["top_waits"] or {}))
    speeds = [run["rows_per_second"] for run in good]
    speed = _median(speeds)
    return Measured(
        cell=cell,
        status=OK if failed is None else FAILED,
        repeats=len(runs),
        failed=len(runs) - len(good),
        sqlstate=failed["sqlstate"] if failed else None,
        error=failed["error"] if failed else None,
        rows=max((run["rows"] for run in good), default=0),
        load_seconds=_median([run["load_seconds"] for run in good]),
        wall_seconds=_median([run["wall_seconds"] for run in good]),
        rows_per_second=speed,
        spread=(max(speeds) - min(speeds)) / speed if speed else None,
        p50_seconds=_median([run["p50_seconds"] for run in good]),
        p95_seconds=_median([run["p95_seconds"] for run in good]),
        p99_seconds=_median([run["p99_seconds"] for run in good]),
        wal_bytes_per_row=_median([run["wal_bytes_per_row"] for run in good]),
        effective_connections=max((run["effective_connections"] or 0 for run in good), default=None),
        top_waits=dict(waits.most_common(5)),
        roofline_percent=100 * speed / ceiling if speed and ceiling else None,
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def ranked(measured: Iterable[Measured]) -> list[Measured]:
    """Returns the cells that may be recommended, fastest first: no failed one, and not the roofline."""
    found = [one for one in measured if one.status == OK and one.cell.method != ROOFLINE and one.rows_per_second]
    return sorted(found, key=lambda one: -(one.rows_per_second or 0))


def cheapest(measured: Iterable[Measured]) -> Measured | None:
    """Returns, of the cells within 5 % of the fastest, the one with fewest connections, then the smallest batch."""
    found = ranked(measured)
    if not found:
        return None
    least = _WITHIN * (found[0].rows_per_second or 0)
    near = [one for one in found if (one.rows_per_second or 0) >= least]
    return min(near, key=lambda one: (one.cell.connections, one.cell.batch_size, -(one.rows_per_second or 0)))


def knee(measured: Iterable[Measured], method: str) -> int | None:
    """Returns the fewest connections with which the method reaches 95 % of what it ever reaches, at any batch size."""
    best: dict[int, float] = {}
    for one in ranked(measured):
        if one.cell.method == method:
            best[one.cell.connections] = max(best.get(one.cell.connections, 0.0), one.rows_per_second or 0.0)
    return min((count for count, speed in best.items() if speed >= _WITHIN * max(best.values())), default=None)


def cost_of_a_million(rows_per_second: float, price_an_hour: float) -> float:
    """Returns what a million rows cost while the server is paid by the hour, in the unit of the price.

    >>> cost_of_a_million(100_000, 3.6)
    0.01
    """
    return 1_000_000 / rows_per_second / _SECONDS_AN_HOUR * price_an_hour
