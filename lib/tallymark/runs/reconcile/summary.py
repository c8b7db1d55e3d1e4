"""Sums up the rows that a run wrote into its typed summary, and asserts that every record is accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from fractions import Fraction
from heapq import nsmallest
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tallymark.config.reconcile import ReconcileConfig
from tallymark.errors import AccountingError
from tallymark.reconcile.canonical import VERSION
from tallymark.reconcile.file_rows import (
    STATUS_DIFFERENT,
    STATUS_ERROR,
    STATUS_MATCH,
    STATUS_MISSING_IN_BACKUP,
    STATUS_MISSING_IN_SOURCE,
)
from tallymark.reconcile.result import RunSummary, Totals, Verdict
from tallymark.runs.reconcile.begun import Run

Rows = Callable[[], Iterator[pa.RecordBatch]]
"""Starts reading the rows of a table anew."""

_WORST = 20
_ERRORS = 100
_PATHS = 50
_COUNTED = {
    STATUS_MATCH: "files_matched",
    STATUS_DIFFERENT: "files_different",
    STATUS_MISSING_IN_BACKUP: "files_missing_in_backup",
    STATUS_MISSING_IN_SOURCE: "files_missing_in_source",
    STATUS_ERROR: "files_error",
}


def summarise(
    run: Run, files: Rows, mismatches: Rows, config: ReconcileConfig, warnings: list[str], seconds: float
) -> RunSummary:
    """Sums up the rows of a run; raises AccountingError where an equation does not hold."""
    totals = Counter[str]()
    proofs = Counter[str]()
    worst: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for batch in files():
        proofs.update(batch.column("proof").to_pylist())
        statuses = Counter(batch.column("status").to_pylist())
        totals.update({_COUNTED[status]: count for status, count in statuses.items()}, files=len(batch))
        summed = [field.name for field in fields(Totals) if field.name in batch.schema.names]
        totals.update({name: pc.sum(batch.column(name)).as_py() or 0 for name in summed})
        rows = batch.filter(pc.invert(pc.equal(batch.column("status"), STATUS_MATCH))).to_pylist()
        worst = nsmallest(_WORST, worst + [row for row in rows if _badness(row)], key=_worst_first)
        errors = (errors + [row for row in rows if row["status"] == STATUS_ERROR])[:_ERRORS]
    summed_up = Totals(**totals)
    if not summed_up.equations_hold():
        raise _defect("all files", totals)
    verdict = summed_up.verdict(Fraction(config.threshold))
    if summed_up.source_records + summed_up.backup_records == 0:
        warnings = [*warnings, "EMPTY: no record on either side, so nothing was proven"]
    if config.fail_on_empty and summed_up.source_records == 0 and verdict is not Verdict.INCOMPLETE:
        verdict = Verdict.DIFFERENT
    return RunSummary(
        run_id=run.run_id,
        run_time=run.run_time,
        source=run.source,
        backup=run.backup,
        out=run.out,
        settings=run.settings,
        verdict=verdict,
        totals=summed_up,
        proofs=dict(sorted(proofs.items())),
        worst_files=worst,
        errors=errors,
        changed_paths=_rank_paths(mismatches()),
        warnings=warnings,
        canonical_version=VERSION,
        duration_seconds=round(seconds, 1),
    )


def assert_equations(files: pa.Table) -> None:
    """Raises AccountingError where the counts of a file do not add up."""
    for row in files.to_pylist():
        if row["source_records"] is None:
            continue
        counts = {field.name: row[field.name] for field in fields(Totals) if field.name in row}
        # moved_out and moved_in balance over all files, not within one.
        if not Totals(**counts | {"moved_in": 0, "moved_out": 0, **_moved_apart(row)}).equations_hold():
            raise _defect(row["file_path"], counts)


def _defect(place: str, counts: Mapping[str, int]) -> AccountingError:
    return AccountingError(
        f"the counts of {place} do not add up ({dict(counts)}): this is a defect of Tallymark, "
        "nothing was reported; please report it with these numbers"
    )


def _moved_apart(row: dict[str, Any]) -> dict[str, int]:
    return {
        "source_records": row["source_records"] - row["moved_out"],
        "backup_records": row["backup_records"] - row["moved_in"],
    }


def _badness(row: dict[str, Any]) -> int:
    return (row["mismatched_records"] or 0) + (row["missing_in_backup"] or 0) + (row["missing_in_source"] or 0)


def _worst_first(row: dict[str, Any]) -> tuple[int, str]:
    return -_badness(row), row["file_path"]


def _rank_paths(mismatches: Iterable[pa.RecordBatch]) -> dict[str, int]:
    ranked = Counter[str]()
    for batch in mismatches:
        counted = pc.value_counts(pc.list_flatten(batch.column("changed_paths")))
        ranked.update({entry["values"]: entry["counts"] for entry in counted.to_pylist()})
    return dict(sorted(ranked.items(), key=lambda item: (-item[1], item[0]))[:_PATHS])
