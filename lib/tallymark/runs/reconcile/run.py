"""The whole way of `reconcile`: list, plan, compare, settle, explain, write, report.

Called by `jobs/reconcile.py` and, as ``tallymark.reconcile(spark, ...)``, from a notebook: the same call.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession

from tallymark.config.loading import load
from tallymark.config.reconcile import ReconcileConfig
from tallymark.errors import RefusedError
from tallymark.io import delta
from tallymark.io.cluster import require_filesystem, require_shared
from tallymark.io.lock import hold_lock
from tallymark.io.objects import ObjectStore
from tallymark.io.stored import shown
from tallymark.reconcile.counts import Counts
from tallymark.reconcile.evidence import Example
from tallymark.reconcile.file_rows import file_row, left_alone_row, mismatch_rows
from tallymark.reconcile.result import RunSummary, Totals, Verdict
from tallymark.reconcile.stages import arrow_schema
from tallymark.reconcile.tables import FILES, MISMATCHES, ddl
from tallymark.runs.packing import pack
from tallymark.runs.quality.gate import Gate, Written, open_gate
from tallymark.runs.reconcile import publish
from tallymark.runs.reconcile.announcing import outcome, watched
from tallymark.runs.reconcile.begun import Run, begin, settings_of
from tallymark.runs.reconcile.distributed import Poll, ShowProgress, Stages, partitions
from tallymark.runs.reconcile.ledger import Ledger, counts_of
from tallymark.runs.reconcile.listing import list_objects
from tallymark.runs.reconcile.shipping import ObjectPair, ship
from tallymark.runs.reconcile.summary import assert_equations
from tallymark.runs.telling import telling

_JUDGED = {"reconcile_files": "files", "reconcile_mismatches": "mismatches"}
"""The tables that rules can be about -> their names in the output."""


Session = Callable[[], SparkSession]

_ROWS_AT_ONCE = 10_000  # that are Python objects, ten times as large as in the table


@dataclass(frozen=True)
class ReconcileResult:
    """What a run found: the summary, where the reports are, and this run's rows of the tables."""

    summary: RunSummary
    reports: dict[str, str]
    _session: Session = field(repr=False)
    _run: Run = field(repr=False)

    @property
    def files(self) -> DataFrame:
        return self._rows("files")

    @property
    def mismatches(self) -> DataFrame:
        return self._rows("mismatches")

    @property
    def totals(self) -> Totals:
        return self.summary.totals

    @property
    def verdict(self) -> Verdict:
        return self.summary.verdict

    @property
    def exit_code(self) -> int:
        return self.summary.exit_code

    def _rows(self, table: str) -> DataFrame:
        return delta.read_run(self._session(), self._run.table(table), self._run.run_id)


def _no_progress(_files: int, _size: int, _poll: Poll) -> AbstractContextManager[object]:
    return nullcontext()


def reconcile(
    spark: SparkSession | Session,
    config: ReconcileConfig | None = None,
    *,
    show_progress: ShowProgress = _no_progress,
    **options: object,
) -> ReconcileResult:
    """Compares two prefixes record by record and accounts for every record.

    Args:
        spark: the session, or what starts it: only called where something is to be compared or judged.
        config: the validated options; or give them by name: ``source=``, ``backup=``, ``out=``, ...

    Raises:
        ConfigError: an option or a named place is wrong; nothing was read.
        LockedError: another run works on the same output; nothing was written.
        RefusedError: the rows fail their rules; the tables have them, the reports are those of before.
        IncompleteError: a prefix could not be listed or a result could not be written.
    """
    config = config if config is not None else load(ReconcileConfig, None, options)
    run = begin(config)
    store = ObjectStore.from_environment(os.environ)
    gate = open_gate(config.quality, config.rules, store, run.out, _JUDGED)

    @cache
    def session() -> SparkSession:
        started = spark() if callable(spark) else spark
        require_shared(started, run.out)
        require_filesystem(started, run.out)
        gate.require_fit(started, {"reconcile_files": ddl(FILES), "reconcile_mismatches": ddl(MISMATCHES)})
        return started

    if gate.is_on or not callable(spark):
        session()
    with telling(watched(config, store, run)) as tell:
        result, examples = _run(session, config, gate, run, show_progress)
        tell(outcome(config, result.summary, examples, result.reports))
    return result


