"""The numbers of a run while it goes on, for whoever shows them."""

from __future__ import annotations

from dataclasses import dataclass

from tallymark.export.checkpoint import State
from tallymark.runs.export.memory import resident_bytes
from tallymark.runs.export.reading import Reading


@dataclass
class Live:
    """Changed by the run, read by another thread; each number by itself is right."""

    expected_rows: int = 0
    saved_rows: int = 0
    chunks: int = 0
    batch_size: int = 0
    _reading: Reading | None = None
    _read_before: int = 0

    def expect(self, reading: Reading) -> None:
        """Takes over from another connection."""
        self._reading, self._read_before = reading, self.saved_rows
        self.expected_rows = reading.estimated_rows or 0

    def saw(self, state: State, batch_size: int) -> None:
        """Takes the saved state."""
        self.saved_rows, self.chunks, self.batch_size = state.rows, len(state.chunks), batch_size
        if self._reading is not None and not self._reading.parts.rows_read:
            self._read_before = state.rows

    @property
    def rows(self) -> int:
        """Rows that were read so far, saved or not."""
        return self._read_before + (self._reading.parts.rows_read if self._reading is not None else 0)

    def poll(self) -> tuple[int, int, int]:
        """Returns chunks, rows and the amount of work done; for `tallymark.progress`."""
        return self.chunks, self.rows, self.rows

    def line(self, seconds: float, rows_before: int) -> str:
        """Says how far the run is, which had ``rows_before`` that many seconds ago."""
        total = f" of about {self.expected_rows:,}" if self.expected_rows else ""
        rate = f", {(self.rows - rows_before) / seconds:,.0f} rows/s" if seconds > 0 else ""
        return (
            f"export: {self.rows:,}{total} rows{rate}, {self.chunks:,} chunks, next {self.batch_size:,} rows, "
            f"memory {resident_bytes() / 1e6:,.0f} MB"
        )
