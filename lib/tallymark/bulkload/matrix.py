"""The cells of a benchmark, method x batch size x connections, and the order in which they are measured.

Knows no server. Called by the config (names of methods and scenarios) and by the runs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SPARK_METHODS = ("spark_jdbc", "spark_jdbc_rewrite")
OWN_METHODS = ("insert_multi", "copy_text", "copy_binary")
METHODS = SPARK_METHODS + OWN_METHODS
ROOFLINE = "roofline"
"""Ready bytes into an unlogged table without an index: what no method can pass on this server."""

SCENARIOS = {"baseline": (1000, 1), "small-batch": (100, 1), "multi-connection": (1000, 10), "combined": (100, 10)}
"""Batch size and connections."""


@dataclass(frozen=True, order=True, slots=True)
class Cell:
    """One way to load: rows a batch, and connections at once."""

    method: str
    batch_size: int
    connections: int

    def __str__(self) -> str:
        return f"{self.method} {self.batch_size}x{self.connections}"


def cells(methods: Sequence[str], batch_sizes: Sequence[int], connections: Sequence[int]) -> list[Cell]:
    """Returns every combination once.

    >>> [str(cell) for cell in cells(["copy_text"], [100, 100], [1, 2])]
    ['copy_text 100x1', 'copy_text 100x2']
    """
    return list(
        dict.fromkeys(Cell(method, size, count) for method in methods for size in batch_sizes for count in connections)
    )


def schedule(measured: Sequence[Cell], repeats: int, seed: int) -> Iterator[tuple[int, Cell]]:
    """Yields (repeat, cell), shuffled within each repeat: what drifts with time then falls on all cells alike."""
    for repeat in range(1, repeats + 1):
        order = list(measured)
        random.Random(f"{seed}-{repeat}").shuffle(order)
        yield from ((repeat, cell) for cell in order)
