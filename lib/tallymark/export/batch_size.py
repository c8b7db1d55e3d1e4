"""How many rows the next chunk shall have: follows the bytes of a row, the time of a chunk and the memory.

Pure. The bytes come from the data, so two runs over the same rows cut them alike; time and memory step in only
beyond their limits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

MOST_ROWS = 10_000_000
MOST_GROWTH = 16
# After so many chunks they have twice the bytes, so that a checkpoint of a table of any size stays small.
CHUNKS_TO_DOUBLE = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """What a chunk should have, and must not exceed.

    ``bytes``: what one of the first chunks grows to. ``seconds``: how long one may take. ``memory_growth``: bytes by
    which the process may have grown since its first chunk.
    """

    bytes: int = 16 << 20
    seconds: float = 30.0
    memory_growth: int = 40 << 20


@dataclass(frozen=True, slots=True)
class Observed:
    """A finished chunk as the size sees it; ``memory_growth`` in bytes."""

    number: int
    rows: int
    bytes: int
    seconds: float
    memory_growth: int


@dataclass(frozen=True, slots=True)
class BatchSize:
    """The number of rows, and why it is what it is."""

    rows: int
    reason: str = "as given"
    limits: Limits = Limits()

    def after(self, chunk: Observed) -> BatchSize:
        """Returns the size after a finished chunk; the same object where nothing changes.

        >>> BatchSize(1_000).after(Observed(1, rows=1_000, bytes=100_000, seconds=0.1, memory_growth=0)).rows
        16000
        >>> BatchSize(1_000).after(Observed(1, rows=1_000, bytes=1 << 30, seconds=0.1, memory_growth=0)).rows
        15
        """
        if chunk.memory_growth > self.limits.memory_growth:
            return self._changed(self.rows // 2, "memory")
        if chunk.seconds > self.limits.seconds:
            return self._changed(self.rows // 2, "latency")
        if not chunk.rows or not chunk.bytes:
            return self
        fitting = (self.limits.bytes << chunk.number // CHUNKS_TO_DOUBLE) * chunk.rows // chunk.bytes
        if self.rows > 2 * fitting:
            return self._changed(fitting, "wide rows")
        grown = min(fitting, MOST_GROWTH * self.rows)
        while grown * chunk.seconds > chunk.rows * self.limits.seconds / 4:  # by halves: a little time changes nothing
            grown //= 2
        return self._changed(grown, "narrow rows") if grown >= 2 * self.rows else self

    def fitted(self, bytes_per_row: float) -> BatchSize:
        """Returns the size for the first chunk, given a sample: never more than asked for, less for wide rows."""
        fitting = int(self.limits.bytes / max(1.0, bytes_per_row))
        return self._changed(fitting, "wide rows") if fitting < self.rows else self

    def _changed(self, rows: int, reason: str) -> BatchSize:
        bounded = min(max(1, rows), MOST_ROWS)
        return self if bounded == self.rows else replace(self, rows=bounded, reason=reason)
