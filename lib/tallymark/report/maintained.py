"""Prints what `maintain` did, one line a table. Called by `jobs/maintain.py`."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from tallymark.maintain.result import Maintained


def print_maintained(tables: Iterable[Maintained], console: Console, *, dry_run: bool) -> None:
    """Print files before and after, the rows that both hold, and the old files that went or would go."""
    shown = Table("table", box=box.SIMPLE_HEAD, pad_edge=False)
    after, removed = ("files at best", "old files to remove") if dry_run else ("after", "old files removed")
    for title in ("rows", "files", after, removed):
        shown.add_column(title, justify="right")
    for table in tables:
        figures = (table.rows, table.files_before, table.files_after, table.removed)
        shown.add_row(table.table, *(f"{figure:,}" for figure in figures))
    console.print(shown)
    if dry_run:
        console.print("Nothing was changed: --dry-run.", highlight=False)
