"""The whole way of `quality`: read one version of a table, judge each row once, write good and quarantined, report.

Both tables are replaced as a whole, each by one commit, from one version of the source: doing it again gives the same
rows. The verdict comes last and names the versions of both, so a run that was killed in between names nothing.
Called by `jobs/quality.py` and, as ``tallymark.quality(spark, ...)``, from a notebook: the same call.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession

from tallymark.config.loading import load
from tallymark.config.quality import QualityConfig
from tallymark.errors import EXIT_DIFFERENT, EXIT_MATCH, AccountingError, ConfigError
from tallymark.io import delta
from tallymark.io.cluster import require_filesystem, require_shared
from tallymark.io.delta_rs import attempt, open_table
from tallymark.io.lock import hold_lock
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import is_within, normalise_uri
from tallymark.quality.rules import RuleFile
from tallymark.quality.split import count, good, judge, quarantined
from tallymark.quality.suite import Judged
from tallymark.quality.verdict import TableVerdict
from tallymark.runs.quality.judging import (
    Place,
    keep,
    newest_version,
    read_version,
    session_of_rules,
    without_content,
    write_rows,
)
from tallymark.runs.quality.rule_files import read_rule_file
from tallymark.runs.run_id import new_run_id
from tallymark.runs.telling import Outcome, Watched, sentence_of, telling

GOOD, QUARANTINED = "good", "quarantined"


@dataclass(frozen=True)
class QualityResult:
    """What was found, and where the pages are."""

    verdict: TableVerdict
    index: str

    @property
    def exit_code(self) -> int:
        return EXIT_MATCH if self.verdict.passed else EXIT_DIFFERENT


def quality(spark: SparkSession, config: QualityConfig | None = None, **options: object) -> QualityResult:
    """Splits one version of a Delta table into good and quarantined rows and reports what its rules found.

    Args:
        config: the validated options; or give them by name: ``table=``, ``rules=``, ``out=``, ...

    Raises:
        ConfigError: an option, the table or a rule is wrong; nothing was written.
        LockedError: another run works on the same output.
        IncompleteError: the table could not be read, or a result not be written.
    """
    config = config if config is not None else load(QualityConfig, None, options)
    store, now = ObjectStore.from_environment(os.environ), datetime.now(timezone.utc)
    source, out = normalise_uri(config.table), normalise_uri(config.out)
    rules = read_rule_file(store, config.rules)
    if is_within(out, source) or is_within(source, out):
        raise ConfigError(f"out {out} and table {source} overlap: name another place")
    require_shared(spark, out)
    require_filesystem(spark, out)
    version = _version(store, source, config.version)
    place = Place(store, out, config.run_id or new_run_id(now), now)
    with telling(_watched(config, place, source)) as tell, hold_lock(store, out, place.run_id) as lock:
        frame = read_version(session_of_rules(spark), source, version)
        # Judged once, kept on disk for the three jobs that follow: the counts, the good rows, the others.
        rows = judge(frame, rules).persist(StorageLevel.DISK_ONLY)
        try:
            verdict = without_content(rules, lambda: count(rows, rules, source, version))
            lock.check()
            tables = _split(place, rules, rows, verdict)
        finally:
            rows.unpersist()
        keep(place, [Judged(rules, frame, verdict)], tables)
        tell(_outcome(verdict, place))
    return QualityResult(verdict, place.index)


def _watched(config: QualityConfig, place: Place, source: str) -> Watched:
    thing = {"table": source, "rules": config.rules}
    return Watched("quality", thing, place.run_id, place.out, place.store, config.notify)


def _outcome(verdict: TableVerdict, place: Place) -> Outcome:
    word = "PASSED" if verdict.passed else "FAILED"
    return Outcome(verdict.passed, word, sentence_of(verdict.lines()), (("pages", place.index),))


def _version(store: ObjectStore, source: str, wanted: int | None) -> int:
    newest = newest_version(store, source)
    if wanted is not None and wanted > newest:
        raise ConfigError(f"--version {wanted}: the newest version of {source} is {newest}")
    return newest if wanted is None else wanted


def _split(place: Place, rules: RuleFile, rows: DataFrame, verdict: TableVerdict) -> Mapping[str, Any]:
    """Writes both tables; returns where they are, and at which version."""
    said = {"run_id": place.run_id, "table": verdict.place, "version": verdict.version}
    written = {}
    for name, part, expected in (
        (GOOD, good(rows), verdict.good),
        (QUARANTINED, quarantined(rows), verdict.quarantined),
    ):
        uri = delta.table_uri(place.out, name)
        write_rows(rules, part, uri, said)
        table = attempt(uri, lambda uri=uri: open_table(place.store, uri))  # type: ignore[misc]
        found = pc.sum(pa.table(table.get_add_actions(flatten=True))["num_records"]).as_py() or 0
        if found != expected:
            raise AccountingError(f"{uri} has {found} rows, {expected} were counted: a defect, nothing is reported")
        written[name] = {"place": uri, "version": table.version()}
    return written
