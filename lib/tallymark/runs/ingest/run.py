"""The whole way of `ingest`: fetch, decode, merge, account, commit, publish.

Called by `jobs/ingest.py` and, as ``tallymark.ingest(spark, ...)``, from a notebook: the same call. The order of states
is the crash safety: pages on disk, files that nobody names, one commit with account and watermark, then the objects,
then the row in `runs`. What a killed run has committed and not published, the next run publishes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence

from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from tallymark.config.ingest import IngestConfig
from tallymark.config.loading import load
from tallymark.errors import EXIT_DIFFERENT, EXIT_INCOMPLETE, EXIT_MATCH, RefusedError
from tallymark.ingest.tables import COMPLETE, INCOMPLETE, LOGS, REFUSED
from tallymark.io.cluster import require_shared
from tallymark.io.delta_commit import DataFile
from tallymark.io.lock import HeldLock, hold_lock
from tallymark.runs.ingest.begun import Run, begin
from tallymark.runs.ingest.description import check_dictionary, describe
from tallymark.runs.ingest.distributed import Stages
from tallymark.runs.ingest.inbox import Inbox
from tallymark.runs.ingest.result import IngestResult
from tallymark.runs.ingest.tables import Tables
from tallymark.runs.quality.gate import Gate, Written, open_gate
from tallymark.runs.telling import Outcome, Watched, telling

_JUDGED = "ingest_logs"


def ingest(spark: SparkSession, config: IngestConfig | None = None, **options: object) -> IngestResult:
    """Moves encrypted log records into their hours and accounts for every one.

    Args:
        config: the validated options; or give them by name: ``input=``, ``out=``, ...

    Raises:
        ConfigError: an option, a key or a named place is wrong; nothing was written.
        LockedError: another run works on the output; nothing was written.
        RefusedError: the rows fail their rules: they are committed, and not published before they pass.
        IncompleteError: the API or a store could not be used. What was committed is published by the next run.
    """
    config = config if config is not None else load(IngestConfig, None, options)
    run = begin(config, os.environ)
    gate = open_gate(config.quality, config.rules, run.store, run.out, (_JUDGED,))
    gate.require_fit(spark, {_JUDGED: from_arrow_schema(LOGS)})
    require_shared(spark, run.out)
    with telling(_watched(run)) as tell:
        with hold_lock(run.store, run.out, run.run_id, config.lock_seconds) as lock:
            result = _ingest(spark, run, lock, gate)
        tell(_outcome(result))
    return result


def _watched(run: Run) -> Watched:
    return Watched("ingest", {"source": run.source, "out": run.out}, run.run_id, run.out, run.store, run.config.notify)


def _outcome(result: IngestResult) -> Outcome:
    told = {
        COMPLETE: "all is accounted for",
        INCOMPLETE: f"{len(result.account.errors):,} objects were not read to their end",
        REFUSED: "more records are bad than the budget allows, so nothing is written",
    }
    return Outcome(result.exit_code == EXIT_MATCH, result.status, f"{told[result.status]}: {result.equation}")


def _ingest(spark: SparkSession, run: Run, lock: HeldLock, gate: Gate) -> IngestResult:
    clock = time.monotonic()
    check_dictionary(run)
    tables = Tables(run)
    inbox = Inbox(run, tables.watermark)
    objects = tables.quarantined_files() if run.config.replay else inbox.objects()

    stages = Stages(spark, run)
    merged = stages.merge(objects, tables.places())
    account = merged.account
    lock.check()
    if account.bad_percent > run.config.budget and not run.config.replay:
        stages.discard(merged)
        tables.refuse(account, inbox.window, time.monotonic() - clock)
        return IngestResult(run.run_id, run.source, REFUSED, account, tables.watermark, 0, EXIT_DIFFERENT)
    tables.commit(merged.files, merged.rejected, account, inbox.window, inbox.watermark)
    hours = tables.unpublished()
    try:
        _pass_gate(spark, gate, run, hours, incomplete=bool(account.errors))
    except RefusedError:
        inbox.clear()  # the records of these pages are committed, only the hours wait
        raise
    objects_published = stages.publish(hours, lock.fence)
    describe(run)
    status, exit_code = (INCOMPLETE, EXIT_INCOMPLETE) if account.errors else (COMPLETE, EXIT_MATCH)
    tables.finish(status, exit_code, objects_published, time.monotonic() - clock)
    inbox.clear()
    return IngestResult(run.run_id, run.source, status, account, inbox.watermark, objects_published, exit_code)


def _pass_gate(
    spark: SparkSession, gate: Gate, run: Run, hours: Mapping[str, Sequence[DataFile]], *, incomplete: bool
) -> None:
    """Judges the hours that are about to be published, whole; refused ones wait for the next run, as after a kill."""
    if not hours:
        return
    parts = [files[0].partition for files in hours.values()]
    where = " OR ".join(f"(dt = '{part['dt']}' AND hour = '{part['hour']}')" for part in parts)
    gate.check(spark, run.run_id, run.started, {_JUDGED: Written(run.table("logs"), where)}, incomplete=incomplete)
