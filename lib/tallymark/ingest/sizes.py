"""How many bytes the same records take in each form. Nothing is written."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from tallymark.ingest.compact import Dictionary, compact
from tallymark.ingest.record import LogRecord

_COLUMNS = ("record_id", "user_id", "method", "url", "inDate", "extra", "not_text")


@dataclass(frozen=True)
class Size:
    """One form of the records; ``saved`` is the percentage of the original bytes that it spares."""

    form: str
    bytes: int
    saved: float


def measure(records: Sequence[tuple[bytes, LogRecord]], dictionary: Dictionary) -> list[Size]:
    """Return the sizes of the records, each given as its plaintext and its fields; one line each where lines are.

    gzip at level 6, zstd at 3, Parquet with zstd: what these tools do by default.
    """
    original = b"".join(plaintext + b"\n" for plaintext, _ in records)
    rows = [record._asdict() for _, record in records]
    for row in rows:
        row["extra"] = json.loads(row["extra"]) if row["extra"] else None
    compacted = b"".join(compact(row, dictionary) + b"\n" for row in rows)
    sizes = {
        "original": len(original),
        "compacted": len(compacted),
        "gzip": len(gzip.compress(original, 6, mtime=0)),
        "compacted + gzip": len(gzip.compress(compacted, 6, mtime=0)),
        "zstd": len(pa.compress(original, "zstd", asbytes=True)),
        "compacted + zstd": len(pa.compress(compacted, "zstd", asbytes=True)),
        "Parquet": _parquet(records),
    }
    return [Size(form, size, 100 - 100 * size / max(1, len(original))) for form, size in sizes.items()]


def _parquet(records: Sequence[tuple[bytes, LogRecord]]) -> int:
    columns = {name: pa.array([getattr(record, name) for _, record in records], pa.string()) for name in _COLUMNS}
    target = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), target, compression="zstd")
    return int(target.getvalue().size)
