"""Turns the written tables of a run into its summary and reports, on the driver.

The order of states is the crash safety of a run: a row INCOMPLETE in `runs`, the tables, the reports, and last the
finished row in `runs`. A run that died at any point is therefore visible as INCOMPLETE.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from fractions import Fraction
from heapq import nsmallest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from tallymark.config import ReconcileConfig
from tallymark.errors import AccountingError
from tallymark.io import delta
from tallymark.io.objects import ObjectStore, join, normalise_uri
from tallymark.reconcile.canonical import VERSION
from tallymark.reconcile.file_rows import (
    STATUS_DIFFERENT,
    STATUS_ERROR,
    STATUS_MATCH,
    STATUS_MISSING_IN_BACKUP,
    STATUS_MISSING_IN_SOURCE,
)
from tallymark.reconcile.result import RunSummary, Totals, Verdict
from tallymark.reconcile.stages import arrow_schema
from tallymark.reconcile.tables import FILES, MISMATCHES, RUNS, ddl
from tallymark.report.csv_report import append_csv
from tallymark.report.excel_report import write_excel
from tallymark.report.json_report import write_json
from tallymark.report.repair import write_repair

Rows = Callable[[], Iterator[pa.RecordBatch]]

_COMPLETE = "COMPLETE"
_INCOMPLETE = "INCOMPLETE"
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


@dataclass(frozen=True)
class Run:
    """What is known of a run before it reads anything; one with a name of the user's may have run before."""

    run_id: str
    is_named: bool
    run_time: datetime
    source: str
    backup: str
    out: str
    settings: dict[str, Any]

    @property
    def run_time_text(self) -> str:
        return self.run_time.isoformat(timespec="seconds")

    def table(self, name: str) -> str:
        return delta.table_uri(self.out, name)


def mark_begun(spark: SparkSession, run: Run) -> None:
    """Makes the run visible as INCOMPLETE before it does anything."""
    _write_run(spark, run, _run_row(run, _INCOMPLETE), replace=run.is_named)


def publish(
    spark: SparkSession, store: ObjectStore, run: Run, config: ReconcileConfig, warnings: list[str], seconds: float
) -> tuple[RunSummary, dict[str, str]]:
    """Asserts the equations, writes all reports, then finishes the run; returns the summary and the reports' places.

    Raises:
        AccountingError: an equation does not hold for a file; nothing was reported.
        IncompleteError: a report could not be written.
    """
    with tempfile.TemporaryDirectory(prefix="tallymark-") as scratch:
        folder = Path(scratch)
        files = _fetch(store, run, "files", list(FILES), folder)
        mismatches = _fetch(store, run, "mismatches", list(MISMATCHES), folder)
        summary = summarise(run, files, mismatches, config, warnings, seconds)
        row = _run_row(run, _INCOMPLETE if summary.verdict is Verdict.INCOMPLETE else _COMPLETE, summary)
        reports = _write_reports(store, config, summary, files, mismatches, row, folder)
    _write_run(spark, run, row, replace=True)
    return summary, reports


def _fetch(store: ObjectStore, run: Run, name: str, columns: list[str], folder: Path) -> Rows:
    (folder / name).mkdir()
    parts = delta.fetch_run(store, run.table(name), run.run_id, folder / name)
    return lambda: delta.stream_rows(parts, columns, run.run_id)


def summarise(
    run: Run, files: Rows, mismatches: Rows, config: ReconcileConfig, warnings: list[str], seconds: float
) -> RunSummary:
    """Sums up the rows of a run; raises AccountingError where an equation does not hold."""
    totals = Counter[str]()
    proofs = Counter[str]()
    worst: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for batch in files():
        _assert_equations(batch)
        proofs.update(batch.column("proof").to_pylist())
        statuses = Counter(batch.column("status").to_pylist())
        totals.update({_COUNTED[status]: count for status, count in statuses.items()}, files=len(batch))
        summed = [field.name for field in fields(Totals) if field.name in batch.schema.names]
        totals.update({name: pc.sum(batch.column(name)).as_py() or 0 for name in summed})
        rows = batch.filter(pc.invert(pc.equal(batch.column("status"), STATUS_MATCH))).to_pylist()
        worst = nsmallest(_WORST, worst + [row for row in rows if _badness(row)], key=_worst_first)
        errors = (errors + [row for row in rows if row["status"] == STATUS_ERROR])[:_ERRORS]
    summed_up = Totals(**totals)
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


