"""The sentences that more than one report says: the verdict with its numbers, and the two equations.

Computes nothing but sums for display; called by the reports, the dashboard and the messages.
"""

from __future__ import annotations

from dataclasses import dataclass

from tallymark.reconcile.limits import Breach
from tallymark.reconcile.result import RunSummary, Totals, Verdict
from tallymark.reconcile.scope import Scope
from tallymark.report.legible import cut_middle, one_line

_BREACHES = 3


@dataclass(frozen=True)
class Equation:
    """One side's records and the parts that they must be the sum of."""

    side: str
    records: int
    parts: tuple[tuple[str, int], ...]

    @property
    def sentence(self) -> str:
        """The equation spelled with its numbers, and marked where it is false."""
        return f"{self}{'' if self.holds else ' (DOES NOT HOLD)'}"

    @property
    def holds(self) -> bool:
        """Whether the parts sum up to the records."""
        return self.records == sum(count for _, count in self.parts)

    def __str__(self) -> str:
        sign = "=" if self.holds else "≠"
        return f"{self.side} {self.records:,} {sign} " + " + ".join(f"{name} {count:,}" for name, count in self.parts)


def equations(totals: Totals) -> tuple[Equation, Equation]:
    """Returns the equation of the source and the one of the backup.

    >>> for equation in equations(Totals(source_records=3, backup_records=1, matched_records=1, missing_in_backup=2)):
    ...     print(equation)
    source 3 = matched 1 + changed 0 + moved out 0 + missing in backup 2
    backup 1 = matched 1 + changed 0 + moved in 0 + missing in source 0
    """
    both = (("matched", totals.matched_records), ("changed", totals.mismatched_records))
    out = (("moved out", totals.moved_out), ("missing in backup", totals.missing_in_backup))
    into = (("moved in", totals.moved_in), ("missing in source", totals.missing_in_source))
    return (
        Equation("source", totals.source_records, both + out),
        Equation("backup", totals.backup_records, both + into),
    )


def quantity(number: int) -> str:
    """Returns a number for a sentence: exact below a million, cut (not rounded) above.

    >>> quantity(999_999), quantity(12_499_999), quantity(3_000_000_000)
    ('999,999', '12.4 M', '3.0 bn')
    """
    if number < 1_000_000:
        return f"{number:,}"
    size, unit = (1_000_000_000, "bn") if number >= 1_000_000_000 else (1_000_000, "M")
    tenths = 10 * number // size
    return f"{tenths // 10:,}.{tenths % 10} {unit}"


def counted(number: int, singular: str, plural: str = "") -> str:
    """Returns a number and its noun.

    >>> counted(1, "file"), counted(1200, "file"), counted(2, "is", "are")
    ('1 file', '1,200 files', '2 are')
    """
    return f"{quantity(number)} {singular if number == 1 else plural or singular + 's'}"


def rate(percentage: float | None) -> str:
    """Returns a match rate with two to four decimals; it is never rounded up, so 100 means all.

    >>> rate(99.98), rate(99.9999), rate(100.0), rate(None)
    ('99.98 %', '99.9999 %', '100.00 %', 'nothing to compare')
    """
    if percentage is None:
        return "nothing to compare"
    text = f"{percentage:.4f}"
    whole, decimals = text.split(".")
    return f"{whole}.{decimals[:2]}{decimals[2:].rstrip('0')} %"


def _differences(summary: RunSummary) -> str:
    totals = summary.totals
    counts = {
        f"changed{_only_in(summary)}": totals.mismatched_records,
        f"missing in the backup{_not_there(totals.files_missing_in_backup)}": totals.missing_in_backup,
        f"missing in the source{_not_there(totals.files_missing_in_source)}": totals.missing_in_source,
    }
    return ", ".join(f"{quantity(count)} {what}" for what, count in counts.items() if count)


