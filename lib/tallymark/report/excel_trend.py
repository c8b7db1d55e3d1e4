"""The sheet Trend of the Excel report: the last runs as a table and as charts. Called by `excel_report`."""

from __future__ import annotations

from collections.abc import Sequence

from xlsxwriter.workbook import Workbook

from tallymark.reconcile.history import RunPoint
from tallymark.report.legible import cell_text

NAME = "Trend"
_COLUMNS = {
    "run_id": 30,
    "run_time": 26,
    "verdict": 20,
    "match_rate": 12,
    "mismatched_records": 20,
    "missing_in_backup": 20,
    "missing_in_source": 20,
    "duration_seconds": 18,
}
_COUNTS = ("mismatched_records", "missing_in_backup", "missing_in_source")


def write_trend(book: Workbook, runs: Sequence[RunPoint]) -> None:
    """Adds the sheet, oldest run first."""
    sheet = book.add_worksheet(NAME)
    bold = book.add_format({"bold": True, "bottom": 1})
    formats = {name: book.add_format({"num_format": "#,##0"}) for name in _COUNTS}
    formats |= {name: book.add_format({"num_format": "0.0000"}) for name in ("match_rate", "duration_seconds")}
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, len(runs), len(_COLUMNS) - 1)
    for column, (name, width) in enumerate(_COLUMNS.items()):
        sheet.set_column(column, column, width)
        sheet.write_string(0, column, name, bold)
    for row, run in enumerate(runs, start=1):
        for column, name in enumerate(_COLUMNS):
            value = getattr(run, name)
            if isinstance(value, str):
                sheet.write_string(row, column, cell_text(value))
            elif value is not None:
                sheet.write_number(row, column, value, formats[name])
    if runs:
        below = len(runs) + 2
        sheet.insert_chart(below, 0, _chart(book, "line", "Match rate in percent", ("match_rate",), len(runs)))
        sheet.insert_chart(below + 16, 0, _chart(book, "column", "Records that differ", _COUNTS, len(runs)))


def _chart(book: Workbook, kind: str, title: str, names: Sequence[str], rows: int) -> object:
    chart = book.add_chart({"type": kind, "subtype": "stacked"} if kind == "column" else {"type": kind})
    columns = list(_COLUMNS)
    for name in names:
        at = columns.index(name)
        chart.add_series({
            "name": [NAME, 0, at],
            "categories": [NAME, 1, columns.index("run_time"), rows, columns.index("run_time")],
            "values": [NAME, 1, at, rows, at],
            "marker": {"type": "circle"},
        })  # fmt: skip
    chart.set_title({"name": title})
    chart.set_legend({"position": "bottom", "none": len(names) == 1})
    chart.set_size({"width": 900, "height": 300})
    return chart
