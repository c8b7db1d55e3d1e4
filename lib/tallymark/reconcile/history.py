"""Runs as points of a trend, from rows of the table `runs`. Called by the summary, `--history` and `--dry-run`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_TAKEN = (
    "run_id",
    "run_time",
    "source",
    "backup",
    "verdict",
    "exit_code",
    "match_rate",
    "source_records",
    "backup_records",
    "mismatched_records",
    "missing_in_backup",
    "missing_in_source",
    "duration_seconds",
)


@dataclass(frozen=True)
class RunPoint:
    """One run; a run that died has no verdict and no counts.

    Attributes:
        run_time: ISO 8601, UTC.
        bytes_read: None for a run of a version that did not count them.
        is_recheck: whether it compared only what had failed before.
    """

    run_id: str
    run_time: str
    source: str
    backup: str
    verdict: str | None
    exit_code: int | None
    match_rate: float | None
    source_records: int | None
    backup_records: int | None
    mismatched_records: int | None
    missing_in_backup: int | None
    missing_in_source: int | None
    duration_seconds: float | None
    bytes_read: int | None
    is_recheck: bool

    @property
    def differences(self) -> int | None:
        """Records that are changed, or missing on a side."""
        counts = (self.mismatched_records, self.missing_in_backup, self.missing_in_source)
        return None if None in counts else sum(count or 0 for count in counts)


def points(rows: Iterable[Mapping[str, Any]]) -> list[RunPoint]:
    """Returns the points of rows of the table `runs`, oldest first."""
    return sorted(map(_point, rows), key=lambda run: (run.run_time, run.run_id))


def _point(row: Mapping[str, Any]) -> RunPoint:
    """Returns the point of a row, which may lack columns that its version did not have."""
    taken: dict[str, Any] = {name: row.get(name) for name in _TAKEN}
    spared = row.get("bytes_not_read")
    read = None if spared is None else row["source_bytes"] + row["backup_bytes"] - spared
    settings = json.loads(row.get("settings") or "{}")
    return RunPoint(**taken, bytes_read=read, is_recheck=settings.get("only_failed_from") is not None)
