"""The workbook, read back with openpyxl: nothing is lost silently and no text becomes anything else."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tallymark.reconcile.history import RunPoint
from tallymark.reconcile.result import RunSummary
from tallymark.reconcile.tables import FILES, MISMATCHES
from tallymark.report.excel_report import SHEET_ROWS, write_excel


def sheet(path: Path, name: str) -> list[tuple[Any, ...]]:
    """All rows of one sheet, as values."""
    book = openpyxl.load_workbook(path)
    return [tuple(row) for row in book[name].iter_rows(values_only=True)]


def content(path: Path, row: int = 1) -> Any:
    """The content cell of one mismatch."""
    return sheet(path, "Mismatches")[row][list(MISMATCHES).index("json_content")]


def test_the_sheets_hold_all_rows_with_header_filter_and_frozen_row(
    tmp_path: Path, different: RunSummary, files: Any, mismatches: Any
) -> None:
    """A person opens it, sorts and filters."""
    rows = mismatches({"count": 12, "changed_paths": ["$.a", "$.b"]})
    write_excel(different, lambda: [files({}, {"match_rate": None})], [rows, rows], tmp_path / "r.xlsx")

    book = openpyxl.load_workbook(tmp_path / "r.xlsx")
    assert book.sheetnames == ["Summary", "Files", "Mismatches", "Trend"]
    assert (book["Files"].freeze_panes, book["Files"].auto_filter.ref) == ("A2", "A1:W3")
    assert book["Files"]["H2"].number_format == "0.0000"
    assert [row[:8] for row in sheet(tmp_path / "r.xlsx", "Files")] == [
        tuple(FILES)[:8],
        ("day=1/x.json", 1, 1, 1, 0, 0, 0, 100),
        ("day=1/x.json", 1, 1, 1, 0, 0, 0, None),
    ]
    found = sheet(tmp_path / "r.xlsx", "Mismatches")
    assert len(found) == 3
    assert found[2][2:8] == ("day=1/x.json", "source_only", '{"id":1}', None, "$.a; $.b", 12)


def test_the_summary_sheet_says_verdict_equations_totals_and_settings(tmp_path: Path, different: RunSummary) -> None:
    """The front page is enough to decide."""
    write_excel(different, list, [], tmp_path / "r.xlsx")

    rows = sheet(tmp_path / "r.xlsx", "Summary")
    assert rows[0] == (
        "verdict",
        (
            "DIFFERENT: 98.80 % of 1,000 records match (2 records found in another file); "
            "5 changed, 7 missing in the backup, 4 missing in the source"
        ),
    )
    assert ("warning", "the backup has versioning switched off") in rows
    assert ("source", "source 1,000 = matched 986 + changed 5 + moved out 2 + missing in backup 7") in rows
    assert ("match_rate", "98.80 %") in rows
    assert ("missing_in_backup", 7) in rows
    assert ("ignore", '["$.seen"]') in rows
    assert not [row for row in rows if row[0] == "note"]


def test_the_trend_is_a_sheet_with_two_charts(tmp_path: Path, different: RunSummary) -> None:
    """A run that died has no numbers, and leaves its cells empty."""
    run = RunPoint(
        "run-0", "2024-05-05T07:08:09+00:00", "s3://a/x/", "s3://b/y/", "MATCH", 0, 100.0, 9, 9, 0, 0, 0, 1.5, 7, False
    )
    died = replace(run, run_id="=died", verdict=None, match_rate=None, mismatched_records=None, duration_seconds=None)
    write_excel(replace(different, trend=[run, died]), list, [], tmp_path / "r.xlsx")

    trend = openpyxl.load_workbook(tmp_path / "r.xlsx")["Trend"]
    assert (trend.freeze_panes, trend.auto_filter.ref) == ("A2", "A1:H3")
    assert sheet(tmp_path / "r.xlsx", "Trend")[1:] == [
        ("run-0", "2024-05-05T07:08:09+00:00", "MATCH", 100, 0, 0, 0, 1.5),
        ("=died", "2024-05-05T07:08:09+00:00", None, None, None, 0, 0, None),
    ]
    with zipfile.ZipFile(tmp_path / "r.xlsx") as book:
        charts = [book.read(name).decode() for name in sorted(book.namelist()) if "/charts/" in name]
    assert ["Trend!$D$2:$D$3" in chart for chart in charts] == [True, False]
    assert ["Trend!$G$2:$G$3" in chart for chart in charts] == [False, True]


def test_rows_beyond_the_limit_are_announced_on_both_sheets(
    tmp_path: Path, different: RunSummary, files: Any, mismatches: Any
) -> None:
    """E1: XlsxWriter would drop them without a word."""
    rows = mismatches(*({"json_content": str(number)} for number in range(3)))
    write_excel(different, lambda: [files({}, {})], [rows, rows, rows], tmp_path / "r.xlsx", max_rows=5)

    note = "5 of 9 rows shown; all rows are in the Delta table mismatches"
    found = sheet(tmp_path / "r.xlsx", "Mismatches")
    assert [row[4] for row in found[1:6]] == ["0", "1", "2", "0", "1"]
    assert [row[0] for row in found[6:]] == [note]
    assert [row for row in sheet(tmp_path / "r.xlsx", "Summary") if row[0] == "note"] == [("note", note)]
    assert len(sheet(tmp_path / "r.xlsx", "Files")) == 3


def test_exactly_as_many_rows_as_the_limit_need_no_note(tmp_path: Path, different: RunSummary, mismatches: Any) -> None:
    """The note is about what is left out, not about the limit."""
    write_excel(different, list, [mismatches({}, {}, {})], tmp_path / "r.xlsx", max_mismatch_rows=3)

    assert len(sheet(tmp_path / "r.xlsx", "Mismatches")) == 4
    assert not [row for row in sheet(tmp_path / "r.xlsx", "Summary") if row[0] == "note"]


def test_of_many_files_those_that_do_not_match_come_first(tmp_path: Path, different: RunSummary, files: Any) -> None:
    """A sheet of 200,000 files would take a minute; its end is not read either."""
    paths = ["a", "b", "c", "d"]
    rows = files(*({"file_path": path, "status": "MATCH" if path < "c" else "DIFFERENT"} for path in paths))
    summary = replace(different, totals=replace(different.totals, files=4))
    write_excel(summary, lambda: [rows.slice(0, 3), rows.slice(3)], [], tmp_path / "r.xlsx", max_file_rows=3)

    note = "3 of 4 rows shown; all rows are in the Delta table files"
    assert [row[0] for row in sheet(tmp_path / "r.xlsx", "Files")[1:]] == ["c", "d", "a", note]
    assert ("note", note) in sheet(tmp_path / "r.xlsx", "Summary")


def test_the_limit_leaves_room_for_header_and_note() -> None:
    """Excel has 1,048,576 rows; the row after the last is lost silently."""
    assert SHEET_ROWS + 2 == 1_048_576


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('=HYPERLINK("http://x","y")', '=HYPERLINK("http://x","y")'),
        *((f"{start}1+1", f"{start}1+1") for start in "+-@\t"),
        ("http://example.org/", "http://example.org/"),
        ("12345678901234567890", "12345678901234567890"),
        ("007", "007"),
        ("a\x0bb\x00\x1f", "a\\x0bb\\x00\\x1f"),
        ("line\nline\tend", "line\nline\tend"),
        ("cr\rlf", "cr\\x0dlf"),
        ("\ufffe\uffff", "\\ufffe\\uffff"),
        ("<r></b></r>", "<r></b></r> "),
        ("&<>\"'é😀", "&<>\"'é😀"),
        ("  spaces  ", "  spaces  "),
    ],
)
def test_text_stays_text(tmp_path: Path, different: RunSummary, mismatches: Any, text: str, shown: str) -> None:
    """E2: never a formula, a link or a number, and no character that breaks the file."""
    write_excel(different, list, [mismatches({"json_content": text})], tmp_path / "r.xlsx")

    cell = openpyxl.load_workbook(tmp_path / "r.xlsx")["Mismatches"]["E2"]
    assert (cell.value, cell.data_type, cell.hyperlink) == (shown, "s", None)


@pytest.mark.parametrize(("letter", "times"), [("x", 40_000), ("😀", 20_000), ("\x01", 10_000)])
def test_a_cell_that_is_too_long_is_cut_with_a_mark(
    tmp_path: Path, different: RunSummary, mismatches: Any, letter: str, times: int
) -> None:
    """E2: Excel counts UTF-16 units, of which an emoji has two; an escape is longer than its character."""
    write_excel(different, list, [mismatches({"json_content": letter * times})], tmp_path / "r.xlsx")

    shown = content(tmp_path / "r.xlsx")
    assert shown.endswith(f"… [cut, {times:,} characters in all]")
    assert 32_700 < len(shown.encode("utf-16-le")) // 2 <= 32_767


def test_a_cell_of_just_the_limit_is_whole(tmp_path: Path, different: RunSummary, mismatches: Any) -> None:
    """Nothing is cut that fits."""
    write_excel(different, list, [mismatches({"json_content": "x" * 32_767})], tmp_path / "r.xlsx")

    assert content(tmp_path / "r.xlsx") == "x" * 32_767


def test_two_runs_on_the_same_input_give_the_same_bytes(
    tmp_path: Path, different: RunSummary, files: Any, mismatches: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E6: the only time in the file is the run's; the clock of the machine is not in it."""
    write_excel(different, lambda: [files({})], [mismatches({})], tmp_path / "a.xlsx")
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    turned = replace(different, settings=dict(reversed(different.settings.items())))
    write_excel(turned, lambda: [files({})], [mismatches({})], tmp_path / "b.xlsx")

    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()
    created = openpyxl.load_workbook(tmp_path / "a.xlsx").properties.created
    assert created is not None
    assert created.isoformat() == "2024-05-06T07:08:09"


def test_no_temporary_file_stays_beside_the_report(tmp_path: Path, different: RunSummary, files: Any) -> None:
    """Rows are kept in temporary files beside the target while they stream."""
    write_excel(different, lambda: [files()], [], tmp_path / "r.xlsx")

    assert [path.name for path in tmp_path.iterdir()] == ["r.xlsx"]
