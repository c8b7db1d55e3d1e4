"""`report.json`: the same run gives the same bytes, and the equations stand in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tallymark.reconcile.result import RunSummary
from tallymark.report.json_report import write_json


def test_the_report_holds_verdict_totals_and_equations(tmp_path: Path, different: RunSummary) -> None:
    """A program decides by these keys."""
    write_json(different, tmp_path / "report.json")

    report = json.loads((tmp_path / "report.json").read_text())
    assert report["verdict"] == "DIFFERENT"
    assert report["exit_code"] == 1
    assert report["totals"]["match_rate"] == 98.8
    assert report["run_time"] == "2024-05-06T07:08:09+00:00"
    assert report["equations"] == {
        "source": {
            "holds": True,
            "spelled": "source 1,000 = matched 986 + changed 5 + moved out 2 + missing in backup 7",
        },
        "backup": {
            "holds": True,
            "spelled": "backup 997 = matched 986 + changed 5 + moved in 2 + missing in source 4",
        },
    }


def test_an_equation_that_does_not_hold_says_so(tmp_path: Path, different: RunSummary) -> None:
    """The boolean is computed from the numbers that are shown."""
    broken = replace(different, totals=replace(different.totals, missing_in_backup=6))
    write_json(broken, tmp_path / "report.json")

    source = json.loads((tmp_path / "report.json").read_text())["equations"]["source"]
    assert source == {
        "holds": False,
        "spelled": "source 1,000 ≠ matched 986 + changed 5 + moved out 2 + missing in backup 6",
    }


def test_the_bytes_do_not_depend_on_the_order_of_keys(tmp_path: Path, different: RunSummary) -> None:
    """E6: sorted, indented, UTF-8, one newline at the end."""
    turned = replace(
        different, settings=dict(reversed(different.settings.items())), proofs={"identical": 1, "compare": 2}
    )
    write_json(different, tmp_path / "a")
    write_json(turned, tmp_path / "b")

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes().startswith(b'{\n  "backup": "s3://b/y/",\n')
    assert (tmp_path / "a").read_bytes().endswith(b"}\n")


def test_a_path_that_is_no_utf8_is_still_valid_json(tmp_path: Path, different: RunSummary) -> None:
    """Local file names may hold bytes that are no text."""
    write_json(replace(different, source="é/\udce9"), tmp_path / "report.json")

    assert '"source": "é/\\udce9"'.encode() in (tmp_path / "report.json").read_bytes()
    assert json.loads((tmp_path / "report.json").read_text())["source"] == "é/\udce9"
