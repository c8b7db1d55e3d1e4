"""The cumulative CSV: what is appended, kept, replaced, guarded and refused."""

from __future__ import annotations

import csv
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallymark.errors import ConfigError
from tallymark.reconcile.tables import FILES, MISMATCHES, RUNS
from tallymark.report.csv_report import append_csv

SMALL = ("id", "note", "run_id")


def batch(*rows: tuple[int | None, str | None, str]) -> pa.RecordBatch:
    """Rows of three columns: a number, a text and the run id."""
    schema = pa.schema([("id", pa.int64()), ("note", pa.string()), ("run_id", pa.string())])
    return pa.RecordBatch.from_pylist([dict(zip(SMALL, row)) for row in rows], schema=schema)


def read(path: Path) -> list[list[str]]:
    """Reads with Python's own CSV reader, which is not the one under test."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_the_bytes_of_a_first_report(tmp_path: Path) -> None:
    """Text is quoted, numbers are not, an absent value is not the empty text."""
    count = append_csv([batch((1, "a", "r1"), (None, None, "r1"), (3, "", "r1"))], SMALL, "r1", tmp_path / "t", None)

    assert count == 3
    assert (tmp_path / "t").read_bytes() == b'id,note,run_id\n1,"a","r1"\n,,"r1"\n3,"","r1"\n'


def test_rows_of_earlier_runs_come_first_and_keep_their_bytes(tmp_path: Path) -> None:
    """The file is cumulative; what was written once is not rewritten in another style."""
    earlier = tmp_path / "report.csv"
    earlier.write_bytes(b'id,note,run_id\n7,plain,r0\n8,"two\nlines, ""quoted""",r0\n')

    count = append_csv([batch((1, "a", "r1"))], SMALL, "r1", tmp_path / "t", earlier)

    assert count == 1
    assert (tmp_path / "t").read_bytes() == b'id,note,run_id\n7,plain,r0\n8,"two\nlines, ""quoted""",r0\n1,"a","r1"\n'
    assert earlier.read_bytes() == b'id,note,run_id\n7,plain,r0\n8,"two\nlines, ""quoted""",r0\n'


def test_a_run_that_is_repeated_doubles_nothing(tmp_path: Path) -> None:
    """The same run id again replaces its rows (E3); a text that merely holds the id stays."""
    rows = [batch((1, "r1", "r0"), (2, "see,r1,\n", "r0"), (3, None, "r10"))]
    append_csv(rows, SMALL, "r0", tmp_path / "first", None)
    append_csv([batch((4, "new\n", "r1"), (5, "r0", "r1"))], SMALL, "r1", tmp_path / "second", tmp_path / "first")

    append_csv([batch((4, "new\n", "r1"), (5, "r0", "r1"))], SMALL, "r1", tmp_path / "third", tmp_path / "second")

    assert (tmp_path / "third").read_bytes() == (tmp_path / "second").read_bytes()
    assert [row[0] for row in read(tmp_path / "third")] == ["id", "1", "2", "3", "4", "5"]


def test_a_run_id_that_looks_like_a_formula_is_recognised_again(tmp_path: Path) -> None:
    """It stands guarded in the file, and must still be replaced."""
    append_csv([batch((1, "a", "-r"))], SMALL, "-r", tmp_path / "first", None)
    append_csv([batch((2, "b", "-r"))], SMALL, "-r", tmp_path / "second", tmp_path / "first")

    assert read(tmp_path / "second") == [["id", "note", "run_id"], ["2", "b", "'-r"]]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_a_text_that_would_run_as_a_formula_is_guarded_once(tmp_path: Path, start: str) -> None:
    """E2: guarded when written, and not a second time when copied."""
    text = f'{start}HYPERLINK("http://x","y")'
    append_csv([batch((-1, text, "r1"))], SMALL, "r1", tmp_path / "first", None)
    append_csv([batch((2, "a=b", "r2"))], SMALL, "r2", tmp_path / "second", tmp_path / "first")

    assert read(tmp_path / "second")[1:] == [["-1", "'" + text, "r1"], ["2", "a=b", "r2"]]


def test_list_columns_are_joined_and_guarded(tmp_path: Path, mismatches: Any) -> None:
    """Changed paths stand in one cell."""
    rows = mismatches({"changed_paths": ["$.a", "$.b,c"]}, {"changed_paths": ["=a", "b"]}, {"changed_paths": None})
    append_csv([rows], MISMATCHES, "run-1", tmp_path / "t", None)

    lines = read(tmp_path / "t")
    assert lines[0] == list(MISMATCHES)
    assert [line[6] for line in lines[1:]] == ["$.a; $.b,c", "'=a; b", ""]


def test_a_file_row_as_a_line(tmp_path: Path, files: Any) -> None:
    """The report of the files has the columns of the table, in their order."""
    append_csv([files({"match_rate": 99.9999, "status": "DIFFERENT"})], FILES, "run-1", tmp_path / "t", None)

    assert (tmp_path / "t").read_text().splitlines()[1] == (
        '"day=1/x.json",1,1,1,0,0,0,99.9999,0,0,0,0,0,0,"compare","DIFFERENT",,'
        '"day=1/x.json","day=1/x.json",0,0,"run-1","2024-05-06T07:08:09+00:00"'
    )


