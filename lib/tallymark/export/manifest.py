"""What an export says about itself when it is finished: the manifest, and the report made from it.

Pure. Written by `tallymark.runs.export.finish`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tallymark.errors import AccountingError
from tallymark.export.checkpoint import PER_CHUNK, Change, Chunk, State

SLOWEST = 5


@dataclass(frozen=True, slots=True)
class Source:
    """What was exported and how it was reached; no secret."""

    server: str
    server_version: str
    tls: bool
    table: str
    columns: Sequence[dict[str, Any]]
    where: str | None
    mode: str
    order: Sequence[str]
    warnings: Sequence[str]


@dataclass(frozen=True, slots=True)
class Harm:
    """What the run meant for the source: seconds of the longest transaction, transactions that xmin was held back."""

    longest_transaction: float
    oldest_xmin_age: int | None


def manifest(
    state: State,
    source: Source,
    *,
    file_format: str,
    counted: int | None,
    file: dict[str, Any] | None,
    changes: Sequence[Change],
    harm: Harm,
    seconds: float,
    verified: bool,
    peak_memory: int,
) -> dict[str, Any]:
    """Returns the manifest, whose equation holds.

    Args:
        counted: the rows that the snapshot holds, counted by the server; None where there is no one snapshot.
        file: name, bytes and SHA-256 of the merged file.

    Raises:
        AccountingError: the files hold another number of rows than the snapshot.
    """
    rows = state.rows
    if counted is not None and counted != rows:
        raise AccountingError(
            f"the snapshot holds {counted} rows of {source.table}, the files {rows}: "
            "do not use them; if --where calls a function that is not stable, leave it out, and export again"
        )
    return {
        "manifest_version": 1,
        "run_id": state.run_id,
        "table": source.table,
        "columns": list(source.columns),
        "where": source.where,
        "cut_by": source.mode,
        "order": list(source.order),
        "format": file_format,
        "consistency": {
            "achieved": state.consistency,
            "meaning": _MEANING[state.consistency],
            "snapshot": dict(state.snapshot) or None,
            "rechecks": state.rechecks,
        },
        "rows": rows,
        "rows_in_snapshot": counted,
        "bytes": sum(chunk.bytes for chunk in state.chunks),
        "verified": verified,
        "file": file,
        "chunks": [_chunk(chunk) for chunk in state.chunks],
        "batch_size_changes": [asdict(change) for change in changes],
        "retries": state.retries,
        "refreshes": state.refreshes,
        "resumes": state.resumes,
        "started": state.started,
        "seconds": round(seconds, 3),
        "rows_per_second": round(rows / seconds) if seconds > 0 else None,
        "peak_memory_bytes": peak_memory,
        "longest_transaction_seconds": round(harm.longest_transaction, 3),
        "oldest_xmin_age": harm.oldest_xmin_age,
        "slowest_chunks": [
            {"number": chunk.span.number, "seconds": round(chunk.seconds, 3), "rows": chunk.rows}
            for chunk in sorted(state.chunks, key=lambda chunk: -chunk.seconds)[:SLOWEST]
        ],
        "server": source.server,
        "server_version": source.server_version,
        "tls": source.tls,
        "warnings": list(source.warnings) + ([_LATE] if state.consistency == PER_CHUNK else []),
    }


_MEANING = {
    "snapshot": "all rows are those of one moment",
    "per-chunk": "each chunk is of its own moment",
    "mixed": "some chunks are of another moment than others, because the snapshot was lost in between",
}
_LATE = (
    "per-chunk: a row that was committed, changed or moved by its key while the export ran may be missing or old, "
    "also one with a smaller key than others that are here"
)


def _chunk(chunk: Chunk) -> dict[str, Any]:
    return {
        "number": chunk.span.number,
        "part": chunk.part,
        "rows": chunk.rows,
        "after": chunk.span.lower,
        "up_to": chunk.span.upper,
        "bytes": chunk.bytes,
        "sha256": chunk.sha256,
        "source_sha256": chunk.source_sha256,
        "rows_wanted": chunk.span.rows_wanted,
        "attempts": chunk.attempts,
        "started": round(chunk.started, 3),
        "seconds": round(chunk.seconds, 3),
        "memory_bytes": chunk.memory,
        "verified": chunk.verified,
    }