def _assert_equations(batch: pa.RecordBatch) -> None:
    for row in batch.to_pylist():
        if row["status"] == STATUS_ERROR:
            continue
        counts = {field.name: row[field.name] for field in fields(Totals) if field.name in row}
        # moved_out and moved_in balance over all files, not within one.
        if not Totals(**counts | {"moved_in": 0, "moved_out": 0, **_moved_apart(row)}).equations_hold():
            raise AccountingError(
                f"the counts of {row['file_path']} do not add up ({counts}): this is a defect of Tallymark, "
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


def _write_reports(
    store: ObjectStore,
    config: ReconcileConfig,
    summary: RunSummary,
    files: Rows,
    mismatches: Rows,
    run_row: pa.RecordBatch,
    folder: Path,
) -> dict[str, str]:
    """Writes everything to local files first, then publishes it: a failure leaves the former reports in place."""
    main = normalise_uri(config.report_path)
    stem = main.removesuffix(".csv")
    cumulative = {
        "files (CSV)": (main, files, FILES),
        "mismatches (CSV)": (f"{stem}_detailed.csv", mismatches, MISMATCHES),
        "runs (CSV)": (f"{stem}_summary.csv", lambda: iter((run_row,)), RUNS),
    }
    own = join(summary.out, f"runs/{summary.run_id}")
    write_json(summary, folder / "report.json")
    write_excel(summary, files(), mismatches(), folder / "report.xlsx")
    made = {
        "report (JSON)": (folder / "report.json", join(own, "report.json")),
        "report (Excel)": (folder / "report.xlsx", join(own, "report.xlsx")),
    }
    for number, (name, (uri, rows, columns)) in enumerate(cumulative.items()):
        earlier, target = folder / f"earlier-{number}.csv", folder / f"new-{number}.csv"
        previous = earlier if store.get_file(uri, earlier) else None
        append_csv(rows(), columns, summary.run_id, target, previous)
        made[name] = (target, uri)
    repairs = write_repair(files(), mismatches(), folder / "repair", source=summary.source, backup=summary.backup)
    for path in repairs:
        store.put_file(path, join(own, f"repair/{path.name}"))
    for path, uri in made.values():
        store.put_file(path, uri)
    return {name: uri for name, (_, uri) in made.items()} | {"repair lists": join(own, "repair")}


def _run_row(run: Run, status: str, summary: RunSummary | None = None) -> pa.RecordBatch:
    known: dict[str, Any] = {
        "run_id": run.run_id,
        "run_time": run.run_time_text,
        "status": status,
        "source": run.source,
        "backup": run.backup,
        "proof": run.settings["proof"],
        "canonical_version": VERSION,
        "settings": json.dumps(run.settings, sort_keys=True),
    }
    if summary is not None:
        known |= asdict(summary.totals) | {
            "match_rate": summary.totals.match_rate,
            "verdict": summary.verdict.value,
            "exit_code": summary.exit_code,
            "warnings": summary.warnings,
            "duration_seconds": summary.duration_seconds,
        }
    return pa.RecordBatch.from_pylist([known], arrow_schema(RUNS))


def _write_run(spark: SparkSession, run: Run, row: pa.RecordBatch, *, replace: bool) -> None:
    rows = [tuple(row.to_pylist()[0].values())]
    delta.write_run(spark.createDataFrame(rows, ddl(RUNS)).coalesce(1), run.table("runs"), run.run_id, replace)
