"""Output folders as the four jobs leave them, small enough to be read: for the tests of the dashboard.

Each function writes one folder; the figures on the pages follow from the rows here by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from tallymark.bulkload import tables as bulkload
from tallymark.columns import arrow_schema
from tallymark.export import tables as export
from tallymark.ingest import tables as ingest
from tallymark.reconcile import tables as reconcile

Row = dict[str, Any]


def write(folder: str, table: str, columns: pa.Schema, rows: Iterable[Row], options: Any = None) -> None:
    """Add rows to a table; what a row does not name is null."""
    place = f"{folder}/delta/{table}"
    by_run = ["run_id"] if table != "quarantine" else None
    found = pa.Table.from_pylist(list(rows), columns)
    write_deltalake(place, found, mode="append", partition_by=by_run, storage_options=options)


def reconcile_out(folder: str, options: Any = None) -> None:
    """Three runs: `first` matches, `second` differs and could not read a file, `third` was killed."""
    places = {"source": "s3://a/month", "backup": "s3://b/month", "duration_seconds": 2.5, "warnings": []}
    counts = {name: 0 for name, kind in reconcile.RUNS.items() if kind == "bigint"}
    first = {
        "run_id": "first", "run_time": "2026-11-01T00:00:00+00:00", "status": "COMPLETE", "verdict": "MATCH",
        "files": 1, "files_matched": 1, "source_records": 10, "backup_records": 10, "matched_records": 10,
        "match_rate": 100.0,
    }  # fmt: skip
    second = {
        "run_id": "second", "run_time": "2026-11-02T00:00:00+00:00", "status": "INCOMPLETE", "verdict": "INCOMPLETE",
        "files": 3, "files_matched": 1, "files_different": 1, "files_error": 1, "source_records": 1010,
        "backup_records": 1008, "matched_records": 1005, "mismatched_records": 3, "missing_in_backup": 2,
        "match_rate": 99.5049, "source_bytes": 27_771_106, "warnings": ["the clock of a node is wrong"],
    }  # fmt: skip
    third = {"run_id": "third", "run_time": "2026-11-03T00:00:00+00:00", "status": "INCOMPLETE"}
    runs = [{**places, **counts, **first}, {**places, **counts, **second}, {**places, **third}]
    write(folder, "runs", arrow_schema(reconcile.RUNS), runs, options)
    file = {"run_id": "second", "source_bytes": 5, "backup_bytes": 5, "proof": "compare"}
    same = {"file_path": "day=1/same.json", "status": "MATCH", "match_rate": 100.0, "source_records": 10,
            "backup_records": 10, "matched_records": 10, "mismatched_records": 0, "missing_in_backup": 0,
            "missing_in_source": 0}  # fmt: skip
    other = {**same, "file_path": "day=1/50%_'off'.json", "status": "DIFFERENT", "match_rate": 99.5,
             "source_records": 1000, "backup_records": 998, "matched_records": 995, "mismatched_records": 3,
             "missing_in_backup": 2}  # fmt: skip
    cut = {"file_path": "day=2/cut.json.gz", "status": "ERROR", "error": "TRUNCATED_GZIP after 12 bytes"}
    rows = [{**file, **same, "run_id": "first"}, *({**file, **row} for row in (same, other, cut))]
    write(folder, "files", arrow_schema(reconcile.FILES), rows, options)
    record = {"file_path": other["file_path"], "run_id": "second", "count": 1}
    changed = [
        {**record, "bucket_type": "changed", "hash": letter * 64, "hash_short": letter * 12, "changed_paths": paths,
         "json_content": f'{{"id":"{letter}","speed":1,"name":"***"}}',
         "backup_content": f'{{"id":"{letter}","speed":2,"name":"***"}}'}
        for letter, paths in (("a", ["$.speed"]), ("b", ["$.speed"]), ("c", ["$.speed", "$.id"]))
    ]  # fmt: skip
    gone = {**record, "bucket_type": "source_only", "hash": "d" * 64, "hash_short": "d" * 12, "count": 2,
            "json_content": '{"id":"a secret of the record"}', "changed_paths": []}  # fmt: skip
    write(folder, "mismatches", arrow_schema(reconcile.MISMATCHES), [*changed, gone], options)


def ingest_out(folder: str) -> None:
    """Two runs: `good` wrote and quarantined, `bad` was refused; two hours of logs."""
    hours = {
        "dt=2026-11-01/hour=06": {"extracted": 4, "written": 3, "duplicates": 1, "conflicts": 0},
        "dt=2026-11-01/hour=07": {"extracted": 2, "written": 2, "duplicates": 0, "conflicts": 0},
    }
    good = {
        "run_id": "good", "run_time": "2026-11-01T08:00:00+00:00", "status": "COMPLETE", "source": "http://logs/next",
        "since": "2026-11-01T06:00:00Z", "until": "2026-11-01T08:00:00Z", "watermark": "2026-11-01T08:00:00Z",
        "extracted": 9, "written": 5, "duplicates": 1, "quarantined": 3, "conflicts": 0,
        "reasons": json.dumps({"unknown_key": 2, "bad_time": 1}), "hours": json.dumps(hours), "errors": "[]",
        "published_objects": 2, "seconds": 1.5, "exit_code": 0,
    }  # fmt: skip
    bad = {**good, "run_id": "bad", "run_time": "2026-11-01T07:00:00+00:00", "status": "REFUSED", "written": 0,
           "duplicates": 0, "hours": "{}", "errors": '[["in/x.json", "TRUNCATED", "write it again"]]'}  # fmt: skip
    place = f"{folder}/delta/runs"
    write_deltalake(place, pa.Table.from_pylist([good, bad], ingest.RUNS), mode="append")
    quarantined = [
        {"digest": letter, "ciphertext": "gAAA-a-token", "stage": ingest.REASONS[reason], "reason": reason, "source": x}
        for letter, reason, x in (("1", "unknown_key", "a"), ("2", "unknown_key", "b"), ("3", "bad_time", "a"))
    ]
    write(folder, "quarantine", ingest.QUARANTINE, quarantined)
    logs = [{"record_id": f"{n}", "user_id": "a-user", "dt": "2026-11-01", "hour": hour}
            for n, hour in enumerate(("06", "06", "06", "07", "07"))]  # fmt: skip
    write_deltalake(f"{folder}/delta/logs", pa.Table.from_pylist(logs, ingest.LOGS), partition_by=["dt", "hour"])


def _cells(run_id: str, day: int, paces: Mapping[tuple[str, int, int], float | None], **more: Any) -> list[Row]:
    time = f"2026-11-{day:02}T00:00:00+00:00"
    return [
        {"run_id": run_id, "method": method, "batch_size": size, "num_connections": connections, "repeat": 1,
         "run_time": time, "kind": "benchmark", "provider": "local", "instance_type": "box", "measurement": "measured",
         "status": "FAILED" if pace is None else "OK", "sqlstate": "53300" if pace is None else None,
         "error": "too many connections" if pace is None else None, "rows": 100, "start_time": time, "end_time": time,
         "rows_per_second": pace, "p95_seconds": 0.02, "effective_connections": connections,
         "top_waits": {"CPU": 4, "Client:ClientRead": 1}, **more}
        for (method, size, connections), pace in paces.items()
    ]  # fmt: skip


def bulkload_out(folder: str) -> None:
    """Runs `base`, `later` (a cell failed), `emulated` and `lost` (every cell failed), and the file of progress."""
    base = {("copy_text", 100, 1): 1000.0, ("copy_text", 1000, 1): 4000.0, ("spark_jdbc", 1000, 1): 500.0}
    later = {**base, ("copy_text", 1000, 1): 3000.0, ("copy_text", 1000, 50): None, ("roofline", 1, 2): 8000.0}
    cells = [
        *_cells("base", 1, base),
        *_cells("later", 4, later),
        *_cells("emulated", 2, {("copy_text", 100, 1): 10.0}, provider="aws", measurement="emulated"),
        *_cells("lost", 3, {("copy_text", 100, 1): None}),
    ]
    write(folder, "bulkload_cells", bulkload.CELLS, cells)
    batches = [
        {"run_id": "later", "method": "copy_text", "batch_size": 100, "num_connections": 1, "repeat": 1,
         "batch_number": n, "table_name": "=things()", "records_count": 100,
         "start_time": f"2026-11-04T00:00:0{n}+00:00",
         "end_time": f"2026-11-04T00:00:0{n}.5+00:00", "total_duration_seconds": seconds, "records_per_second": 1.0,
         "cumulative_records": 100 * n, "bytes": 1000, "retries": 0, "backend_pid": 7, "worker_pid": 8}
        for n, seconds in ((1, 0.01), (2, 0.01), (3, 0.5))
    ]  # fmt: skip
    write(folder, "bulkload_batches", bulkload.BATCHES, batches)
    progress(folder)


def progress(folder: str, **more: Any) -> None:
    """Write what a running job says of itself."""
    said = {"status": "running", "current_file": "part-3.json", "current_batch": 17, "files_completed": 2,
            "total_files": 8, "total_records_processed": 1200, "batch_size": 100, "num_connections": 4, "errors": [],
            "start_time": "2026-11-04T00:00:00+00:00", "last_update": "2026-11-04T00:00:10+00:00", **more}  # fmt: skip
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, "migration_progress.json").write_text(json.dumps(said), encoding="utf-8")


def export_out(folder: str) -> None:
    """Three runs: `checked` is proven, `loose` had no snapshot, `short` lacks a row."""
    checked = {
        "run_id": "checked", "run_time": "2026-11-03T00:00:00+00:00", "table": "public.orders", "place": "/x",
        "format": "csv", "cut_by": "keyset", "consistency": "snapshot", "verified": True, "rows": 300,
        "rows_in_snapshot": 300, "bytes": 86_678_180, "chunks": 3, "retries": 1, "refreshes": 0, "resumes": 0,
        "duration_seconds": 3.0, "rows_per_second": 100, "peak_memory_bytes": 43_450_368, "server_version": "18.4",
        "longest_transaction_seconds": 2.0, "oldest_xmin_age": 0, "tls": True, "warnings": [],
    }  # fmt: skip
    loose = {**checked, "run_id": "loose", "run_time": "2026-11-02T00:00:00+00:00", "consistency": "per-chunk",
             "verified": False, "rows_in_snapshot": None, "warnings": ["rows may have changed in between"]}  # fmt: skip
    short = {**checked, "run_id": "short", "run_time": "2026-11-01T00:00:00+00:00", "rows": 299}
    write(folder, "export_runs", arrow_schema(export.RUNS), [checked, loose, short])
    chunks = [
        {"run_id": "checked", "number": n, "part": f"part-{n}.csv", "rows": 100, "rows_wanted": 100,
         "after": None if n == 1 else '["k"]', "up_to": '["a key of a row"]', "bytes": 1000, "sha256": "0" * 64,
         "attempts": 1, "seconds": 0.1 * n, "memory_bytes": 42_000_000, "verified": True}
        for n in (1, 2, 3)
    ]  # fmt: skip
    write(folder, "export_chunks", arrow_schema(export.CHUNKS), chunks)


MARKS = ("files", "runs", "mismatches", "quarantine", "logs", "bulkload_cells", "bulkload_batches", "export_runs")


def broken_out(folder: str) -> None:
    """Tables whose log is no JSON."""
    for name in MARKS:
        log = Path(folder, "delta", name, "_delta_log")
        log.mkdir(parents=True)
        (log / "00000000000000000000.json").write_text("{broken", encoding="utf-8")
    Path(folder, "migration_progress.json").write_text("{broken", encoding="utf-8")


def foreign_out(folder: str) -> None:
    """Tables of the right names, with columns of somebody else."""
    for name in MARKS:
        write_deltalake(f"{folder}/delta/{name}", pa.table({"colour": ["red"]}))
    Path(folder, "migration_progress.json").write_text("[]", encoding="utf-8")


def void_out(folder: str) -> None:
    """Tables of the jobs without a row."""
    write(folder, "runs", arrow_schema(reconcile.RUNS), [])
    write(folder, "files", arrow_schema(reconcile.FILES), [])
    write(folder, "bulkload_cells", bulkload.CELLS, [])
    write(folder, "export_runs", arrow_schema(export.RUNS), [])
