"""What `--dry-run` and `--history` print: the plan of a run, and the runs that were. Called by the reconcile job."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from tallymark.progress import duration, size
from tallymark.reconcile.forecast import Forecast
from tallymark.reconcile.history import RunPoint
from tallymark.report.legible import one_line
from tallymark.report.wording import rate, scope_sentence, verdict_word

SHOWN = 30
_COLUMNS = (
    "run", "time (UTC)", "verdict", "match rate", "records", "changed", "not in backup", "not in source", "seconds",
)  # fmt: skip
_BARS = "▁▂▃▄▅▆▇█"


def print_forecast(forecast: Forecast, console: Console) -> None:
    """Prints pairs by proof, bytes to read and the time that it may take."""
    _say(console, f"PLAN: nothing was read. {forecast.source} against {forecast.backup}")
    if forecast.scope.is_partial:
        _say(console, f"only a part: {scope_sentence(forecast.scope)}")
    rows = [("proof", "pairs", "bytes", "at most read")]
    for proof, work in sorted(forecast.work.items()):
        rows.append((proof, f"{work.pairs:,}", size(work.size), size(work.to_read)))
    pairs, total = (sum(getattr(work, name) for work in forecast.work.values()) for name in ("pairs", "size"))
    rows.append(("all", f"{pairs:,}", size(total), size(forecast.to_read)))
    _say_table(rows, 1, console)
    for warning in forecast.warnings:
        _say(console, warning)
    if forecast.estimate is None:
        _say(console, "time: unknown, because no finished run of these places into this out tells how long it took")
        return
    by = forecast.estimate.by
    basis = f"run {by.run_id} read {size(by.bytes_read or 0)} in {duration(by.duration_seconds or 0)}"
    about = "at most about" if forecast.estimate.is_bound else "about"
    _say(console, f"time: {about} {duration(forecast.estimate.seconds)}, as {basis}")


def print_history(runs: Sequence[RunPoint], console: Console) -> None:
    """Prints the newest 30 runs, oldest first, those of each two places together."""
    shown = runs[-SHOWN:]
    for source, backup in dict.fromkeys((run.source, run.backup) for run in shown):
        of_places = [run for run in shown if (run.source, run.backup) == (source, backup)]
        _say(console, f"{source} against {backup}")
        _say(console, f"match rate {sparkline([run.match_rate for run in of_places if not run.is_recheck])}")
        _say_table([_COLUMNS, *map(_row, of_places)], 3, console)
    if len(runs) > len(shown):
        _say(console, f"... and {len(runs) - len(shown):,} earlier runs; all are in the table runs")


def _row(run: RunPoint) -> tuple[str, ...]:
    counts = (run.source_records, run.mismatched_records, run.missing_in_backup, run.missing_in_source)
    return (
        run.run_id,
        run.run_time[:16].replace("T", " "),
        verdict_word(run.verdict or "UNFINISHED") + (", re-check" if run.is_recheck else ""),
        "-" if run.match_rate is None else rate(run.match_rate),
        *("-" if count is None else f"{count:,}" for count in counts),
        "-" if run.duration_seconds is None else f"{run.duration_seconds:,.1f}",
    )


def _say_table(rows: Sequence[Sequence[str]], texts: int, console: Console) -> None:
    """Prints the rows in columns as wide as they are, because a log has no width; after ``texts`` come numbers."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        sides = "<" * texts + ">" * (len(row) - texts)
        cells = (f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths))
        _say(console, f"  {'  '.join(cells)}".rstrip())


def sparkline(rates: Sequence[float | None]) -> str:
    """Returns a bar for each rate, the highest for 100 % and the lowest for the worst; a blank without one.

    >>> sparkline([100.0, 99.0, None, 98.0])
    '█▄ ▁'
    """
    lowest = min((rate for rate in rates if rate is not None), default=100.0)
    span = (100 - lowest) or 1.0
    bars = (" " if rate is None else _BARS[int(7 * (rate - lowest) / span) if lowest < 100 else 7] for rate in rates)
    return "".join(bars)


def _say(console: Console, line: str) -> None:
    console.print(one_line(line), soft_wrap=True, markup=False, highlight=False)
