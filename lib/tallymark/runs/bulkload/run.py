"""The whole way of `bulkload`: which server, which cells, then a load, a replay or a benchmark.

Called by `jobs/bulkload.py` and, as ``tallymark.bulkload(spark, ...)``, from a notebook: the same call.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timezone

from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from tallymark.bulkload.matrix import SCENARIOS, Cell, cells
from tallymark.bulkload.result import BenchmarkResult, LoadResult
from tallymark.config.bulkload import BulkloadConfig
from tallymark.config.loading import load as load_config
from tallymark.errors import ConfigError
from tallymark.io.cluster import require_filesystem, require_shared
from tallymark.io.lock import hold_lock
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import normalise_uri
from tallymark.runs.bulkload.announcing import outcome, watched
from tallymark.runs.bulkload.begun import JUDGED, Run, free_port
from tallymark.runs.bulkload.benchmark import benchmark
from tallymark.runs.bulkload.load import Poll, ShowProgress, load, one_cell
from tallymark.runs.bulkload.places import open_place
from tallymark.runs.bulkload.replay import replay
from tallymark.runs.quality.gate import open_gate
from tallymark.runs.run_id import new_run_id
from tallymark.runs.telling import telling


def _no_progress(_files: int, _size: int, _poll: Poll) -> AbstractContextManager[object]:
    return nullcontext()


def bulkload(
    spark: SparkSession,
    config: BulkloadConfig | None = None,
    *,
    show_progress: ShowProgress = _no_progress,
    **options: object,
) -> LoadResult | BenchmarkResult:
    """Loads JSON records into PostgreSQL exactly once, or measures how fast each cell of the matrix would.

    Args:
        config: the validated options; or give them by name: ``input=``, ``tables=``, ...

    Raises:
        ConfigError: an option, the server or a table does not fit; nothing was loaded.
        LockedError: another run works on the same output folder.
        RefusedError: the rows about this run fail their rules; its files of results are not written.
        IncompleteError: the server or a place for results was lost.
    """
    config = config if config is not None else load_config(BulkloadConfig, None, options)
    wanted = cells_of(config)
    if config.load and config.replay:
        raise ConfigError("--load and --replay exclude each other: first the one, then the other")
    if config.replay and config.run_id is None:
        raise ConfigError("--replay needs --run-id: the run whose rejected records are tried again")
    cell = one_cell(wanted) if config.load else None
    now = datetime.now(timezone.utc)
    run_id = config.run_id or new_run_id(now)
    store, out = ObjectStore.from_environment(os.environ), normalise_uri(config.output_dir)
    require_shared(spark, out)
    require_filesystem(spark, out)
    is_local = str(spark.sparkContext.master).startswith("local")
    gate = open_gate(config.quality, config.rules, store, out, JUDGED)
    gate.require_fit(spark, {name: from_arrow_schema(schema) for name, schema in JUDGED.items()})
    port = free_port() if is_local else None
    with (
        telling(watched(config, store, out, run_id)) as tell,
        hold_lock(store, out, run_id),
        open_place(config, os.environ, port) as place,
        place.server.connect("tallymark-driver") as connection,
    ):
        run = Run(run_id, now, out, place, store, gate)
        result: LoadResult | BenchmarkResult
        if config.replay:
            result = replay(spark, config, run, connection)
        elif cell is not None:
            result = load(spark, config, run, connection, cell, show_progress)
        else:
            result = benchmark(spark, config, run, connection, wanted)
        tell(outcome(result))
        return result


def cells_of(config: BulkloadConfig) -> list[Cell]:
    """Returns the cells that the options name."""
    batch_sizes, connections = config.batch_size, config.connections
    if config.scenario is not None:
        size, count = SCENARIOS[config.scenario]
        batch_sizes, connections = (size,), (count,)
    return cells(config.method, batch_sizes, connections)
