"""What the rules found in one table, as values; the page, the JSON and the log lines are views of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class RuleVerdict:
    """One rule. ``considered``: rows that count for it; ``failed``: those of them that do not pass.

    A rule about the table as a whole considers all rows and fails none; only ``passed`` says what it found.
    """

    rule: str
    type: str
    considered: int
    failed: int
    mostly: float
    passed: bool


@dataclass(frozen=True)
class TableVerdict:
    """One table at one version. ``rows = good + quarantined``: a row that fails several rules is one row."""

    table: str
    place: str
    version: int
    rows: int
    quarantined: int
    rules: tuple[RuleVerdict, ...]

    @property
    def good(self) -> int:
        return self.rows - self.quarantined

    @property
    def passed(self) -> bool:
        return all(rule.passed for rule in self.rules)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "good": self.good, "passed": self.passed}

    def lines(self) -> list[str]:
        """Returns what people read: one line for the table, one for each rule that some row fails."""
        said = "passed" if self.passed else "FAILED"
        counts = f"rows {self.rows:,} = good {self.good:,} + quarantined {self.quarantined:,}"
        told = [f"{said}: {self.table} version {self.version}: {counts}"]
        for rule in self.rules:
            if rule.failed or not rule.passed:
                share = f"{rule.failed:,} of {rule.considered:,} rows" if rule.failed else "the table as a whole"
                told.append(f"  {rule.rule}: {share}{'' if not rule.passed else ', within its share'}")
        return told
