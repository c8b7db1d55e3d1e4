"""The engine: spans follow each other, what is finished is saved although another chunk fails, sizes are repeatable."""

from __future__ import annotations

import random
import threading
import time

import pytest

from tallymark.export.batch_size import BatchSize
from tallymark.export.checkpoint import Chunk, State
from tallymark.export.engine import Engine, Work
from tallymark.export.keys import Position
from tallymark.export.spans import Span

TOTAL = 100_000
EMPTY = State("r", 0.0, {}, "snapshot")


def next_upper(lower: Position | None, rows: int) -> Position | None:
    end = (int(lower[0] or 0) if lower else 0) + rows
    return (str(end),) if end < TOTAL else None


def chunk(span: Span) -> Chunk:
    first, last = (int((end or ("0",))[0] or 0) for end in (span.lower, span.upper or (str(TOTAL),)))
    rows = last - first
    return Chunk(span, f"{span.number}", rows, rows * 100, rows * 100, "f", "s", 1, 0.0, 0.1, 0)


def slow_chunk(span: Span) -> Chunk:
    time.sleep(random.random() / 500)
    return chunk(span)


@pytest.mark.parametrize("workers", [1, 3])
def test_all_rows_are_in_one_chunk_each_and_two_runs_cut_alike(workers: int) -> None:
    """The batch size changes, and which worker is quicker must not matter."""
    cuts = []
    for _ in range(3):
        engine = Engine(Work(next_upper, slow_chunk, lambda _state: None), workers, BatchSize(1_000), adapts=True)
        state = engine.run(EMPTY)
        cuts.append([(each.span.lower, each.span.upper) for each in state.chunks])
        assert state.rows == TOTAL
        assert engine.changes

    assert cuts[0] == cuts[1] == cuts[2]
    assert [upper for _, upper in cuts[0][:-1]] == [lower for lower, _ in cuts[0][1:]]


def test_a_failure_keeps_what_is_finished_and_a_second_run_makes_the_rest() -> None:
    saved: list[State] = []
    barrier = threading.Event()

    def failing(span: Span) -> Chunk:
        if span.number == 2:
            barrier.wait(5)
            raise OSError("the disk is full")
        if span.number == 3:
            barrier.set()
        return chunk(span)

    engine = Engine(Work(next_upper, failing, saved.append), 2, BatchSize(10_000), adapts=False)
    with pytest.raises(OSError, match="full"):
        engine.run(EMPTY)
    made = {each.span.number for each in saved[-1].chunks}
    again: list[int] = []

    def noted(span: Span) -> Chunk:
        again.append(span.number)
        return chunk(span)

    state = Engine(Work(next_upper, noted, saved.append), 2, BatchSize(10_000), adapts=False).run(saved[-1])

    assert {1, 3} <= made
    assert made.isdisjoint(again)
    assert state.rows == TOTAL
