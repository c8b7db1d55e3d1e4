"""How the tests of the run start it: objects put into two folders, and what is read off its result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from pyspark.sql import Row, SparkSession

import tallymark
from tallymark.runs.reconcile.run import ReconcileResult

Objects = dict[str, bytes]


def put(folder: Path, objects: Objects) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in objects.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def reconciled(spark: SparkSession, folder: Path, source: Objects, backup: Objects, **options: Any) -> ReconcileResult:
    put(folder / "source", source)
    put(folder / "backup", backup)
    places = {"source": str(folder / "source"), "backup": str(folder / "backup"), "out": str(folder / "out")}
    result: ReconcileResult = tallymark.reconcile(spark, **places | options)
    return result


def written(result: ReconcileResult, table: str) -> list[Row]:
    """Returns the rows of ``files`` or ``mismatches`` in a local folder, without the seconds of Spark."""
    kept = DeltaTable(f"{result.summary.out}/delta/{table}")
    found = kept.to_pyarrow_table(filters=[("run_id", "=", result.summary.run_id)])
    return [Row(**row) for row in found.to_pylist()]


def counts(row: Any) -> tuple[int, ...]:
    names = ["source_records", "backup_records", "matched_records", "mismatched_records"]
    return tuple(row[name] for name in [*names, "moved_out", "moved_in", "missing_in_backup", "missing_in_source"])


def lines(*numbers: int) -> bytes:
    return b"".join(b'{"id":%d,"device":"d%d","site":"north","ok":true}\n' % (n, n) for n in numbers)
