"""Names, order and types of the columns of the Delta tables, as Arrow types.

One row of CELLS for each repeat of a cell, one row of BATCHES for each statement that carried rows.
Times are ISO 8601 in UTC, lengths of time are seconds.
"""

from __future__ import annotations

import pyarrow as pa

_TEXT, _COUNT, _FLOAT, _SMALL = pa.string(), pa.int64(), pa.float64(), pa.int32()

_CELL = [
    ("run_id", _TEXT),
    ("method", _TEXT),
    ("batch_size", _SMALL),
    ("num_connections", _SMALL),
    ("repeat", _SMALL),
]

BATCHES = pa.schema(
    [
        *_CELL,
        ("batch_number", _COUNT),
        ("table_name", _TEXT),
        ("file_path", _TEXT),
        ("unit_start", _COUNT),
        ("records_count", _COUNT),
        ("start_time", _TEXT),
        ("end_time", _TEXT),
        ("total_duration_seconds", _FLOAT),
        ("records_per_second", _FLOAT),
        ("cumulative_records", _COUNT),
        ("bytes", _COUNT),
        ("retries", _SMALL),
        ("backend_pid", _SMALL),
        ("worker_pid", _SMALL),
    ]
)
"""``cumulative_records``: rows of the same task up to and with this batch. ``bytes``: as sent; null where Spark sends.
``file_path``, ``unit_start``: null in a benchmark, whose rows were staged before."""

CELLS = pa.schema(
    [
        *_CELL,
        ("run_time", _TEXT),
        ("kind", _TEXT),
        ("provider", _TEXT),
        ("instance_type", _TEXT),
        ("measurement", _TEXT),
        ("status", _TEXT),
        ("sqlstate", _TEXT),
        ("error", _TEXT),
        ("rows", _COUNT),
        ("start_time", _TEXT),
        ("end_time", _TEXT),
        ("read_seconds", _FLOAT),
        ("load_seconds", _FLOAT),
        ("wall_seconds", _FLOAT),
        ("rows_per_second", _FLOAT),
        ("p50_seconds", _FLOAT),
        ("p95_seconds", _FLOAT),
        ("p99_seconds", _FLOAT),
        ("wal_bytes", _COUNT),
        ("wal_bytes_per_row", _FLOAT),
        ("effective_connections", _SMALL),
        ("mean_active", _FLOAT),
        ("top_waits", pa.map_(_TEXT, _COUNT)),
        ("server_version", _TEXT),
        ("driver", _TEXT),
        ("tls", _TEXT),
    ]
)
"""``kind``: benchmark or load. ``measurement``: measured or emulated. ``load_seconds``: from the first connection of
the cell to its last commit, added up over the tables; ``wall_seconds`` adds what Spark needs to start its tasks.
``effective_connections``: the most backends of the cell that the server had at once; ``mean_active``: the mean of those
that were busy."""
