"""The sentences that more than one report says: the verdict with its numbers, and the two equations.

Computes nothing but sums for display; called by the JSON, Excel and terminal reports.
"""

from __future__ import annotations

from dataclasses import dataclass

from tallymark.reconcile.result import RunSummary, Totals, Verdict


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


def _differences(totals: Totals) -> str:
    counts = {
        "changed": totals.mismatched_records,
        "missing in the backup": totals.missing_in_backup,
        "missing in the source": totals.missing_in_source,
    }
    return ", ".join(f"{quantity(count)} {what}" for what, count in counts.items() if count)


def _matching(totals: Totals) -> str:
    if totals.match_rate is None:
        return "nothing to compare: neither side holds a record"
    records = max(totals.source_records, totals.backup_records)
    moved = f" ({counted(totals.moved_out, 'record')} found in another file)" if totals.moved_out else ""
    differences = _differences(totals)
    if not differences:
        return f"all {counted(records, 'record')} match{moved}"
    return f"{rate(totals.match_rate)} of {counted(records, 'record')} match{moved}; {differences}"


def verdict_sentence(summary: RunSummary) -> str:
    """Returns the verdict in one sentence with its numbers: `DIFFERENT: 99.98 % of 12.4 M records match; ...`."""
    totals, word = summary.totals, summary.verdict.value
    if summary.verdict is Verdict.INCOMPLETE:
        failed = f"{quantity(totals.files_error)} of {counted(totals.files, 'file')} could not be compared"
        return f"{word}: {failed if totals.files_error else 'the run did not finish'}; of the rest: {_matching(totals)}"
    if summary.verdict is Verdict.WITHIN_THRESHOLD:
        threshold = summary.settings.get("threshold")
        least = f" (at least {threshold} % asked for)" if threshold is not None else ""
        return f"{word.replace('_', ' ')}{least}: {_matching(totals)}"
    return f"{word}: {_matching(totals)}"
