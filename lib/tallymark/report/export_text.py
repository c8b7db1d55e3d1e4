"""Prints the manifest of an export for people, on a terminal and in a log. Called by `jobs/export.py`.

It shows no value of a record: the keys of the chunks are in the manifest only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from rich.console import Console

from tallymark.progress import duration, size
from tallymark.report.legible import one_line


def print_manifest(manifest: Mapping[str, Any], console: Console, place: str) -> None:
    """Prints what was exported, how it was proven, and what it cost."""
    for line in lines(manifest, place):
        console.print(one_line(line), markup=False, highlight=False, emoji=False, soft_wrap=True)


def lines(manifest: Mapping[str, Any], place: str) -> list[str]:
    """Returns the report as lines of text."""
    rows, counted = manifest["rows"], manifest["rows_in_snapshot"]
    consistency = manifest["consistency"]
    verified = "each chunk read again from source and file" if manifest["verified"] else "no (--verify reads all again)"
    proof = f"rows in the snapshot {counted:,} = rows in the files {rows:,}" if counted is not None else "no one moment"
    facts = {
        "table": f"{manifest['table']} on {manifest['server']} {manifest['server_version']}"
        + (", TLS" if manifest["tls"] else ", no TLS"),
        "to": place,
        "run": f"{manifest['run_id']}, {_time(manifest['started'])}, resumed {manifest['resumes']} times",
        "proof": proof,
        "verified": verified,
        "consistency": f"{consistency['achieved']}: {consistency['meaning']}",
        "chunks": f"{len(manifest['chunks']):,} by {manifest['cut_by']}"
        + (f" over {', '.join(manifest['order'])}" if manifest["order"] else ""),
        "written": f"{size(manifest['bytes'])} of {manifest['format']}",
        "speed": f"{manifest['rows_per_second'] or 0:,} rows/s over {duration(manifest['seconds'])}",
        "memory": f"{size(manifest['peak_memory_bytes'])} at most",
        "retries": f"{manifest['retries']}, connections made anew {manifest['refreshes']}",
        "source": f"longest transaction {duration(manifest['longest_transaction_seconds'])}"
        + (f", oldest xmin held {age:,} transactions ago" if (age := manifest["oldest_xmin_age"]) is not None else ""),
    }
    width = max(map(len, facts))
    report = [f"EXPORTED: {rows:,} rows", *(f"  {name:<{width}}  {text}" for name, text in facts.items())]
    report += _section("Batch size", [_change(change) for change in manifest["batch_size_changes"]])
    report += _section("Slowest chunks", [_slow(chunk) for chunk in manifest["slowest_chunks"]])
    fallbacks = [
        f"{column['name']} ({column['type']}): {column['fallback']}"
        for column in manifest["columns"]
        if column["fallback"]
    ]
    report += _section("Columns kept as text", fallbacks)
    return report + _section("Warnings", manifest["warnings"])


def _section(title: str, texts: list[str]) -> list[str]:
    return [title, *(f"  {text}" for text in texts)] if texts else []


def _change(change: Mapping[str, Any]) -> str:
    return f"from chunk {change['number']:,}: {change['rows']:,} rows ({change['reason']})"


def _slow(chunk: Mapping[str, Any]) -> str:
    return f"chunk {chunk['number']:,}: {chunk['seconds']:.2f} s, {chunk['rows']:,} rows"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
