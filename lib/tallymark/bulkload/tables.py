"""Names, order, types and meaning of the columns of the Delta tables; `docs/tables.md` is made from here.

Times are ISO 8601 in UTC, lengths of time are seconds.
"""

from __future__ import annotations

from tallymark.columns import Column, arrow_schema

_SPARK = "where Spark's writer sent the rows"
_LOAD = "of a load"
_NOTHING = "without a row or a measured time"
_NO_BATCH = f"{_LOAD}, {_SPARK}, or where nothing was sent"
_FAILED = "unless status is FAILED"

_CELL = {
    "run_id": Column("string", "name of the run"),
    "method": Column("string", "how rows were sent: copy_text, copy_binary, insert_multi, spark_jdbc, ..., roofline"),
    "batch_size": Column("int", "rows of a batch that were asked for"),
    "num_connections": Column("int", "connections that were asked for"),
    "repeat": Column("int", "number of the repeat of the cell, from 1"),
}

BATCHES = arrow_schema(
    {
        **_CELL,
        "batch_number": Column("bigint", "number of the batch in its task, from 1"),
        "table_name": Column("string", "table of the config that the rows are for"),
        "file_path": Column("string", "file that the rows came from", "in a benchmark, whose rows were staged before"),
        "unit_start": Column("bigint", "where in the file their unit starts, bytes of decoded text", "in a benchmark"),
        "records_count": Column("bigint", "rows of the batch"),
        "start_time": Column("string", "when sending began"),
        "end_time": Column("string", "when it ended"),
        "total_duration_seconds": Column(
            "double", "time of the statement; of a transaction's last one also of the COMMIT"
        ),
        "records_per_second": Column("double", "records_count / total_duration_seconds", "without a measured time"),
        "cumulative_records": Column("bigint", "rows of the same task up to and with this batch"),
        "bytes": Column("bigint", "bytes as sent", _SPARK),
        "retries": Column("int", "attempts after a failed one"),
        "backend_pid": Column("int", "process of the server", _SPARK),
        "worker_pid": Column("int", "process that sent", _SPARK),
    }
)
"""One row a statement that carried rows."""

CELLS = arrow_schema(
    {
        **_CELL,
        "run_time": Column("string", "when the run began"),
        "kind": Column("string", "benchmark or load"),
        "provider": Column("string", "gcp, aws, azure or local"),
        "instance_type": Column("string", "type of the server, as it was told", "where none was told"),
        "measurement": Column("string", "measured, or emulated: a network was put in between"),
        "status": Column("string", "OK, or FAILED: such a cell is never ranked"),
        "sqlstate": Column("string", "code of the server for the failure", f"{_FAILED}, or without one"),
        "error": Column("string", "cause of the failure", _FAILED),
        "rows": Column("bigint", "rows that landed"),
        "start_time": Column("string", "when the cell began"),
        "end_time": Column("string", "when it ended"),
        "read_seconds": Column("double", "reading and judging the records, once for all cells", _LOAD),
        "load_seconds": Column("double", "from the first connection of the cell to its last commit, over its tables"),
        "wall_seconds": Column("double", "the same with what Spark needs to start its tasks"),
        "rows_per_second": Column("double", "rows / load_seconds", _NOTHING),
        "p50_seconds": Column("double", "half of the batches took at most this", _NO_BATCH),
        "p95_seconds": Column("double", "95 % of the batches took at most this", _NO_BATCH),
        "p99_seconds": Column("double", "99 % of the batches took at most this", _NO_BATCH),
        "wal_bytes": Column("bigint", "write-ahead log of the server meanwhile, bytes", _LOAD),
        "wal_bytes_per_row": Column("double", "wal_bytes / rows", f"{_LOAD}, or {_NOTHING}"),
        "effective_connections": Column("int", "the most backends of the cell that the server had at once"),
        "mean_active": Column("double", "mean number of those that were busy"),
        "top_waits": Column("map<string,bigint>", "what they waited for -> samples, the five most frequent"),
        "server_version": Column("string", "version of PostgreSQL"),
        "driver": Column("string", "driver of the measuring connection, and its version", _LOAD),
        "tls": Column("string", "version and cipher of TLS, or off"),
    }
)
"""One row a repeat of a cell; a load is a cell too."""
