"""What a load, a benchmark and a recommendation came to, as values that the report shows."""

from __future__ import annotations

from dataclasses import dataclass

from tallymark.bulkload.statistics import Measured


@dataclass(frozen=True)
class Counts:
    """What became of records; ``read = loaded + skipped + rejected``."""

    read: int = 0
    loaded: int = 0
    skipped: int = 0
    rejected: int = 0

    @property
    def add_up(self) -> bool:
        return self.read == self.loaded + self.skipped + self.rejected

    @property
    def equation(self) -> str:
        return f"read {self.read:,} = loaded {self.loaded:,} + skipped {self.skipped:,} + rejected {self.rejected:,}"


@dataclass(frozen=True)
class LoadResult:
    """What the ledger says of a run after a load or a replay.

    ``incomplete``: files that are not loaded whole, and why. ``reasons``: rejected records by reason.
    """

    run_id: str
    records: Counts
    files: int
    incomplete: dict[str, str]
    reasons: dict[str, int]
    seconds: float
    exit_code: int

    @property
    def verdict(self) -> str:
        return "INCOMPLETE" if self.incomplete else "REJECTED" if self.exit_code else "LOADED"


@dataclass(frozen=True)
class BenchmarkResult:
    """What a benchmark found. ``records``: of one loading, with duplicates of a key as skipped."""

    run_id: str
    cells: list[Measured]
    best: Measured | None
    recommended: Measured | None
    records: Counts
    reasons: dict[str, int]
    errors: list[str]
    provider: str
    measurement: str
    exit_code: int


@dataclass(frozen=True)
class Advice:
    """What the latest benchmark of a provider's machine says.

    ``knees``: by method, the fewest connections that reach 95 % of its best. ``cost``: of a million rows with the
    recommended cell; None without a price.
    """

    provider: str
    instance_type: str
    measurement: str
    run_id: str
    best: Measured
    recommended: Measured
    knees: dict[str, int]
    cost: float | None
