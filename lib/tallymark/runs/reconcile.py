"""The whole way of `reconcile`: list, plan, compare, settle, explain, write, report.

Called by `jobs/reconcile.py` and, as ``tallymark.reconcile(spark, ...)``, from a notebook: the same call.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone

from pyspark import Broadcast, StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tallymark.config import ReconcileConfig, load
from tallymark.errors import ConfigError
from tallymark.io import delta
from tallymark.io.objects import ObjectStore, is_within, normalise_uri
from tallymark.reconcile.canonical import CanonicalForm
from tallymark.reconcile.file_rows import file_rows, mismatch_rows
from tallymark.reconcile.json_path import parse_path
from tallymark.reconcile.json_tree import step_text
from tallymark.reconcile.plan import pack, pair_objects
from tallymark.reconcile.result import RunSummary, Totals, Verdict
from tallymark.reconcile.settle import settle
from tallymark.reconcile.stages import COMPARED, EXPLAINED, LEFTOVERS, READ, RESIDUE
from tallymark.reconcile.tables import ddl
from tallymark.runs import publish
from tallymark.runs.begun import Run
from tallymark.runs.compare_objects import compare_objects
from tallymark.runs.explain_leftovers import explain_leftovers
from tallymark.runs.read_contents import read_contents
from tallymark.runs.shipping import ObjectPair, Settings, pack_task

_ROWS_A_PARTITION = 500_000
_LEFTOVERS_A_TASK = 5_000

Poll = Callable[[], tuple[int, int, int]]
"""Returns the files, records and bytes that are done so far."""
ShowProgress = Callable[[int, int, Poll], AbstractContextManager[object]]
"""Given the files and bytes of the run and its poll; shows the progress while entered."""


@dataclass(frozen=True)
class ReconcileResult:
    """What a run found: the summary, this run's rows of the tables, and where the reports are."""

    summary: RunSummary
    files: DataFrame
    mismatches: DataFrame
    reports: dict[str, str]

    @property
    def totals(self) -> Totals:
        return self.summary.totals

    @property
    def verdict(self) -> Verdict:
        return self.summary.verdict

    @property
    def exit_code(self) -> int:
        return self.summary.exit_code


def _no_progress(_files: int, _size: int, _poll: Poll) -> AbstractContextManager[object]:
    return nullcontext()


def reconcile(
    spark: SparkSession,
    config: ReconcileConfig | None = None,
    *,
    show_progress: ShowProgress = _no_progress,
    **options: object,
) -> ReconcileResult:
    """Compares two prefixes record by record and accounts for every record.

    Args:
        config: the validated options; or give them by name: ``source=``, ``backup=``, ``out=``, ...

    Raises:
        ConfigError: an option or a named place is wrong; nothing was read.
        IncompleteError: a prefix could not be listed or a result could not be written.
    """
    config = config if config is not None else load(ReconcileConfig, None, options)
    clock = time.monotonic()
    run = _begin(config)
    store = ObjectStore.from_environment(os.environ)
    settings = _settings(config, store)
    pairs, warnings = _list_pairs(store, config, run)
    publish.mark_begun(spark, run)

    tasks = _ship(spark, pairs)
    compared, size = _compare(spark, settings, tasks, pairs, show_progress)
    settled = settle(_readable_residue(compared, size), size.partitions).persist(StorageLevel.MEMORY_AND_DISK)
    explained = _explain(settings, tasks, settled, size).persist(StorageLevel.MEMORY_AND_DISK)
    mismatches = mismatch_rows(explained, run.run_id, run.run_time_text, size.partitions)
    files = file_rows(compared, settled, explained, run.run_id, run.run_time_text, size.partitions)

    delta.write_run(mismatches, run.table("mismatches"), run.run_id, replace=run.is_named)
    delta.write_run(files, run.table("files"), run.run_id, replace=run.is_named)
    summary, reports = publish.publish(spark, store, run, config, warnings, time.monotonic() - clock)
    for frame in (compared, settled, explained):
        frame.unpersist()
    tasks.destroy()
    return ReconcileResult(
        summary,
        delta.read_run(spark, run.table("files"), run.run_id),
        delta.read_run(spark, run.table("mismatches"), run.run_id),
        reports,
    )


def _begin(config: ReconcileConfig) -> Run:
    source, backup, out = map(normalise_uri, (config.source, config.backup, config.out))
    if is_within(source, backup) or is_within(backup, source):
        raise ConfigError(f"source {source} and backup {backup} overlap: name two places that do not hold each other")
    for name, place in (("source", source), ("backup", backup)):
        if is_within(out, place):
            raise ConfigError(
                f"out {out} lies inside the {name} {place}: its files would be compared; name another place"
            )
    now = datetime.now(timezone.utc)
    run_id = config.run_id or f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
    settings = json.loads(config.model_dump_json())
    return Run(run_id, config.run_id is not None, now, source, backup, out, settings)


