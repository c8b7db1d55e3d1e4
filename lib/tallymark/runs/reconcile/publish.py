"""Turns the written tables of a run into its reports, on the driver, and marks where the run stands.

The order of states is the crash safety of a run: a row INCOMPLETE in `runs`, the tables, the reports, and last the
finished row in `runs`. A run that died at any point is therefore visible as INCOMPLETE.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from tallymark.config.reconcile import ReconcileConfig
from tallymark.io import delta
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import join, normalise_uri
from tallymark.reconcile.canonical import VERSION
from tallymark.reconcile.evidence import Example
from tallymark.reconcile.history import RunPoint, points
from tallymark.reconcile.result import RunSummary, Verdict
from tallymark.reconcile.scope import Scope
from tallymark.reconcile.stages import arrow_schema
from tallymark.reconcile.tables import FILES, MISMATCHES, RUNS
from tallymark.report.csv_report import append_csv
from tallymark.report.excel_report import write_excel
from tallymark.report.html_report import EXAMPLES, write_html
from tallymark.report.json_report import write_json
from tallymark.report.next_steps import TO_COPY_AGAIN
from tallymark.report.repair import COPY_AGAIN, write_repair
from tallymark.runs.reconcile.begun import Run
from tallymark.runs.reconcile.summary import Rows, summarise

_COMPLETE = "COMPLETE"
_INCOMPLETE = "INCOMPLETE"
_REFUSED = "REFUSED"
TREND = 12
"""Runs that a report shows."""


def mark_begun(store: ObjectStore, run: Run) -> None:
    """Makes the run visible as INCOMPLETE before it does anything."""
    delta.replace_run(store, run.table("runs"), run.run_id, _run_row(run, _INCOMPLETE))


def mark_refused(store: ObjectStore, run: Run, reason: str) -> None:
    """Says in `runs` that the rules refused the rows of this run; there is no verdict, so they do not count."""
    row = _run_row(run, _REFUSED).to_pylist()[0] | {"warnings": reason.splitlines()}
    delta.replace_run(store, run.table("runs"), run.run_id, pa.Table.from_pylist([row], arrow_schema(RUNS)))


def publish(
    store: ObjectStore,
    run: Run,
    config: ReconcileConfig,
    files: pa.Table,
    scope: Scope,
    warnings: list[str],
    fingerprint: str | None,
    seconds: float,
) -> tuple[RunSummary, dict[str, str], list[Example]]:
    """Asserts the equations, writes all reports, then finishes the run.

    Returns the summary, the reports' places and some records that differ.

    Args:
        files: the rows of the table `files` of this run; ``fingerprint``: what was compared, see `tables.RUNS`.

    Raises:
        AccountingError: an equation does not hold for a file; nothing was reported.
        IncompleteError: a report could not be written.
    """
    with tempfile.TemporaryDirectory(prefix="tallymark-") as scratch:
        folder = Path(scratch)
        parts = delta.fetch_run(store, run.table("mismatches"), run.run_id, folder)

        def mismatches() -> Iterator[pa.RecordBatch]:
            return delta.stream_rows(parts, list(MISMATCHES), run.run_id)

        def file_rows() -> Iterator[pa.RecordBatch]:
            return iter(files.to_batches())

        summary, evidence = summarise(run, file_rows, mismatches, config, scope, warnings, seconds)
        row = _run_row(run, _INCOMPLETE if summary.verdict is Verdict.INCOMPLETE else _COMPLETE, summary, fingerprint)
        # The rate of a part would be a dip or a peak that means nothing.
        whole = [point for point in earlier_runs(store, run) if not point.is_recheck]
        summary = replace(summary, trend=[*whole[1 - TREND :], *points(row.to_pylist())])
        examples = evidence.examples(EXAMPLES)
        reports = _write_reports(store, config, summary, examples, file_rows, mismatches, row, folder)
    delta.replace_run(store, run.table("runs"), run.run_id, row)
    return summary, reports, examples


def earlier_runs(store: ObjectStore, run: Run) -> list[RunPoint]:
    """Returns the other runs of the same two places, oldest first."""
    same = delta.read_rows(store, run.table("runs"), {"source": run.source, "backup": run.backup})
    rows = chain.from_iterable(batch.to_pylist() for batch in same)
    return [point for point in points(rows) if point.run_id != run.run_id]


def _write_reports(
    store: ObjectStore,
    config: ReconcileConfig,
    summary: RunSummary,
    examples: list[Example],
    files: Rows,
    mismatches: Rows,
    run_row: pa.Table,
    folder: Path,
) -> dict[str, str]:
    """Writes everything to local files first, then publishes it: a failure leaves the former reports in place."""
    main = normalise_uri(config.report_path)
    stem = main.removesuffix(".csv")
    cumulative = {
        "files (CSV)": (main, files, FILES),
        "mismatches (CSV)": (f"{stem}_detailed.csv", mismatches, MISMATCHES),
        "runs (CSV)": (f"{stem}_summary.csv", lambda: iter(run_row.to_batches()), RUNS),
    }
    own = join(summary.out, f"runs/{summary.run_id}")
    write_json(summary, folder / "report.json")
    write_excel(summary, files, mismatches(), folder / "report.xlsx")
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
    page = join(own, "report.html")
    places = {"report (HTML)": page} | {name: uri for name, (_, uri) in made.items()}
    places |= {"repair lists": join(own, "repair"), TO_COPY_AGAIN: join(own, f"repair/{COPY_AGAIN}")}
    write_html(summary, examples, places, folder / "report.html")
    for uri in (page, join(summary.out, "report.html")):  # the second is always that of the last run
        store.put_file(folder / "report.html", uri)
    return places


def _run_row(run: Run, status: str, summary: RunSummary | None = None, fingerprint: str | None = None) -> pa.Table:
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
            "fingerprint": fingerprint,
            "files_left_out": summary.scope.left_out,
        }
    return pa.Table.from_pylist([known], arrow_schema(RUNS))
