"""Prints a run's summary, readable on a terminal and in a log without colours. Never prints a record's content.

Called by the reconcile job at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console

from tallymark.reconcile.result import RunSummary, Totals, Verdict
from tallymark.report.legible import cut_middle, one_line
from tallymark.report.next_steps import hint_option, next_steps
from tallymark.report.wording import breach_sentence, equations, rate, verdict_sentence

_MOST = 10
_COLOURS = {
    Verdict.MATCH: "bold green",
    Verdict.PARTIAL_MATCH: "bold green",
    Verdict.WITHIN_THRESHOLD: "bold yellow",
    Verdict.DIFFERENT: "bold red",
    Verdict.INCOMPLETE: "bold red",
}
_WORST = {
    "changed": "mismatched_records",
    "not in backup": "missing_in_backup",
    "not in source": "missing_in_source",
}


def print_summary(summary: RunSummary, console: Console, reports: Mapping[str, str]) -> None:
    """Prints the verdict, what it follows from, what to know and to do, and where the reports are.

    Args:
        reports: what was written, from its name to the place where it is.
    """
    _line(console, verdict_sentence(summary), _COLOURS[summary.verdict])
    for title, lines in (
        ("", _run(summary)),
        ("Totals", _totals(summary.totals)),
        ("Equations", _equations(summary.totals)),
        ("Files with most differences", _worst_files(summary.worst_files, console.width)),
        ("Beyond limits", map(breach_sentence, summary.breaches)),
        ("Errors", _errors(summary, console.width)),
        ("Paths that differ in changed records", _changed_paths(summary.changed_paths, console.width)),
        ("Warnings", (one_line(warning) for warning in summary.warnings)),
        ("Hints", _hints(summary)),
        ("Reports", _aligned(reports)),
        ("Next", _next(summary, reports)),
    ):
        _section(console, title, list(lines))


def _line(console: Console, text: str, style: str | None = None) -> None:
    console.print(text, style=style, markup=False, highlight=False, emoji=False, soft_wrap=True)


def _section(console: Console, title: str, lines: list[str]) -> None:
    if lines:
        _line(console, "")
        if title:
            _line(console, title, "bold")
        for line in lines:
            _line(console, f"  {line}" if title else line)


def _aligned(values: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, values), default=0)
    return (f"{name:<{width}}  {one_line(value)}" for name, value in values.items())


def _run(summary: RunSummary) -> Iterator[str]:
    return _aligned(
        {
            "run": f"{summary.run_id}, {summary.run_time:%Y-%m-%d %H:%M:%S}, {summary.duration_seconds:,.1f} s, "
            f"exit code {summary.exit_code}",
            "source": summary.source,
            "backup": summary.backup,
        }
    )


def _totals(totals: Totals) -> Iterator[str]:
    files = {
        "matched": totals.files_matched,
        "different": totals.files_different,
        "missing in backup": totals.files_missing_in_backup,
        "missing in source": totals.files_missing_in_source,
        "failed": totals.files_error,
        "left alone": totals.files_left_alone,
    }
    by_status = ", ".join(f"{count:,} {status}" for status, count in files.items() if count)
    forms = f"{totals.identical_records:,} identical, {totals.normalised_records:,} in other form"
    lines = {
        "files": f"{totals.files:,} ({by_status})" if by_status else f"{totals.files:,}",
        "records": f"{totals.source_records:,} in source, {totals.backup_records:,} in backup",
        "matched": f"{totals.matched_records:,} ({forms})",
        "match rate": rate(totals.match_rate),
    }
    if totals.invalid_source or totals.invalid_backup:
        lines["invalid"] = f"{totals.invalid_source:,} in source, {totals.invalid_backup:,} in backup"
    return _aligned(lines)


def _equations(totals: Totals) -> Iterator[str]:
    return (equation.sentence for equation in equations(totals))


def _worst_files(files: list[dict[str, Any]], width: int) -> Iterator[str]:
    if files:
        yield "  ".join([*_WORST, "match rate", "file"])
    for file in files[:_MOST]:
        numbers = [f"{file.get(column) or 0:>{len(title)},}" for title, column in _WORST.items()]
        percentage = file.get("match_rate")
        numbers.append(f"{'-' if percentage is None else rate(percentage):>10}")
        start = "  ".join(numbers) + "  "
        yield start + cut_middle(file["file_path"], max(24, width - len(start) - 2))


def _errors(summary: RunSummary, width: int) -> Iterator[str]:
    shown = summary.errors[:_MOST]
    for row in shown:
        yield cut_middle(row["file_path"], max(24, width - 2))
        yield f"  {one_line(row.get('error') or 'no reason was recorded')}"
    yield from _rest(max(summary.totals.files_error, len(summary.errors)) - len(shown), "all are in the table files")


def _changed_paths(paths: Mapping[str, int], width: int) -> Iterator[str]:
    ranked = sorted(paths.items(), key=lambda item: (-item[1], item[0]))
    digits = max((len(f"{count:,}") for count in paths.values()), default=0)
    for path, count in ranked[:_MOST]:
        yield f"{count:>{digits},}  {cut_middle(path, max(24, width - digits - 4))}"
    yield from _rest(len(ranked) - _MOST, "they are in report.json")


def _hints(summary: RunSummary) -> Iterator[str]:
    for hint in summary.hints:
        yield f"{one_line(hint.text)}: {one_line(hint_option(hint))}"


def _rest(number: int, where: str) -> Iterable[str]:
    return [f"... and {number:,} more; {where}"] if number > 0 else []


def _next(summary: RunSummary, reports: Mapping[str, str]) -> Iterator[str]:
    for step in next_steps(summary, reports):
        yield one_line(step.text)
        if step.command:
            yield f"  {one_line(step.command)}"
