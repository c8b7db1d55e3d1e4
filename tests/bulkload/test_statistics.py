"""What is said about cells: medians, failed ones apart, the cheapest good one, the knee, the price."""

from __future__ import annotations

from typing import Any

from tallymark.bulkload.matrix import Cell, cells, schedule
from tallymark.bulkload.statistics import cheapest, knee, ranked, summarise


def run(method: str, size: int, connections: int, speed: float | None, **more: Any) -> dict[str, Any]:
    names = ("load_seconds", "wall_seconds", "p50_seconds", "p95_seconds", "p99_seconds", "wal_bytes_per_row")
    known = dict.fromkeys((*names, "sqlstate", "error", "top_waits", "effective_connections"))
    return {
        **known, "method": method, "batch_size": size, "num_connections": connections, "rows": 10,
        "status": "OK" if speed else "FAILED", "rows_per_second": speed, **more,
    }  # fmt: skip


def test_a_cell_is_the_median_of_its_repeats_held_against_the_roofline() -> None:
    measured = summarise([run("copy_text", 100, 1, speed) for speed in (90, 300, 100)] + [run("roofline", 1, 2, 400)])

    text = next(one for one in measured if one.cell == Cell("copy_text", 100, 1))
    assert (text.rows_per_second, text.spread, text.roofline_percent, text.repeats) == (100, 2.1, 25, 3)


def test_a_cell_that_failed_once_is_failed_and_never_ranked_however_fast_it_was() -> None:
    measured = summarise(
        [
            run("copy_text", 100, 1, 900),
            run("copy_text", 100, 1, None, sqlstate="53300"),
            run("insert_multi", 100, 1, 5),
        ]
    )

    assert [(one.cell.method, one.status, one.sqlstate) for one in measured] == [
        ("insert_multi", "OK", None),
        ("copy_text", "FAILED", "53300"),
    ]
    assert [one.cell.method for one in ranked(measured)] == ["insert_multi"]


def test_the_cheapest_is_within_5_percent_of_the_best_with_the_fewest_connections_then_the_smallest_batch() -> None:
    speeds = {(100, 1): 90.0, (1000, 2): 95.0, (500, 2): 96.0, (500, 10): 100.0}
    measured = summarise(
        [run("copy_text", size, count, speed) for (size, count), speed in speeds.items()] + [run("roofline", 1, 2, 999)]
    )

    found = cheapest(measured)

    assert found is not None
    assert found.cell == Cell("copy_text", 500, 2)


def test_the_knee_is_where_more_connections_stop_helping() -> None:
    measured = summarise(
        [run("copy_text", 100, count, speed) for count, speed in ((1, 50), (2, 96), (5, 100), (10, 70))]
    )

    assert knee(measured, "copy_text") == 2
    assert knee(measured, "copy_binary") is None
    assert cheapest([]) is None


def test_the_order_is_shuffled_within_each_repeat_and_the_same_for_a_seed() -> None:
    wanted = cells(["copy_text", "insert_multi"], [100, 500], [1, 2])

    first, again, other = (list(schedule(wanted, 2, seed)) for seed in (1, 1, 2))

    assert first == again != other
    assert [repeat for repeat, _ in first] == [1] * 8 + [2] * 8
    assert {cell for _, cell in first[:8]} == {cell for _, cell in first[8:]} == set(wanted)
    assert [cell for _, cell in first[:8]] != [cell for _, cell in first[8:]]
