"""Writes the Excel report: Summary, Files, Mismatches and Trend. A view to look at; the full set is in Delta.

Rows are streamed (XlsxWriter's constant memory mode). Text is always written as text, never as a formula, link or
number. A sheet holds at most `max_rows` rows; what is left out is said in its last row and on the Summary sheet.
Called by the reconcile job.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timezone
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from tallymark.reconcile.result import RunSummary
from tallymark.reconcile.tables import FILES, MISMATCHES, STATUS_MATCH
from tallymark.report.excel_trend import write_trend
from tallymark.report.legible import cell_text
from tallymark.report.next_steps import hint_option
from tallymark.report.wording import breach_sentence, equations, rate, verdict_sentence

SHEET_ROWS = 1_048_574  # 1,048,576 rows of Excel less the header and the note
MISMATCH_ROWS = 100_000  # 10,000 rows are written a second: ten million would take a quarter of an hour
FILE_ROWS = 50_000  # 3,000 rows are written a second
_ROWS_AT_ONCE = 5_000  # that are Python objects
_NUMBERS = {"bigint": "#,##0", "int": "#,##0", "double": "0.0000"}
_WIDTHS = {
    "file_path": 50,
    "hash": 24,
    "json_content": 60,
    "backup_content": 60,
    "changed_paths": 30,
    "error": 50,
    "source_path": 50,
    "backup_path": 50,
    "run_id": 30,
    "run_time": 26,
}


def write_excel(
    summary: RunSummary,
    files: Callable[[], Iterable[pa.RecordBatch]],
    mismatches: Iterable[pa.RecordBatch],
    target: Path,
    *,
    max_rows: int = SHEET_ROWS,
    max_file_rows: int = FILE_ROWS,
    max_mismatch_rows: int = MISMATCH_ROWS,
) -> None:
    """Writes the workbook to ``target``.

    Args:
        files: starts reading the rows anew.
        max_rows: most data rows of any sheet; never more than Excel holds.
        max_file_rows: most data rows of the sheet Files; where there are more, those that do not match come first.
        max_mismatch_rows: most data rows of the sheet Mismatches.
    """
    with xlsxwriter.Workbook(str(target), _options(target)) as book:
        created = summary.run_time.astimezone(timezone.utc).replace(tzinfo=None)
        book.set_properties({"title": f"Tallymark {summary.run_id}", "created": created})
        front = book.add_worksheet("Summary")
        limit = min(max_rows, SHEET_ROWS)
        notes = [
            _write_files(book, files, min(limit, max_file_rows), summary.totals.files),
            _write_table(book, "Mismatches", MISMATCHES, mismatches, min(limit, max_mismatch_rows), None),
        ]
        write_trend(book, summary.trend)
        _write_summary(book, front, summary, [note for note in notes if note])


def _options(target: Path) -> dict[str, Any]:
    return {
        "constant_memory": True,
        "tmpdir": str(target.resolve().parent),
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }


def _write_files(book: Workbook, files: Callable[[], Iterable[pa.RecordBatch]], limit: int, rows: int) -> str | None:
    if rows <= limit:
        return _write_table(book, "Files", FILES, files(), limit, None)

    def of(*, matching: bool) -> Iterator[pa.RecordBatch]:
        for batch in files():
            yield batch.filter(pc.equal(pc.equal(batch.column("status"), STATUS_MATCH), matching))

    return _write_table(book, "Files", FILES, chain(of(matching=False), of(matching=True)), limit, rows)


def _write_table(
    book: Workbook,
    name: str,
    columns: Mapping[str, str],
    batches: Iterable[pa.RecordBatch],
    limit: int,
    known: int | None,
) -> str | None:
    """Writes one sheet of rows; returns the note on rows left out, if there are any.

    Args:
        known: how many rows there are; those beyond the limit are then not read to count them.
    """
    sheet = book.add_worksheet(name)
    styles = {kind: book.add_format({"num_format": style}) for kind, style in _NUMBERS.items()}
    formats = [styles.get(kind) for kind in columns.values()]
    _write_header(book, sheet, columns)
    shown = total = 0
    for batch in batches:
        for row in _rows(batch.slice(0, limit - shown), columns):
            shown += 1
            _write_row(sheet, shown, row, formats)
        total += batch.num_rows
        if known is not None and total > limit:
            break
    total = max(total, known or 0)
    sheet.autofilter(0, 0, shown, len(columns) - 1)
    if total == shown:
        return None
    note = f"{shown:,} of {total:,} rows shown; all rows are in the Delta table {name.lower()}"
    sheet.write_string(shown + 1, 0, note, book.add_format({"bold": True}))
    return note


def _write_header(book: Workbook, sheet: Worksheet, columns: Mapping[str, str]) -> None:
    bold = book.add_format({"bold": True, "bottom": 1})
    sheet.freeze_panes(1, 0)
    for position, name in enumerate(columns):
        sheet.set_column(position, position, _WIDTHS.get(name, max(12, len(name) + 3)))
        sheet.write_string(0, position, name, bold)


def _rows(batch: pa.RecordBatch, columns: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(batch), _ROWS_AT_ONCE):
        part = batch.slice(start, _ROWS_AT_ONCE)
        yield from zip(*(part.column(name).to_pylist() for name in columns))


def _write_row(sheet: Worksheet, number: int, row: Iterable[Any], formats: Iterable[Format | None]) -> None:
    for position, (value, style) in enumerate(zip(row, formats)):
        text = "; ".join(value) if isinstance(value, list) else value
        if isinstance(text, str):
            if text:
                sheet.write_string(number, position, cell_text(text))
        elif text is not None:
            sheet.write_number(number, position, text, style)


def _write_summary(book: Workbook, sheet: Worksheet, summary: RunSummary, notes: list[str]) -> None:
    bold, count = book.add_format({"bold": True}), book.add_format({"num_format": "#,##0", "align": "left"})
    sheet.set_column(0, 0, 28)
    sheet.set_column(1, 1, 110)
    sheet.freeze_panes(1, 0)
    for number, (label, value) in enumerate(_summary_rows(summary, notes)):
        sheet.write_string(number, 0, cell_text(label), bold)
        if isinstance(value, int):
            sheet.write_number(number, 1, value, count)
        else:
            sheet.write_string(number, 1, cell_text(value), bold if number == 0 else None)


def _summary_rows(summary: RunSummary, notes: list[str]) -> Iterator[tuple[str, str | int]]:
    """Yields label and value of each row of the sheet; a label alone is a heading."""
    yield "verdict", verdict_sentence(summary)
    yield from (("note", note) for note in notes)
    yield from (("beyond limit", breach_sentence(breach)) for breach in summary.breaches)
    yield from (("warning", warning) for warning in summary.warnings)
    yield from (("hint", f"{hint.text}: {hint_option(hint)}") for hint in summary.hints)
    yield from (("run id", summary.run_id), ("run time", summary.run_time.isoformat()))
    yield from (("source", summary.source), ("backup", summary.backup), ("out", summary.out))
    yield from (("exit code", summary.exit_code), ("duration", f"{summary.duration_seconds:,.1f} s"))
    yield from (("", ""), ("equations", ""))
    yield from ((equation.side, equation.sentence) for equation in equations(summary.totals))
    yield from (("", ""), ("totals", ""), ("match_rate", rate(summary.totals.match_rate)))
    totals = summary.to_dict()["totals"]
    yield from ((name, value) for name, value in totals.items() if name != "match_rate")
    yield from chain((("", ""), ("files by proof", "")), sorted(summary.proofs.items()))
    yield from (("", ""), ("changed paths", "changed records that differ in it"))
    yield from sorted(summary.changed_paths.items(), key=lambda item: (-item[1], item[0]))
    yield from (("", ""), ("settings", ""), ("canonical_version", summary.canonical_version))
    yield from ((name, _plain(value)) for name, value in sorted(summary.settings.items()))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
