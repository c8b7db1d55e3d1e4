"""What `bulkload` shows on a terminal at its end: a load's equation, a benchmark's table, a recommendation."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tallymark.bulkload.result import Advice, BenchmarkResult, LoadResult
from tallymark.bulkload.statistics import OK, Measured
from tallymark.report.legible import one_line

_LISTED = 10


def print_result(result: LoadResult | BenchmarkResult, out: str, console: Console) -> None:
    """Shows what a run came to, and where the rest is."""
    if isinstance(result, LoadResult):
        _print_load(result, console)
    else:
        _print_benchmark(result, console)
    _say(console, f"results in {out}: migration_results.json, migration_stats.json, migration.log, delta/")


def _print_load(result: LoadResult, console: Console) -> None:
    records = result.records
    speed = records.read / result.seconds if result.seconds else 0
    place = f"run {result.run_id}, {result.files:,} files"
    _say(console, f"{result.verdict}: {place} in {result.seconds:.1f} s ({speed:,.0f} records/s)")
    _say(console, records.equation)
    _print_lists(result.reasons, list(result.incomplete.values()), console)
    if records.rejected:
        _say(console, f"rejected records: table tallymark.bulkload_rejected; again: --replay --run-id {result.run_id}")


def _print_lists(reasons: dict[str, int], errors: Sequence[str], console: Console) -> None:
    for reason, count in list(reasons.items())[:_LISTED]:
        _say(console, f"  rejected {count:,}: {reason}")
    for error in errors[:_LISTED]:
        _say(console, f"  {error}")
    for kind, found in (("reasons", reasons), ("errors", errors)):
        if len(found) > _LISTED:
            _say(console, f"  and {len(found) - _LISTED:,} more {kind}, see migration_results.json")


def _print_benchmark(result: BenchmarkResult, console: Console) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("cell", no_wrap=True)
    for heading in ("rows/s", "spread", "connections", "p50 ms", "p99 ms", "WAL B/row", "% roofline"):
        table.add_column(heading, justify="right")
    for one in result.cells:
        table.add_row(*_row(one))
    console.print(table)
    label = "" if result.measurement == "measured" else f" ({result.measurement}: no figure of a cloud)"
    _say(console, f"run {result.run_id} on {result.provider}{label}; records of each cell: {result.records.equation}")
    _print_lists(result.reasons, result.errors, console)
    if result.recommended is not None:
        _say(console, f"take {_called(result.recommended)}: fewest connections within 5 % of the best")


def _row(one: Measured) -> tuple[str, ...]:
    if one.status != OK:
        return (str(one.cell), f"FAILED {one.sqlstate or ''}".strip(), *[""] * 6)
    return (
        str(one.cell),
        _number(one.rows_per_second),
        _number(one.spread, scale=100, unit=" %"),
        f"{one.effective_connections} of {one.cell.connections}",
        _number(one.p50_seconds, scale=1000, digits=1),
        _number(one.p99_seconds, scale=1000, digits=1),
        _number(one.wal_bytes_per_row),
        _number(one.roofline_percent),
    )


def _number(value: float | None, scale: float = 1, digits: int = 0, unit: str = "") -> str:
    return "" if value is None else f"{scale * value:,.{digits}f}{unit}"


def _called(one: Measured) -> str:
    cell = one.cell
    return f"--method {cell.method} --batch-size {cell.batch_size} --connections {cell.connections}"


def print_recommendation(advice: Sequence[Advice], console: Console) -> None:
    """Shows for each provider which cell to take, why, and what it costs."""
    for one in advice:
        _say(console, f"{one.provider}, {one.instance_type}, {one.measurement} (run {one.run_id}):")
        speed, best = one.recommended.rows_per_second or 0, one.best.rows_per_second or 0
        _say(console, f"  take {_called(one.recommended)}: {speed:,.0f} rows/s, {100 * speed / best:.0f} % of the best")
        _say(console, f"  the best is {one.best.cell}: {best:,.0f} rows/s")
        for method, connections in one.knees.items():
            _say(console, f"  knee of {method}: {connections} connections; more bring less than 5 %")
        if one.cost is not None:
            _say(console, f"  a million rows cost {one.cost:.6f}")
        elif one.measurement == "measured":
            _say(console, f"  no cost: prices has neither {one.provider}/{one.instance_type} nor {one.provider}")
        else:
            _say(console, "  no cost: an emulated network is not a cloud")


def _say(console: Console, line: str) -> None:
    console.print(one_line(line), soft_wrap=True, markup=False, highlight=False)
