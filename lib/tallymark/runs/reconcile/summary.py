"""Sums up the rows that a run wrote into its typed summary, and asserts that every record is accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from fractions import Fraction
from heapq import nsmallest
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tallymark.config.reconcile import ReconcileConfig
from tallymark.errors import AccountingError
from tallymark.io.uris import is_remote
from tallymark.reconcile.canonical import VERSION
from tallymark.reconcile.evidence import Evidence
from tallymark.reconcile.file_rows import LEFT_ALONE
from tallymark.reconcile.hints import find_hints
from tallymark.reconcile.ledger import REMEMBERED
from tallymark.reconcile.limits import Limit, Tally
from tallymark.reconcile.plan import IDENTICAL
from tallymark.reconcile.result import RunSummary, Totals, Verdict
from tallymark.reconcile.scope import Scope
from tallymark.reconcile.tables import (
    STATUS_DIFFERENT,
    STATUS_ERROR,
    STATUS_LEFT_ALONE,
    STATUS_MATCH,
    STATUS_MISSING_IN_BACKUP,
    STATUS_MISSING_IN_SOURCE,
)
from tallymark.runs.reconcile.begun import Run

Rows = Callable[[], Iterator[pa.RecordBatch]]
"""Starts reading the rows of a table anew."""

_WORST = 20
_ERRORS = 100
_PATHS = 50
_BYTES = ("source_bytes", "backup_bytes")
_COUNTED = {
    STATUS_MATCH: "files_matched",
    STATUS_DIFFERENT: "files_different",
    STATUS_MISSING_IN_BACKUP: "files_missing_in_backup",
    STATUS_MISSING_IN_SOURCE: "files_missing_in_source",
    STATUS_ERROR: "files_error",
    STATUS_LEFT_ALONE: "files_left_alone",
}


def summarise(
    run: Run,
    files: Rows,
    mismatches: Rows,
    config: ReconcileConfig,
    scope: Scope,
    warnings: list[str],
    seconds: float,
) -> tuple[RunSummary, Evidence]:
    """Sums up the rows of a run; raises AccountingError where an equation does not hold.

    The trend of the summary is left empty, because it needs the row of this run.
    """
    read = _FileRows([Limit(prefix, **dict(allowed)) for prefix, allowed in config.limits.items()], _unread_side(run))
    for batch in files():
        read.add(batch)
    evidence = Evidence()
    for batch in mismatches():
        evidence.add(batch)
    totals = read.summed_up()
    breaches = [breach for tally in read.tallies for breach in tally.breaches()]
    verdict = _verdict(totals, config, scope, bool(breaches))
    ranked = sorted(evidence.paths.items(), key=lambda item: (-item[1], item[0]))[:_PATHS]
    summary = RunSummary(
        run_id=run.run_id,
        run_time=run.run_time,
        source=run.source,
        backup=run.backup,
        out=run.out,
        settings=run.settings,
        verdict=verdict,
        totals=totals,
        proofs=dict(sorted(read.proofs.items())),
        worst_files=read.worst,
        errors=read.errors,
        changed_paths=dict(ranked),
        warnings=[*warnings, *_warnings(totals, read.tallies)],
        canonical_version=VERSION,
        duration_seconds=round(seconds, 1),
        scope=scope,
        bytes_by_proof=dict(sorted(read.bytes.items())),
        changed_alone={path: evidence.alone[path] for path, _ in ranked if evidence.alone[path]},
        breaches=breaches,
        hints=find_hints(asdict(totals), evidence, run.settings, read.errors),
    )
    return summary, evidence


def _warnings(totals: Totals, tallies: list[Tally]) -> Iterator[str]:
    yield from (f"LIMITS: no file was compared below {tally.limit.prefix}" for tally in tallies if not tally.files)
    if totals.source_records + totals.backup_records == 0:
        yield "EMPTY: no record on either side, so nothing was proven"


def _verdict(totals: Totals, config: ReconcileConfig, scope: Scope, is_beyond_limits: bool) -> Verdict:
    verdict = totals.verdict(Fraction(config.threshold))
    is_empty = config.fail_on_empty and totals.source_records == 0
    if verdict is not Verdict.INCOMPLETE and (is_empty or is_beyond_limits):
        return Verdict.DIFFERENT
    return Verdict.PARTIAL_MATCH if verdict is Verdict.MATCH and scope.is_partial else verdict


def _unread_side(run: Run) -> str | None:
    """Returns the column with the bytes that the proof `identical` spares: of two local files both are read."""
    return "backup_bytes" if is_remote(run.source) or is_remote(run.backup) else None


class _FileRows:
    """What is summed up of the rows of `files`, batch by batch."""

    def __init__(self, limits: list[Limit], unread_side: str | None) -> None:
        self.tallies = [Tally(limit) for limit in limits]
        self.proofs = Counter[str]()
        self.bytes = Counter[str]()
        self.worst: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []
        self._totals = Counter[str]()
        self._spared = {REMEMBERED: _BYTES, LEFT_ALONE: _BYTES, IDENTICAL: (unread_side,) if unread_side else ()}

    def add(self, batch: pa.RecordBatch) -> None:
        statuses = Counter(batch.column("status").to_pylist())
        self._totals.update({_COUNTED[status]: count for status, count in statuses.items()}, files=len(batch))
        summed = [field.name for field in fields(Totals) if field.name in batch.schema.names]
        self._totals.update({name: _sum(batch, name) for name in summed})
        for proof, count in Counter(batch.column("proof").to_pylist()).items():
            of_proof = batch.filter(pc.equal(batch.column("proof"), proof))
            self.proofs[proof] += count
            self.bytes[proof] += sum(_sum(of_proof, name) for name in _BYTES)
            self._totals["bytes_not_read"] += sum(_sum(of_proof, name) for name in self._spared.get(proof, ()))
        rows = batch.filter(pc.invert(pc.equal(batch.column("status"), STATUS_MATCH))).to_pylist()
        self.worst = nsmallest(_WORST, self.worst + [row for row in rows if _badness(row)], key=_worst_first)
        self.errors = (self.errors + [row for row in rows if row["status"] == STATUS_ERROR])[:_ERRORS]
        for tally in self.tallies:
            tally.add(batch)

    def summed_up(self) -> Totals:
        totals = Totals(**self._totals)
        if not totals.equations_hold():
            raise _defect("all files", self._totals)
        return totals


def _sum(batch: pa.RecordBatch, name: str) -> int:
    return pc.sum(batch.column(name)).as_py() or 0


def assert_equations(files: pa.Table) -> None:
    """Raises AccountingError where the counts of a file do not add up."""
    batches = files.to_batches(max_chunksize=10_000)  # a row as Python object is ten times as large
    for row in chain.from_iterable(batch.to_pylist() for batch in batches):
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
