"""What a person reads at the end of a run, without colours and 80 columns wide."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO

from rich.console import Console

from tallymark.reconcile.result import RunSummary, Totals, Verdict
from tallymark.report.terminal import print_summary


def printed(summary: RunSummary, reports: Mapping[str, str] | None = None) -> str:
    """The text as it stands in a log."""
    out = io.StringIO()
    print_summary(summary, Console(file=out, width=80), reports or {})
    return out.getvalue()


def test_the_whole_text_of_a_run_with_differences(different: RunSummary) -> None:
    """From the verdict to the next step, on one screen."""
    assert printed(different, {"csv": "./out/detailed_report.csv", "repair": "./out/repair/copy_again.txt"}) == (
        """\
DIFFERENT: 98.80 % of 1,000 records match (2 records found in another file); 5 changed, 7 missing in the backup, 4 missing in the source

run     run-1, 2024-05-06 07:08:09, 12.5 s, exit code 1
source  s3://a/x/
backup  s3://b/y/

Totals
  files       3 (1 matched, 2 different)
  records     1,000 in source, 997 in backup
  matched     986 (980 identical, 6 in other form)
  match rate  98.80 %

Equations
  source 1,000 = matched 986 + changed 5 + moved out 2 + missing in backup 7
  backup 997 = matched 986 + changed 5 + moved in 2 + missing in source 4

Files with most differences
  changed  not in backup  not in source  match rate  file
        5              7              0     98.80 %  day=1/x.json

Paths that differ in changed records
  3  $.b
  2  $.a

Warnings
  the backup has versioning switched off

Reports
  csv     ./out/detailed_report.csv
  repair  ./out/repair/copy_again.txt

Next
  Copy the files again whose copies are not complete:
    rclone copy --files-from-raw ./out/repair/copy_again.txt SOURCE BACKUP
  Then compare what failed once more, or all by the same command:
    ./spark-submit.sh reconcile --source s3://a/x/ --backup s3://b/y/ --out ./out --ignore '$.seen' --only-failed-from run-1
"""  # noqa: E501 - the verdict is one line by intent: a log is searched by lines
    )


def test_a_match_needs_nothing_more(matching: RunSummary) -> None:
    """The good case is short."""
    text = printed(matching)

    assert text.startswith("MATCH: all 3 records match\n")
    assert text.endswith("Next\n  Nothing to do: every record of one side is on the other.\n")
    assert "Errors" not in text
    assert "Warnings" not in text


def test_two_empty_sides_are_nothing_to_compare(matching: RunSummary) -> None:
    """Nothing was proven, so no rate is shown."""
    text = printed(replace(matching, totals=Totals()))

    assert text.startswith("MATCH: nothing to compare: neither side holds a record\n")
    assert "match rate  nothing to compare" in text
    assert "Check both prefixes" in text
    assert "100" not in text


def test_one_missing_record_of_many_is_never_a_hundred_percent(matching: RunSummary) -> None:
    """The rate is cut, not rounded."""
    totals = Totals(
        source_records=100_000_000, backup_records=99_999_999, matched_records=99_999_999, missing_in_backup=1
    )
    text = printed(replace(matching, totals=totals, verdict=Verdict.WITHIN_THRESHOLD, settings={"threshold": 99.9}))

    assert text.startswith(
        "WITHIN THRESHOLD (at least 99.9 % asked for): 99.9999 % of 100.0 M records match; 1 missing in the backup\n"
    )
    assert "100.00 %" not in text


def test_errors_are_listed_with_reason_and_next_step(different: RunSummary) -> None:
    """Ten are shown, and how many more there are; a row's message is not cut, because it ends in the next step."""
    error = "TRUNCATED_GZIP on s3://b/y/f.json.gz: it ends after 1,234 bytes; copy it again from the source"
    rows = [{"file_path": f"f{number}.json", "error": error} for number in range(12)]
    totals = replace(different.totals, files=40, files_error=30)
    text = printed(replace(different, errors=rows, totals=totals, verdict=Verdict.INCOMPLETE))

    assert text.startswith("INCOMPLETE: 30 of 40 files could not be compared; of the rest: 98.80 % of 1,000")
    assert f"  f9.json\n    {error}\n  ... and 20 more; all are in the table files\n" in text
    assert "f10.json" not in text
    assert "until then nothing is said about 30 files" in text


def test_an_equation_that_does_not_hold_is_marked(different: RunSummary) -> None:
    """It would be a defect of ours, and must catch the eye."""
    text = printed(replace(different, totals=replace(different.totals, moved_in=1)))

    assert "backup 997 ≠ matched 986 + changed 5 + moved in 1 + missing in source 4 (DOES NOT HOLD)" in text


def test_long_paths_lose_their_middle_and_strange_ones_cannot_steer_the_terminal(different: RunSummary) -> None:
    """A path may hold markup, newlines and escape sequences."""
    rows = [{"file_path": "a" * 100 + "/end.json"}, {"file_path": "[red]\n\x1b[2J日本.json"}]
    text = printed(replace(different, worst_files=rows))

    lines = text.splitlines()
    start = lines.index("Files with most differences") + 2
    assert lines[start] == "        0              0              0           -  aaaaaaaaaaaaa…aaaa/end.json"
    assert lines[start + 1].endswith("  [red]\\x0a\\x1b[2J日本.json")
    assert max(map(len, lines[1 : lines.index("Next")])) <= 80
    assert "\x1b" not in text


def test_the_command_that_is_printed_is_quoted_for_a_shell(different: RunSummary) -> None:
    """The output folder may have any name; what is in it is in a file."""
    console = Console(record=True, width=200, file=StringIO())
    print_summary(different, console, {"repair": "/my out/$(touch x)/copy_again.txt"})

    assert "rclone copy --files-from-raw '/my out/$(touch x)/copy_again.txt' SOURCE BACKUP" in console.export_text()


def test_no_more_than_ten_files_and_paths_are_shown(different: RunSummary) -> None:
    """The rest stands in the reports."""
    rows = [{"file_path": f"file-{number:02}"} for number in range(20)]
    paths = {f"$.p{number:02}": 100 - number for number in range(15)}
    text = printed(replace(different, worst_files=rows, changed_paths=paths))

    assert ("file-09" in text, "file-10" in text) == (True, False)
    assert "   91  $.p09\n  ... and 5 more; they are in report.json\n" in text