def _settings(config: ReconcileConfig, store: ObjectStore) -> Settings:
    try:
        ignore, unordered, masked = (
            tuple(map(parse_path, paths)) for paths in (config.ignore, config.unordered, config.mask)
        )
        key = tuple(str(parse_path(name if name.startswith("$") else f"${step_text(name)}")) for name in config.key)
    except ValueError as broken:
        raise ConfigError(str(broken)) from None
    form = CanonicalForm(ignore=ignore, unordered=unordered, unicode=config.unicode, numbers=config.numbers)
    return Settings(store, form, config.format, config.chunk_size, config.proof == "full", key, masked)


def _list_pairs(store: ObjectStore, config: ReconcileConfig, run: Run) -> tuple[list[ObjectPair], list[str]]:
    warnings = []
    listings = []
    for name, place in (("source", run.source), ("backup", run.backup)):
        listed = list(store.list_objects(place))
        compared = [item for item in listed if not config.excludes(item.path)]
        if not compared:
            warnings.append(f"EMPTY: no object under the {name} {place}; check the prefix")
        if len(compared) < len(listed):
            warnings.append(f"{len(listed) - len(compared)} objects under the {name} are left out by --exclude")
        listings.append(compared)
    return pair_objects(*listings), warnings


def _ship(spark: SparkSession, pairs: list[ObjectPair]) -> Broadcast[list[bytes]]:
    cores = spark.sparkContext.defaultParallelism
    return spark.sparkContext.broadcast([pack_task(task) for task in pack(pairs, cores)])


@dataclass(frozen=True)
class Compared:
    """How many rows of residue the comparing tasks left, how many with their content, and how many pairs in error."""

    residue: int
    contents: int
    errors: int

    @property
    def partitions(self) -> int:
        """In as many as the residue needs: it is nothing in a healthy run, and every task has its price."""
        return 1 + self.residue // _ROWS_A_PARTITION


def _compare(
    spark: SparkSession,
    settings: Settings,
    tasks: Broadcast[list[bytes]],
    pairs: list[ObjectPair],
    show_progress: ShowProgress,
) -> tuple[DataFrame, Compared]:
    """Runs the comparing tasks and keeps their rows, columns of `stages.COMPARED`."""
    files, records, size = (spark.sparkContext.accumulator(0) for _ in range(3))
    count = len(tasks.value)
    numbers = spark.range(0, count, 1, max(1, count))
    compared = numbers.mapInArrow(compare_objects(settings, tasks, (files, records, size)), ddl(COMPARED))
    compared = compared.persist(StorageLevel.MEMORY_AND_DISK)
    total = sum(pair.bytes for pair in pairs)
    with show_progress(len(pairs), total, lambda: (files.value, records.value, size.value)):
        (row,) = compared.agg(F.count("hash"), F.count("content"), F.count("error")).collect()
    return compared, Compared(residue=row[0], contents=row[1], errors=row[2])


def _readable_residue(compared: DataFrame, size: Compared) -> DataFrame:
    """Returns the residue without that of pairs in error: what was read before the error proves nothing."""
    residue = compared.where(F.col("hash").isNotNull()).select(*RESIDUE)
    in_error = compared.where(F.col("error").isNotNull()).select("pair")
    return residue.join(F.broadcast(in_error), on="pair", how="left_anti") if size.errors else residue


def _explain(settings: Settings, tasks: Broadcast[list[bytes]], settled: DataFrame, size: Compared) -> DataFrame:
    """Returns the mismatches, columns of `stages.EXPLAINED`; reads again only what did not travel."""
    left = settled.where("missing > 0").withColumn("count", F.col("missing")).select(*LEFTOVERS)
    # Reading again costs more than a row weighs, so there are more tasks than rows alone would need.
    count = max(1, min(len(tasks.value), size.residue // _LEFTOVERS_A_TASK))
    if settings.key or size.contents < size.residue:
        by_ordinal = left.repartition(count, "task", "pair").sortWithinPartitions("task", "pair", "ordinal")
        read = by_ordinal.mapInArrow(read_contents(settings, tasks), ddl(READ))
    else:
        read = left.selectExpr("*", "cast(null AS binary) AS key", "cast(null AS string) AS error")
    together = read.repartition(count, "task", "pair").sortWithinPartitions("task", "pair", "key", "ordinal")
    return together.mapInArrow(explain_leftovers(settings, tasks), ddl(EXPLAINED))