def _run(
    session: Session, config: ReconcileConfig, gate: Gate, run: Run, show_progress: ShowProgress
) -> tuple[ReconcileResult, list[Example]]:
    clock, store = time.monotonic(), gate.store
    listing = list_objects(store, config, run)
    ledger = Ledger(store, run, settings_of(config, store, listing.pairs), config.ledger)
    pairs = ledger.identified(listing.pairs)
    if ledger.repeated(pairs) is None:
        session()  # what it cannot do is said before anything is written
    with hold_lock(store, run.out, run.run_id) as lock:
        publish.mark_begun(store, run)
        if run.is_named:
            delta.clear_run(store, run.table("mismatches"), run.run_id)
        files, fingerprint = ledger.repeat(pairs) or _compare(session(), ledger, pairs, show_progress)
        files = pa.concat_tables([files, _left_alone(listing.young, run)])
        lock.check()
        delta.replace_run(store, run.table("files"), run.run_id, files)
        _pass_gate(session, gate, run, files)
        seconds = time.monotonic() - clock
        summary, reports, examples = publish.publish(
            store, run, config, files, listing.scope, listing.warnings, fingerprint, seconds
        )
    return ReconcileResult(summary, reports, session, run), examples


def _pass_gate(session: Session, gate: Gate, run: Run, files: pa.Table) -> None:
    """Judges what the run has written; a refused run has no verdict in `runs`, so its rows do not count."""
    if not gate.is_on:
        return
    where = f"{delta.RUN_COLUMN} = '{run.run_id}'"
    written = {name: Written(run.table(table), where) for name, table in _JUDGED.items()}
    unread = pc.any(pc.is_valid(files["error"])).as_py()
    try:
        gate.check(session(), run.run_id, run.run_time, written, incomplete=bool(unread))
    except RefusedError as refused:
        publish.mark_refused(gate.store, run, str(refused))
        raise


def _compare(
    spark: SparkSession, ledger: Ledger, pairs: list[ObjectPair], show_progress: ShowProgress
) -> tuple[pa.Table, str | None]:
    """Compares what has changed, settles all; returns the rows of `files` and the fingerprint of the run."""
    run, settings = ledger.run, ledger.settings
    recalled = ledger.recall(pairs)
    known = {pair.number for pair, _ in recalled}
    new = [pair for pair in pairs if pair.number not in known]
    cores = spark.sparkContext.defaultParallelism
    known_pairs = [pair for pair, _ in recalled]
    tasks = (pack(pairs, attrgetter("bytes"), cores) for pairs in (new, known_pairs))
    shipped = ship(spark.sparkContext, *tasks)

    with Stages(spark, settings, shipped) as stages:
        residue = stages.compare(new, show_progress)
        of_known = list(map(counts_of, recalled))
        residue = stages.recall(residue, of_known, lambda: ledger.residue(spark, recalled, shipped))
        settled = stages.settle(residue)
        explained = stages.explain(settled)
        files = _file_rows(pairs, stages.counts, run)
        _write_mismatches(ledger.store, run, explained, stages.total("residue"))
        fingerprint = ledger.record(pairs, stages.counts, settled, shipped.comparing)
    return files, fingerprint


def _write_mismatches(store: ObjectStore, run: Run, explained: DataFrame | None, residue: int) -> None:
    table, schema = run.table("mismatches"), arrow_schema(MISMATCHES)
    if explained is None:
        delta.make_table(store, table, schema)
    else:
        rows = mismatch_rows(explained, run.run_time_text, partitions(residue))
        delta.append_run(store, table, run.run_id, rows, schema)


def _file_rows(pairs: list[ObjectPair], counts: dict[int, Counts], run: Run) -> pa.Table:
    parts = [pairs[start : start + _ROWS_AT_ONCE] for start in range(0, len(pairs), _ROWS_AT_ONCE)]
    rows = ([file_row(counts[pair.number], _place(pair, run)) for pair in part] for part in parts or [[]])
    files = pa.concat_tables(pa.Table.from_pylist(each, arrow_schema(FILES)) for each in rows)
    assert_equations(files)
    return files


def _left_alone(pairs: list[ObjectPair], run: Run) -> pa.Table:
    return pa.Table.from_pylist([left_alone_row(_place(pair, run)) for pair in pairs], arrow_schema(FILES))


def _place(pair: ObjectPair, run: Run) -> dict[str, Any]:
    """Returns the columns of `files` that name a pair and the run."""
    source, backup = pair.source, pair.backup
    return {
        "file_path": shown(pair.file_path),
        "source_path": shown(source.path) if source else None,
        "backup_path": shown(backup.path) if backup else None,
        "source_bytes": source.size if source else None,
        "backup_bytes": backup.size if backup else None,
        "run_id": run.run_id,
        "run_time": run.run_time_text,
    }
