"""The typed result of a run: totals, rates and the verdict. Reports are views of it.

Nothing here reads data: the counts come from the settled tables.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import Enum
from fractions import Fraction
from typing import Any

from tallymark.errors import EXIT_DIFFERENT, EXIT_INCOMPLETE, EXIT_MATCH
from tallymark.reconcile.hints import Hint
from tallymark.reconcile.history import RunPoint
from tallymark.reconcile.limits import Breach
from tallymark.reconcile.scope import Scope


class Verdict(str, Enum):
    """What a run says about the two prefixes; the exit code follows from it."""

    MATCH = "MATCH"
    PARTIAL_MATCH = "PARTIAL_MATCH"
    """All that was compared matches, and not everything was compared."""
    WITHIN_THRESHOLD = "WITHIN_THRESHOLD"
    DIFFERENT = "DIFFERENT"
    INCOMPLETE = "INCOMPLETE"

    @property
    def exit_code(self) -> int:
        return {"DIFFERENT": EXIT_DIFFERENT, "INCOMPLETE": EXIT_INCOMPLETE}.get(self.value, EXIT_MATCH)


def match_rate(found: int, source: int, backup: int) -> float | None:
    """Returns the percentage of records found on both sides, cut (never rounded up) to 4 decimals.

    ``found`` is matched plus moved. None when both sides are empty: nothing was proven.

    >>> match_rate(999_999, 1_000_000, 1_000_000)
    99.9999
    >>> match_rate(99_999_999, 100_000_000, 100_000_000)
    99.9999
    >>> match_rate(0, 0, 0) is None
    True
    """
    largest = max(source, backup)
    return None if largest == 0 else (1_000_000 * found // largest) / 10_000


@dataclass(frozen=True)
class Totals:
    """Sums over all file rows that have counts; ``files_*`` count file rows by status.

    ``bytes_not_read`` are those of both sides that a proof has spared, or that were left alone.
    """

    files: int = 0
    files_matched: int = 0
    files_different: int = 0
    files_missing_in_backup: int = 0
    files_missing_in_source: int = 0
    files_error: int = 0
    files_left_alone: int = 0
    source_records: int = 0
    backup_records: int = 0
    matched_records: int = 0
    mismatched_records: int = 0
    missing_in_backup: int = 0
    missing_in_source: int = 0
    moved_out: int = 0
    moved_in: int = 0
    identical_records: int = 0
    normalised_records: int = 0
    invalid_source: int = 0
    invalid_backup: int = 0
    source_bytes: int = 0
    backup_bytes: int = 0
    bytes_not_read: int = 0

    @property
    def match_rate(self) -> float | None:
        return match_rate(self.matched_records + self.moved_out, self.source_records, self.backup_records)

    def verdict(self, threshold: Fraction) -> Verdict:
        """Returns the verdict by counts; ``threshold`` is the least acceptable percentage."""
        if self.files_error:
            return Verdict.INCOMPLETE
        if not (self.mismatched_records or self.missing_in_backup or self.missing_in_source):
            return Verdict.MATCH
        found = self.matched_records + self.moved_out
        largest = max(self.source_records, self.backup_records)
        return Verdict.WITHIN_THRESHOLD if 100 * found >= threshold * largest else Verdict.DIFFERENT

    def equations_hold(self) -> bool:
        """Tells whether each side's records are the sum of their parts."""
        return (
            self.source_records
            == self.matched_records + self.mismatched_records + self.moved_out + self.missing_in_backup
            and self.backup_records
            == self.matched_records + self.mismatched_records + self.moved_in + self.missing_in_source
            and self.matched_records == self.identical_records + self.normalised_records
            and self.moved_out == self.moved_in
        )


@dataclass(frozen=True)
class RunSummary:
    """One run as data, without its rows: what the terminal, `report.json` and the `runs` table show.

    ``settings`` are the validated options as plain JSON values; ``proofs`` counts file rows by proof;
    ``worst_files`` and ``errors`` are file rows (columns of `tables.FILES`), worst first, at most 20 and 100;
    ``changed_paths`` ranks JSON paths by how many changed records they differ in, at most 50; ``changed_alone`` says of
    these how many differ in nothing else. ``bytes_by_proof`` are of both sides, read or not; ``breaches`` the limits
    that were not kept; ``trend`` this and up to 11 earlier runs over the whole of both places, oldest first.
    """

    run_id: str
    run_time: datetime
    source: str
    backup: str
    out: str
    settings: dict[str, Any]
    verdict: Verdict
    totals: Totals
    proofs: dict[str, int]
    worst_files: list[dict[str, Any]]
    errors: list[dict[str, Any]]
    changed_paths: dict[str, int]
    warnings: list[str]
    canonical_version: int
    duration_seconds: float
    scope: Scope = field(default_factory=lambda: Scope(0))
    bytes_by_proof: dict[str, int] = field(default_factory=dict)
    changed_alone: dict[str, int] = field(default_factory=dict)
    breaches: list[Breach] = field(default_factory=list)
    hints: list[Hint] = field(default_factory=list)
    trend: list[RunPoint] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return self.verdict.exit_code

    def to_dict(self) -> dict[str, Any]:
        """Returns the summary as JSON values, with ``match_rate`` and ``exit_code`` beside the counts.

        Without the trend, which tells of other runs: equal runs give equal summaries.
        """
        plain = asdict(self)
        del plain["trend"]
        plain["run_time"] = self.run_time.isoformat()
        plain["verdict"] = self.verdict.value
        plain["exit_code"] = self.exit_code
        plain["totals"]["match_rate"] = self.totals.match_rate
        return plain