def _only_in(summary: RunSummary) -> str:
    """Returns in which path most changed records differ, where they differ in nothing else."""
    changed = summary.totals.mismatched_records
    path, count = max(summary.changed_alone.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    if 2 * count < changed or not count:
        return ""
    return f" ({'' if count == changed else f'{quantity(count)} '}only in {cut_middle(path, 60)})"


def _not_there(files: int) -> str:
    return f" ({counted(files, 'file')} {'is' if files == 1 else 'are'} not there)" if files else ""


def _matching(summary: RunSummary) -> str:
    totals = summary.totals
    if totals.match_rate is None:
        return "nothing to compare: neither side holds a record"
    records = max(totals.source_records, totals.backup_records)
    moved = f" ({counted(totals.moved_out, 'record')} found in another file)" if totals.moved_out else ""
    differences = _differences(summary)
    if not differences:
        return f"all {counted(records, 'record')}{' of these' if summary.scope.is_partial else ''} match{moved}"
    return f"{rate(totals.match_rate)} of {counted(records, 'record')} match{moved}; {differences}"


def scope_sentence(scope: Scope) -> str:
    """Returns how much of what was listed was compared; empty where that is everything.

    >>> scope_sentence(Scope(listed=49, left_alone=3, left_out=40, min_age="1h", only_failed_from="run-1"))
    '6 of 49 files compared; 40 did not fail in run run-1; 3 are younger than 1h'
    """
    if not scope.is_partial:
        return ""
    parts = [f"{quantity(scope.compared)} of {counted(scope.listed, 'file')} compared"]
    if scope.left_out:
        parts.append(f"{quantity(scope.left_out)} did not fail in run {scope.only_failed_from}")
    if scope.left_alone:
        verb = "is" if scope.left_alone == 1 else "are"
        parts.append(f"{quantity(scope.left_alone)} {verb} younger than {scope.min_age}")
    return "; ".join(parts)


def breach_sentence(breach: Breach) -> str:
    """Returns what a limit allows and what was found.

    >>> breach_sentence(Breach("north/", "missing_files", "0", "2"))
    'north/: missing_files 2, at most 0 allowed'
    """
    bound = "at least" if breach.limit == "match_rate" else "at most"
    return f"{one_line(breach.prefix)}: {breach.limit} {breach.found}, {bound} {breach.allowed} allowed"


def verdict_word(verdict: str) -> str:
    """Returns the verdict as it is read.

    >>> verdict_word("WITHIN_THRESHOLD")
    'WITHIN THRESHOLD'
    """
    return verdict.replace("_", " ")


def verdict_sentence(summary: RunSummary) -> str:
    """Returns the verdict in one sentence with its numbers: `DIFFERENT: 99.98 % of 12.4 M records match; ...`.

    The terminal, JSON, Excel, HTML and the messages to people all say this one.
    """
    return f"{verdict_word(summary.verdict.value)}{_of_what(summary)}: {verdict_reason(summary)}"


def verdict_reason(summary: RunSummary) -> str:
    """Returns the sentence without the verdict in front."""
    totals = summary.totals
    beyond = "; ".join(map(breach_sentence, summary.breaches[:_BREACHES]))
    matching = f"{_matching(summary)}{'; beyond its limits: ' if beyond else ''}{beyond}"
    if summary.verdict is not Verdict.INCOMPLETE:
        return matching
    failed = f"{quantity(totals.files_error)} of {counted(totals.files, 'file')} could not be compared"
    return f"{failed if totals.files_error else 'the run did not finish'}; of the rest: {matching}"


def _of_what(summary: RunSummary) -> str:
    threshold = summary.settings.get("threshold")
    least = summary.verdict is Verdict.WITHIN_THRESHOLD and threshold is not None
    parts = [f"at least {threshold} % asked for"] if least else []
    parts += [scope_sentence(summary.scope)] if summary.scope.is_partial else []
    return f" ({'; '.join(parts)})" if parts else ""
