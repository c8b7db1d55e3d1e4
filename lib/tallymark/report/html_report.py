"""Writes the page of a run: one HTML file that needs no network, for people and for paper.

Everything that comes from data is escaped by the template and put on one line; the page's own policy lets nothing but
its own style and script run. Of what grows with the data it shows the worst, so it stays small. Called by the reconcile
job.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import DictLoader, Environment, StrictUndefined

from tallymark.progress import duration, size
from tallymark.reconcile.evidence import Example
from tallymark.reconcile.result import RunSummary, Totals, Verdict
from tallymark.report.legible import cut_middle, one_line
from tallymark.report.next_steps import hint_option, next_steps
from tallymark.report.side_by_side import side_by_side
from tallymark.report.trend_chart import trend_chart
from tallymark.report.wording import (
    Equation,
    breach_sentence,
    equations,
    quantity,
    rate,
    scope_sentence,
    verdict_reason,
    verdict_word,
)

EXAMPLES = 6
_SIGNS = {
    Verdict.MATCH: ("good", "✔"),
    Verdict.PARTIAL_MATCH: ("good", "✔"),
    Verdict.WITHIN_THRESHOLD: ("warning", "▲"),
    Verdict.DIFFERENT: ("bad", "✖"),
    Verdict.INCOMPLETE: ("bad", "✖"),
}
_PROOFS = {
    "remembered": "unchanged since a run that compared it: nothing was read",
    "identical": "the same bytes, or the same checksum by which one side is enough",
    "compare": "both sides were read and compared record by record",
    "lonely": "on one side only: read, and its records looked for in other files",
    "full": "every record of both sides was read and hashed",
    "left_alone": "too young to be compared",
}
_LINE = 3_000
_SMALLEST = 6
"""Thousandths of a bar: what there is must be seen."""


@dataclass(frozen=True)
class Slice:
    """A part of a bar, in thousandths of its width."""

    name: str
    count: int
    start: float
    width: float


def write_html(summary: RunSummary, examples: Iterable[Example], reports: Mapping[str, str], target: Path) -> None:
    """Writes the page.

    Args:
        examples: records to show, masked where they must be.
        reports: what else was written, from its name to the place where it is.
    """
    folder = files(__package__).joinpath("page")
    parts = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in _PARTS}
    environment = Environment(
        loader=DictLoader(parts), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "line": _line,
        "path": lambda text: cut_middle(text, 120),
        "rate": rate,
        "size": size,
        "duration": duration,
        "quantity": quantity,
        "word": verdict_word,
        "when": lambda text: text[:16].replace("T", " "),
    }
    # What compared nothing has proven nothing, and must not look as if it had.
    is_empty = summary.totals.match_rate is None and summary.exit_code == 0
    sign, mark = _SIGNS[Verdict.WITHIN_THRESHOLD if is_empty else summary.verdict]
    page = environment.get_template("page.html").render(
        summary=summary,
        totals=summary.totals,
        sign=sign,
        mark=mark,
        reason=verdict_reason(summary),
        scope=scope_sentence(summary.scope),
        sides=[(equation, bar(equation, summary.totals)) for equation in equations(summary.totals)],
        proofs=_PROOFS,
        records=[side_by_side(example) for example in examples],
        breaches=list(map(breach_sentence, summary.breaches)),
        hints=[(hint.text, hint_option(hint)) for hint in summary.hints],
        chart=trend_chart(summary.trend),
        steps=list(next_steps(summary, reports)),
        reports=reports,
        settings=[(name, cut_middle(_plain(value), 500)) for name, value in sorted(summary.settings.items())],
        style=parts["page.css"],
        script=parts["page.js"],
        hashes={name: _hash(parts[name]) for name in ("page.css", "page.js")},
    )
    target.write_text(page, encoding="utf-8", errors="backslashreplace")


_PARTS = ("page.html", "page.css", "page.js")


def bar(equation: Equation, totals: Totals) -> list[Slice]:
    """Returns the parts of a side as a bar; what matched in another form is a part of its own.

    >>> parts = bar(Equation("source", 4, (("matched", 3), ("changed", 1))), Totals(normalised_records=1))
    >>> [(part.name, part.start, part.width) for part in parts]
    [('identical', 0.0, 500.0), ('in other form', 500.0, 250.0), ('changed', 750.0, 250.0)]
    """
    counts = dict(equation.parts)
    matched = counts.pop("matched")
    parts = {"identical": matched - totals.normalised_records, "in other form": totals.normalised_records, **counts}
    return list(_slices([(name, count) for name, count in parts.items() if count]))


def _slices(parts: Sequence[tuple[str, int]]) -> Iterable[Slice]:
    total = sum(count for _, count in parts)
    widths = [max(_SMALLEST, 1000 * count / total) for _, count in parts]
    start = 0.0
    for (name, count), width in zip(parts, widths):
        scaled = 1000 * width / sum(widths)
        yield Slice(name, count, round(start, 2), round(scaled, 2))
        start += scaled


def _line(text: str) -> str:
    """Returns text of any length on one line that a page can hold."""
    return one_line(text) if len(text) <= _LINE else f"{one_line(text[:_LINE])}… ({len(text):,} characters in all)"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _hash(text: str) -> str:
    """Returns the source expression of a Content Security Policy (level 2) that allows just this text."""
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()
