from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks/reconcile/data.py"
RECORDS = 10_000  # 20 files of 500: one differing record in each, five moved ones


def make(case: str, folder: Path) -> dict[str, int]:
    command = [sys.executable, str(SCRIPT), case, str(folder), str(RECORDS)]
    planted: dict[str, int] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return planted


def objects(side: Path) -> dict[str, bytes]:
    return {str(path.relative_to(side)): path.read_bytes() for path in sorted(side.rglob("*.gz"))}


def lines(packed: bytes) -> list[bytes]:
    return gzip.decompress(packed).splitlines()


def all_lines(side: Path) -> Counter[bytes]:
    return Counter(line for packed in objects(side).values() for line in lines(packed))


def records(case: str, side: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for packed in objects(side).values():
        text = gzip.decompress(packed).decode()
        if case == "f":
            values = json.loads(text)
        elif case == "g":
            values = list(csv.DictReader(io.StringIO(text)))
        else:
            values = [json.loads(line) for line in text.splitlines()]
        found.update(json.dumps(value, sort_keys=True) for value in values)
    return found


@pytest.mark.parametrize("case", ["a", "i"])
def test_the_same_case_and_number_of_records_give_the_same_bytes(case: str, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        make(case, tmp_path / folder)

    assert objects(tmp_path / "first/source") == objects(tmp_path / "second/source")
    assert objects(tmp_path / "first/backup") == objects(tmp_path / "second/backup")


@pytest.mark.parametrize("case", ["a", "d", "f", "g"])
def test_two_records_of_a_thousand_differ_and_so_it_says(case: str, tmp_path: Path) -> None:
    planted = make(case, tmp_path)
    source, backup = records(case, tmp_path / "source"), records(case, tmp_path / "backup")

    assert source.total() == backup.total() == planted["records"] == 10_000
    assert (source - backup).total() == (backup - source).total() == planted["different"] == 20
    assert len(objects(tmp_path / "source")) == 20


def test_case_d_spells_every_record_differently_names_in_order_and_blanks_after_colons(tmp_path: Path) -> None:
    make("d", tmp_path)
    line = next(iter(all_lines(tmp_path / "backup")))

    assert not all_lines(tmp_path / "source") & all_lines(tmp_path / "backup")
    assert line.startswith(b'{"battery": {"soc": ')
    assert list(json.loads(line)) == sorted(json.loads(line))


def test_case_b_differs_in_gzip_alone_and_case_c_in_nothing(tmp_path: Path) -> None:
    for case in "bc":
        assert make(case, tmp_path / case)["different"] == 0
    source, backup = objects(tmp_path / "b/source"), objects(tmp_path / "b/backup")

    assert source.keys() == backup.keys()
    for name in source:
        assert source[name] != backup[name]
        assert gzip.decompress(source[name]) == gzip.decompress(backup[name])
    assert objects(tmp_path / "c/source") == objects(tmp_path / "c/backup")


def test_case_i_moves_one_record_of_a_hundred_to_another_file(tmp_path: Path) -> None:
    planted = make("i", tmp_path)
    source, backup = objects(tmp_path / "source"), objects(tmp_path / "backup")
    gone = sum(len(set(lines(source[name])) - set(lines(backup[name]))) for name in source)

    assert all_lines(tmp_path / "source") == all_lines(tmp_path / "backup")
    assert gone == planted["moved"] == 100
    assert planted["different"] == 0


def test_case_j_shuffles_inside_each_file(tmp_path: Path) -> None:
    make("j", tmp_path)
    source, backup = objects(tmp_path / "source"), objects(tmp_path / "backup")

    assert source.keys() == backup.keys()
    for name in source:
        assert lines(source[name]) != lines(backup[name])
        assert sorted(lines(source[name])) == sorted(lines(backup[name]))


def test_case_k_writes_the_same_lines_into_files_of_other_names(tmp_path: Path) -> None:
    make("k", tmp_path)
    source, backup = objects(tmp_path / "source"), objects(tmp_path / "backup")

    assert all_lines(tmp_path / "source") == all_lines(tmp_path / "backup")
    assert len(backup) == 20
    assert not source.keys() & backup.keys()
