"""Figures computed by hand from made-up rows; the chart and the runner's judgement on them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks/reconcile"
MILLION = 1_000_000


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


def row(tool: str, size: int, repetition: int, wall: float, note: str = "", case: str = "a") -> Any:
    return import_module("summary").Row(
        case=case, records=size * MILLION, tool=tool, version="1.0", repetition=repetition, wall_s=wall, cpu_s=2 * wall,
        peak_mb=100 * repetition, worker_mb=0, worker_pss_mb=0, bytes_read=3_000_000_000, exit_code=0, answer_ok="yes",
        when="2026-10-01T00:00:00+00:00", cores=2, note=note,
    )  # fmt: skip


ROWS = [
    ("tallymark", 2, 1, 20.0), ("tallymark", 2, 2, 22.0), ("tallymark", 2, 3, 21.0),
    ("tallymark", 10, 1, 60.0), ("tallymark", 10, 2, 61.0), ("tallymark", 10, 3, 80.0),
    ("duckdb", 2, 1, 10.5), ("duckdb", 10, 1, 91.5),
]  # fmt: skip


def summaries(*more: Any) -> dict[tuple[str, int], Any]:
    rows = [*(row(*values) for values in ROWS), *more]
    return {(one.tool, one.records // MILLION): one for one in import_module("summary").summarise(rows)}


def test_a_summary_has_median_spread_and_ratio_to_ours() -> None:
    found = summaries()
    ours, theirs = found["tallymark", 10], found["duckdb", 10]

    assert (ours.wall, ours.fastest, ours.slowest, ours.runs) == (61.0, 60.0, 80.0, 3)
    assert (ours.cpu, ours.peak_mb, ours.gigabytes_read, ours.ratio) == (122.0, 200, 3.0, 1.0)
    assert theirs.ratio == 1.5
    assert found["duckdb", 2].ratio == 0.5


def test_marginal_throughput_is_the_slope_between_the_sizes() -> None:
    """8 million more records a side: 40 s more here, 81 s more there."""
    found = summaries()

    assert found["tallymark", 10].marginal == found["tallymark", 2].marginal == 200_000
    assert found["duckdb", 10].marginal == pytest.approx(98_765.4, abs=0.1)


def test_a_run_that_was_stopped_has_no_time_and_one_measured_again_replaces_the_first() -> None:
    found = summaries(row("polars", 2, 1, 900.0, "TIMEOUT after 900 s"), row("duckdb", 10, 1, 122.0))

    assert found["polars", 2].ratio is None
    assert found["polars", 2].remark == "TIMEOUT after 900 s"
    assert found["duckdb", 10].ratio == 2.0
    assert found["duckdb", 10].runs == 1


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = [row("duckdb", 2, 1, 10.5, 'a "note", with a comma'), row("tallymark", 2, 1, 1.25)]
    for one in written:
        import_module("run").append(tmp_path / "rows.csv", one)

    assert import_module("summary").read_rows(tmp_path / "rows.csv") == written


def test_the_chart_shows_the_largest_common_size_and_who_was_stopped() -> None:
    rows = [row(*values) for values in ROWS]
    rows += [
        row("inflate-limit", 10, 1, 6.0),
        row("polars", 10, 1, 900.0, "TIMEOUT after 900 s"),
        row("duckdb", 20, 1, 9),
    ]
    text = " ".join(ET.fromstring(import_module("chart").draw(rows)).itertext())

    assert "10 million records a side" in text
    assert "61 s tallymark" in text
    assert "92 s duckdb" in text
    assert "polars: TIMEOUT after 900 s" in text


def test_a_chart_needs_both_tallymark_and_duckdb() -> None:
    with pytest.raises(ValueError, match="run both"):
        import_module("chart").draw([row("tallymark", 2, 1, 1.0)])


def test_all_tools_run_once_before_any_runs_twice() -> None:
    plan = list(import_module("run").interleaved(["one", "two", "three"], 3, Random(1)))

    assert [turn for _, turn in plan] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    for turn in range(3):
        assert {tool for tool, _ in plan[3 * turn : 3 * turn + 3]} == {"one", "two", "three"}


@pytest.mark.parametrize(
    ("answer", "exit_code", "verdict"),
    [
        ({"source_only": 20, "backup_only": 20}, 0, ("yes", "")),
        ({"source_only": 20, "backup_only": 20, "source": 10_000, "backup": 10_000}, 0, ("yes", "")),
        ({"source_only": 20, "backup_only": 0}, 0, ("no", "backup_only 0, planted 20")),
        ({"source_only": 20, "backup_only": 20, "source": 9_999}, 0, ("no", "source 9999, planted 10000")),
        ({"source_only": 20, "backup_only": 20}, 1, ("no", "exit code 1")),
        ({}, 1, ("no", "no answer: killed")),
    ],
)
def test_an_answer_is_held_against_what_was_planted(
    answer: dict[str, object], exit_code: int, verdict: tuple[str, str], tmp_path: Path
) -> None:
    bench = import_module("run").Bench("a", tmp_path, {"records": 10_000, "different": 20}, 900)
    taken = SimpleNamespace(timed_out=False, exit_code=exit_code)
    duckdb = next(tool for tool in import_module("tools").TOOLS if tool.name == "duckdb")

    assert bench._judge(duckdb, taken, answer, "killed") == verdict
