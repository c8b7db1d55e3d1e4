"""The batch size follows bytes, and gives way to time and memory beyond their limits."""

from __future__ import annotations

import pytest

from tallymark.export.batch_size import BatchSize, Limits, Observed

LIMITS = Limits(bytes=1_000_000, seconds=10, memory_growth=1_000)


def size_after(size: int, seen: dict[str, float]) -> tuple[int, str]:
    chunk = Observed(**{"number": 1, "rows": 100, "bytes": 10_000, "seconds": 1, "memory_growth": 0, **seen})  # type: ignore[arg-type]
    after = BatchSize(size, limits=LIMITS).after(chunk)
    return after.rows, after.reason


@pytest.mark.parametrize(
    ("rows", "seen", "expected"),
    [
        (100, {}, (200, "narrow rows")),
        (100, {"seconds": 0.1}, (1_600, "narrow rows")),
        (6_000, {"rows": 6_000, "bytes": 600_000, "seconds": 0.1, "number": 64}, (20_000, "narrow rows")),
        (6_000, {}, (6_000, "as given")),
        (100, {"seconds": 3}, (100, "as given")),
        (100, {"seconds": 11}, (50, "latency")),
        (100, {"memory_growth": 1_001}, (50, "memory")),
        (100, {"bytes": 10_000_000}, (10, "wide rows")),
        (100, {"rows": 0, "bytes": 0}, (100, "as given")),
        (1, {"seconds": 11}, (1, "as given")),
    ],
)
def test_a_chunk_decides_about_the_next_ones(rows: int, seen: dict[str, float], expected: tuple[int, str]) -> None:
    assert size_after(rows, seen) == expected


def test_wide_rows_shrink_the_first_chunk_already() -> None:
    """10,000 rows of 1 MB would be one chunk of 10 GB; at first one is of 16 MB."""
    assert BatchSize(10_000).fitted(1_000_000).rows == 16
    assert BatchSize(10_000).fitted(100).rows == 10_000
