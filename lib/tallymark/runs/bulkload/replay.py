"""Tries the rejected records of a load again, with the tables and options as they are now.

The records of a unit leave the table of the rejected in the transaction in which they are loaded, and the counts of
their unit change in it too: the equation of the run holds at every moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import SparkSession

from tallymark.bulkload.result import LoadResult
from tallymark.config.bulkload import BulkloadConfig
from tallymark.errors import EXIT_DIFFERENT, EXIT_MATCH, ConfigError
from tallymark.io.postgres import Server, is_transient
from tallymark.retry import call
from tallymark.runs.bulkload import ledger
from tallymark.runs.bulkload.begun import Run
from tallymark.runs.bulkload.isolating import land
from tallymark.runs.bulkload.loading import Batches
from tallymark.runs.bulkload.sending import Connection
from tallymark.runs.bulkload.sessions import RETRY, Session
from tallymark.runs.bulkload.targets import Reading, Target, prepare, targets_of

_BATCH = 1000
_METHOD = "copy_text"
RejectedUnit = tuple[str, int, str]
"""File, start of the unit, table."""


@dataclass(frozen=True)
class Replay:
    """What a task must know; holds no secret."""

    run_id: str
    server: Server
    reading: Reading
    targets: Mapping[str, Target]


def replay(spark: SparkSession, config: BulkloadConfig, run: Run, connection: Connection) -> LoadResult:
    """Loads what can be loaded now; what is rejected again stays, with its new reason.

    Raises:
        ConfigError: the run has no ledger here, or a table of it is not in the config.
    """
    ledger.make_ledger(connection)
    targets = targets_of(config)
    prepare(connection, targets)
    by_name = {str(target.table): target for target in targets}
    units: list[RejectedUnit] = connection.execute(
        "SELECT DISTINCT file_path, unit_start, table_name FROM tallymark.bulkload_rejected WHERE run_id = %s "
        "ORDER BY 1, 2",
        [run.run_id],
    ).fetchall()
    unknown = sorted({table for _, _, table in units} - set(by_name))
    if unknown:
        raise ConfigError(f"run {run.run_id} has rejected records for {unknown[0]}, which is not in tables: add it")
    clock = time.monotonic()
    if units:
        tasks = min(len(units), spark.sparkContext.defaultParallelism)
        task = Replay(run.run_id, run.place.server, Reading(run.store, config.nul, config.time_zone), by_name)
        shares = [units[number::tasks] for number in range(tasks)]
        spark.range(0, tasks, 1, tasks).mapInArrow(replay_units(task, shares), "id bigint").count()
    known = ledger.loaded(connection, run.run_id)
    records = known.records
    too_many = 100 * records.rejected > config.max_rejected * records.read
    code = EXIT_DIFFERENT if too_many else EXIT_MATCH
    reasons = ledger.reasons(connection, run.run_id)
    return LoadResult(run.run_id, records, known.files_done, {}, reasons, time.monotonic() - clock, code)


def replay_units(
    task: Replay, shares: Sequence[Sequence[RejectedUnit]]
) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    """Returns the function for `mapInArrow` over task numbers (column ``id``); it yields no rows."""

    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        session = Session(task.server, f"tallymark-replay-{task.run_id}"[:63])
        try:
            for batch in batches:
                for number in batch.column("id").to_pylist():
                    for unit in shares[number]:
                        call(lambda unit=unit: _replay(task, session.connection(), unit), RETRY, is_transient)  # type: ignore[misc]
                yield batch.slice(0, 0)
        finally:
            session.close()

    return run


def _replay(task: Replay, connection: Connection, unit: RejectedUnit) -> None:
    path, start, table = unit
    place = [task.run_id, path, start]
    target = task.targets[table]
    with connection.transaction():
        found = connection.execute(
            "SELECT ordinal, record FROM tallymark.bulkload_rejected "
            "WHERE run_id = %s AND file_path = %s AND unit_start = %s ORDER BY ordinal FOR UPDATE",
            place,
        ).fetchall()
        rows = task.reading.reader(target).read_all([bytes(record) for _, record in found])
        landed = land(connection, target, rows.batch, _METHOD, _BATCH)
        again = {rejected.ordinal: rejected.reason for rejected in rows.rejected}
        again |= {rows.ordinals[number]: reason for number, reason in landed.refused.items()}
        with connection.cursor() as cursor:
            cursor.executemany(
                "UPDATE tallymark.bulkload_rejected SET reason = %s "
                "WHERE run_id = %s AND file_path = %s AND unit_start = %s AND ordinal = %s",
                [[reason, *place, found[number][0]] for number, reason in again.items()],
            )
        connection.execute(
            "DELETE FROM tallymark.bulkload_rejected "
            "WHERE run_id = %s AND file_path = %s AND unit_start = %s AND ordinal = ANY(%s)",
            [*place, [ordinal for number, (ordinal, _) in enumerate(found) if number not in again]],
        )
        connection.execute(
            "UPDATE tallymark.bulkload_units SET loaded = loaded + %s, skipped = skipped + %s, rejected = %s "
            "WHERE run_id = %s AND file_path = %s AND unit_start = %s",
            [landed.loaded, landed.skipped, len(again), *place],
        )