def test_a_run_is_one_line_of_the_summary(tmp_path: Path) -> None:
    """The run table starts with the run id: the place of that column does not matter."""
    run = pa.RecordBatch.from_pylist([{**dict.fromkeys(RUNS), "run_id": "r1", "warnings": ["a", "b"]}])
    append_csv([run], RUNS, "r1", tmp_path / "first", None)
    append_csv([run], RUNS, "r1", tmp_path / "second", tmp_path / "first")

    lines = read(tmp_path / "second")
    assert [line[0] for line in lines] == ["run_id", "r1"]
    assert lines[1][list(RUNS).index("warnings")] == "a; b"


def test_a_report_of_an_older_version_is_mapped_by_column_names(tmp_path: Path) -> None:
    """It lacks a column and has another order; its own rows of this run are replaced too."""
    earlier = tmp_path / "report.csv"
    earlier.write_bytes(b"\xef\xbb\xbfrun_id,id\r\nr0,7\r\nr1,8\r\n")

    append_csv([batch((1, "a", "r1"))], SMALL, "r1", tmp_path / "t", earlier)

    assert (tmp_path / "t").read_bytes() == b'id,note,run_id\n"7",,"r0"\n1,"a","r1"\n'


def test_a_column_that_only_the_earlier_report_has_is_dropped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A newer version wrote it; nothing is dropped silently."""
    earlier = tmp_path / "report.csv"
    earlier.write_bytes(b'id,note,extra,run_id\n7,"a\n""b""",x,r0\n8,"",,r0\n9,,,r0\n')

    with caplog.at_level(logging.WARNING):
        append_csv([], SMALL, "r1", tmp_path / "t", earlier)

    assert (tmp_path / "t").read_bytes() == b'id,note,run_id\n"7","a\n""b""","r0"\n"8","","r0"\n"9",,"r0"\n'
    assert "extra" in caplog.text


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"name,amount\nx,1\n", "not the header"),
        (b"id,run_id,amount\n1,r0,2\n", "amount"),
        (b"id,id,run_id\n1,1,r0\n", "not the header"),
        (b"PK\x03\x04 binary", "not the header"),
        (b'id,note,run_id\n1,"cut o', "inside a quoted value"),
        (b"id,note,run_id\nsecret,r1\n", "a row has not the 3 columns"),
    ],
    ids=["foreign", "other columns", "repeated column", "no text", "cut off", "short row"],
)
def test_a_file_that_cannot_be_continued_is_refused_and_left_alone(tmp_path: Path, content: bytes, cause: str) -> None:
    """The message names file, cause and next step but no record; no half-written target stays."""
    earlier = tmp_path / "report.csv"
    earlier.write_bytes(content)

    with pytest.raises(ConfigError, match="(?s)report.csv.*" + cause + ".*move it elsewhere") as error:
        append_csv([batch((1, "a", "r1"))], SMALL, "r1", tmp_path / "t", earlier)

    assert "secret" not in str(error.value)
    assert earlier.read_bytes() == content
    assert not (tmp_path / "t").exists()


def test_the_earlier_file_is_never_the_target(tmp_path: Path) -> None:
    """Opening it for writing would empty it before it is read."""
    (tmp_path / "t").write_bytes(b"id,note,run_id\n")

    with pytest.raises(ValueError, match="read and written"):
        append_csv([], SMALL, "r1", tmp_path / "t", tmp_path / "t")

    assert (tmp_path / "t").read_bytes() == b"id,note,run_id\n"


@pytest.mark.parametrize("content", [b"", b"id,note,run_id", b"id,note,run_id\n1,a,r0"])
def test_an_earlier_file_without_its_last_newline_joins_no_rows(tmp_path: Path, content: bytes) -> None:
    """Someone's editor may have cut it."""
    (tmp_path / "report.csv").write_bytes(content)

    append_csv([batch((2, "b", "r1"))], SMALL, "r1", tmp_path / "t", tmp_path / "report.csv")

    assert read(tmp_path / "t") == [list(SMALL), *([["1", "a", "r0"]] if b"r0" in content else []), ["2", "b", "r1"]]


TEXTS = st.text(alphabet="ab\"',;\n\r\t=+-@＝＠ é😀", max_size=12)


@settings(max_examples=150)
@given(st.lists(TEXTS, max_size=8), st.lists(TEXTS, max_size=8), st.sampled_from(["r0", "r1"]))
def test_any_text_survives_writing_and_copying(
    tmp_path_factory: pytest.TempPathFactory, old: list[str], new: list[str], second_run: str
) -> None:
    """Read back by Python's reader: the same text, with the guard where it is due."""
    folder = tmp_path_factory.mktemp("csv")
    append_csv([batch(*((1, text, "r0") for text in old))], SMALL, "r0", folder / "first", None)
    append_csv(
        [batch(*((2, text, second_run) for text in new))], SMALL, second_run, folder / "second", folder / "first"
    )

    def guarded(text: str) -> str:
        return "'" + text if text[:1] in tuple("=+-@\t\r\n＝＋－＠") else text

    kept = [] if second_run == "r0" else [["1", guarded(text), "r0"] for text in old]
    assert read(folder / "second")[1:] == kept + [["2", guarded(text), second_run] for text in new]
