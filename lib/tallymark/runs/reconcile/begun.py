"""What is known of a run before it reads anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tallymark.io import delta


@dataclass(frozen=True)
class Run:
    """One run; one with a name of the user's may have run before."""

    run_id: str
    is_named: bool
    run_time: datetime
    source: str
    backup: str
    out: str
    settings: dict[str, Any]
    nonce: str

    @property
    def run_time_text(self) -> str:
        return self.run_time.isoformat(timespec="seconds")

    @property
    def recording(self) -> str:
        """The name under which the ledger keeps what this run compared; unlike a run's, nobody gives it twice."""
        return f"{self.run_id}.{self.nonce}" if self.is_named else self.run_id

    def table(self, name: str) -> str:
        return delta.table_uri(self.out, name)
