"""What a run of `maintain` did to a table, or would do. Printed by `tallymark.report.maintained`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Maintained:
    """One table: its files before and after, the rows that both hold, and the old files that went.

    In a dry run ``files_after`` is what could be had at best, ``removed`` what would go.
    """

    table: str
    files_before: int
    files_after: int
    rows: int
    removed: int
