"""What a run is going to do, told before it does it: pairs by proof, bytes to read, and about how long.

A plan: the proof `identical` may turn out not to hold, and then both sides are read. Called by `--dry-run`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tallymark.reconcile.history import RunPoint
from tallymark.reconcile.scope import Scope


@dataclass(frozen=True)
class Work:
    """The pairs of one proof: how many, their bytes on both sides, and the most of these that will be read."""

    pairs: int = 0
    size: int = 0
    to_read: int = 0

    def plus(self, size: int, to_read: int) -> Work:
        """Returns it with one more pair."""
        return Work(self.pairs + 1, self.size + size, self.to_read + to_read)


@dataclass(frozen=True)
class Estimate:
    """About how many seconds, as one earlier run took them; a bound where that run is all that is known."""

    seconds: float
    is_bound: bool
    by: RunPoint


@dataclass(frozen=True)
class Forecast:
    """The plan of a run; ``estimate`` is None where no earlier run tells anything."""

    source: str
    backup: str
    work: dict[str, Work]
    scope: Scope
    warnings: list[str]
    estimate: Estimate | None

    @property
    def to_read(self) -> int:
        return sum(work.to_read for work in self.work.values())


def estimate(to_read: int, earlier: Sequence[RunPoint]) -> Estimate | None:
    """Returns the time in proportion to the bytes, by the earlier run that read most; where that is less than the
    fastest run took, that as a bound.

    What every run takes, however little it reads, is not known: only that it is no more than the fastest one took.
    """
    timed = [run for run in earlier if run.bytes_read is not None and run.duration_seconds is not None]
    best = max(timed, key=lambda run: run.bytes_read or 0, default=None)
    if best is None:
        return None
    least = min(run.duration_seconds or 0 for run in timed)
    share = to_read / best.bytes_read if best.bytes_read else 0
    seconds = share * (best.duration_seconds or 0)
    return Estimate(max(least, seconds), seconds < least, best)
