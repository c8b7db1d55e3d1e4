"""The repair lists: exactly what a copy would heal, and exactly the records that one side lacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tallymark.report.repair import write_repair

NAMES = [
    "copy_again.txt",
    "copy_again_left_out.jsonl",
    "missing_in_backup.jsonl",
    "missing_in_backup_invalid.jsonl",
    "missing_in_source.jsonl",
    "missing_in_source_invalid.jsonl",
]


def test_all_files_are_written_even_when_nothing_is_to_repair(tmp_path: Path, files: Any, mismatches: Any) -> None:
    """A script need not ask whether they exist."""
    paths = write_repair([files({})], [mismatches()], tmp_path / "repair")

    assert [path.name for path in paths] == NAMES
    assert [path.read_bytes() for path in paths] == [b""] * 6


@pytest.mark.parametrize(
    ("row", "listed"),
    [
        ({"missing_in_backup": 1}, True),
        ({"mismatched_records": 1}, True),
        ({"missing_in_source": 1}, False),
        ({"backup_path": None, "missing_in_backup": 1}, True),
        ({"backup_path": None, "source_records": 0}, True),
        ({"backup_path": None, "moved_out": 1}, False),
        ({"source_path": None, "missing_in_source": 1}, False),
        ({"status": "ERROR", "error": "TRUNCATED_GZIP on s3://b/y/day=1/x.json: cut"}, True),
        ({"status": "ERROR", "error": "TRUNCATED_GZIP on s3://a/x/day=1/x.json: cut"}, False),
        ({"status": "ERROR", "error": "TIMEOUT: no answer"}, False),
    ],
    ids=[
        "lacks records",
        "has changed records",
        "has too many records",
        "absent",
        "absent and empty",
        "absent but found in other files",
        "not in the source",
        "unreadable in the backup",
        "unreadable in the source",
        "error of an unknown side",
    ],
)
def test_a_file_is_copied_again_when_that_heals_the_backup(
    tmp_path: Path, files: Any, row: dict[str, Any], listed: bool
) -> None:
    """Copying a source that cannot be read could destroy the only sound copy."""
    write_repair([files(row)], [], tmp_path, source="s3://a/x/", backup="s3://b/y/")

    assert (tmp_path / "copy_again.txt").read_text() == ("day=1/x.json\n" if listed else "")


def test_paths_are_the_source_objects_below_the_prefix(tmp_path: Path, files: Any) -> None:
    """The object may be compressed where its pair is not, or be named by its URI."""
    rows = files(
        {"missing_in_backup": 1, "source_path": "a/x.json.gz"},
        {"missing_in_backup": 1, "source_path": "s3://a/x/#b;.json"},
    )
    write_repair([rows], [], tmp_path, source="s3://a/x")

    assert (tmp_path / "copy_again.txt").read_text() == "a/x.json.gz\n#b;.json\n"


def test_a_path_that_no_line_can_hold_is_noted_apart(tmp_path: Path, files: Any) -> None:
    """rclone would read two paths, or lose the carriage return."""
    rows = files(*({"missing_in_backup": 1, "source_path": path} for path in ("a\nb", "c\r", "d\re")))
    write_repair([rows], [], tmp_path)

    assert (tmp_path / "copy_again.txt").read_bytes() == b"d\re\n"
    assert (tmp_path / "copy_again_left_out.jsonl").read_text() == '"a\\nb"\n"c\\r"\n'


@pytest.mark.parametrize("path", ["../x.json", "a/../../x.json", "..", "./x.json", "a//b.json", "/etc/passwd", "a/"])
def test_a_path_that_would_lead_a_copying_tool_elsewhere_is_noted_apart(tmp_path: Path, files: Any, path: str) -> None:
    """S3 takes any name. Below a folder ../x is a file outside of it."""
    write_repair([files({"missing_in_backup": 1, "source_path": path})], [], tmp_path)

    assert (tmp_path / "copy_again.txt").read_bytes() == b""
    assert json.loads((tmp_path / "copy_again_left_out.jsonl").read_text()) == path


@pytest.mark.parametrize("path", ["$(touch x)", "a|b; c", "`id`", "'\"", "%2e%2e/x", "..x/y..", " lead", "-rf", "日本"])
def test_a_path_that_a_shell_would_read_otherwise_stands_as_it_is(tmp_path: Path, files: Any, path: str) -> None:
    """It is a line of a file that rclone reads raw, and never a part of a command."""
    write_repair([files({"missing_in_backup": 1, "source_path": path})], [], tmp_path)

    assert (tmp_path / "copy_again.txt").read_text() == f"{path}\n"


def test_records_are_written_as_often_as_they_are_missing(tmp_path: Path, mismatches: Any) -> None:
    """Numbers keep their digits and key order stays: the record is not parsed again."""
    rows = mismatches(
        {"json_content": '{"b":1.10,\n "a":"x\\ny"}', "count": 3},
        {"bucket_type": "backup_only", "json_content": None, "backup_content": '{"é":\r\n2}'},
        {"bucket_type": "changed", "json_content": '{"c":1}', "backup_content": '{"c":2}'},
    )
    write_repair([], [rows], tmp_path)

    assert (tmp_path / "missing_in_backup.jsonl").read_text() == '{"b":1.10,  "a":"x\\ny"}\n' * 3
    assert (tmp_path / "missing_in_source.jsonl").read_text() == '{"é":  2}\n'


def test_a_large_count_is_written_in_full(tmp_path: Path, mismatches: Any) -> None:
    """It is written in pieces, so that a repeated record does not fill the memory."""
    write_repair([], [mismatches({"json_content": "12345", "count": 400_000})], tmp_path)

    assert (tmp_path / "missing_in_backup.jsonl").read_text() == "12345\n" * 400_000


def test_invalid_records_stand_apart_with_their_reason(tmp_path: Path, mismatches: Any) -> None:
    """A line of the record file is always valid JSON; a record without its content is not lost either."""
    rows = mismatches(
        {"json_content": '{"a":NaN}\n', "reason": "NOT_JSON", "count": 2, "hash": "h1"},
        {"json_content": None, "hash": "h2"},
        {"json_content": "[", "reason": "NOT_JSON", "bucket_type": "backup_only", "hash": "h3"},
    )
    write_repair([], [rows], tmp_path)

    def lines(name: str) -> list[Any]:
        return [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]

    path = "day=1/x.json"
    assert lines("missing_in_backup_invalid.jsonl") == [
        {"content": '{"a":NaN}\n', "count": 2, "file_path": path, "hash": "h1", "reason": "NOT_JSON"},
        {"content": None, "count": 1, "file_path": path, "hash": "h2", "reason": None},
    ]
    assert lines("missing_in_source_invalid.jsonl") == [
        {"content": "[", "count": 1, "file_path": path, "hash": "h3", "reason": "NOT_JSON"}
    ]
    assert lines("missing_in_backup.jsonl") == lines("missing_in_source.jsonl") == []
