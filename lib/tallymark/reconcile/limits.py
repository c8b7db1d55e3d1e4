"""Limits for the files below a path: what they allow, and where a run went beyond.

They only tighten: a run whose limits hold still has to pass the threshold over all files. Called by
`tallymark.runs.reconcile.summary` with the rows of the table `files`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import pyarrow as pa
import pyarrow.compute as pc

from tallymark.reconcile.tables import STATUS_LEFT_ALONE, STATUS_MISSING_IN_BACKUP

_MISMATCHES = ("mismatched_records", "missing_in_backup", "missing_in_source")
_SUMMED = ("source_records", "backup_records", "matched_records", "moved_out", *_MISMATCHES)


@dataclass(frozen=True)
class Limit:
    """What the files below ``prefix``, the beginning of their paths, may show; None sets no limit.

    Attributes:
        match_rate: lowest percentage of records found on both sides.
        missing_files: most files that the backup lacks.
        mismatches: most records that are changed or missing on a side.
    """

    prefix: str
    match_rate: Decimal | None = None
    missing_files: int | None = None
    mismatches: int | None = None


@dataclass(frozen=True)
class Breach:
    """One limit that a run went beyond."""

    prefix: str
    limit: str
    allowed: str
    found: str


class Tally:
    """Counts the files below the prefix of one limit, batch by batch."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.files = 0
        self._sums = Counter[str]()
        self._missing_files = 0

    def add(self, files: pa.RecordBatch) -> None:
        """Adds rows of the table `files`."""
        compared = files.filter(pc.not_equal(files.column("status"), STATUS_LEFT_ALONE))
        below = compared.filter(pc.starts_with(compared.column("file_path"), self.limit.prefix))
        self.files += len(below)
        self._sums.update({name: pc.sum(below.column(name)).as_py() or 0 for name in _SUMMED})
        missing = pc.equal(below.column("status"), STATUS_MISSING_IN_BACKUP)
        self._missing_files += pc.sum(missing).as_py() or 0

    def breaches(self) -> Iterator[Breach]:
        """Yields what went beyond; a rate is compared exactly, never rounded."""
        limit, sums = self.limit, self._sums
        found, largest = (
            sums["matched_records"] + sums["moved_out"],
            max(sums["source_records"], sums["backup_records"]),
        )
        if limit.match_rate is not None and 100 * found < Fraction(limit.match_rate) * largest:
            rate = (1_000_000 * found // largest) / 10_000
            yield Breach(limit.prefix, "match_rate", f"{limit.match_rate} %", f"{rate:.4f} %")
        if limit.missing_files is not None and self._missing_files > limit.missing_files:
            yield Breach(limit.prefix, "missing_files", f"{limit.missing_files:,}", f"{self._missing_files:,}")
        mismatches = sum(sums[name] for name in _MISMATCHES)
        if limit.mismatches is not None and mismatches > limit.mismatches:
            yield Breach(limit.prefix, "mismatches", f"{limit.mismatches:,}", f"{mismatches:,}")
