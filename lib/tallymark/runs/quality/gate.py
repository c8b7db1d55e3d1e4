"""The gate: a job lets the rules judge the rows that it has written, before it publishes them.

`open_gate` comes first in a run, so that a wrong rule ends it before anything is read; `Gate.check` comes after the
last commit. Off, it imports and costs nothing. One gate for the four jobs; what publishing means is theirs.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tallymark.errors import ConfigError, RefusedError, TallymarkError
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import join

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

    from tallymark.quality.rules import RuleFile
    from tallymark.quality.suite import Judged
    from tallymark.runs.quality.judging import Place

GATE, REPORT, OFF = "gate", "report", "off"
_log = logging.getLogger(__name__)
FIRST_COMMIT = "_delta_log/00000000000000000000.json"


@dataclass(frozen=True)
class Written:
    """Rows of this run in a Delta table; ``where``: a condition in SQL."""

    uri: str
    where: str


@dataclass(frozen=True)
class Gate:
    """What a run asks of its tables; ``rules``: by table, empty where nothing is asked."""

    mode: str
    store: ObjectStore
    out: str
    rules: Mapping[str, RuleFile]

    @property
    def is_on(self) -> bool:
        return self.mode != OFF

    def require_fit(self, spark: SparkSession, schemas: Mapping[str, StructType | str]) -> None:
        """Holds the rules against the schemas of their tables, which need not be there yet.

        Raises:
            ConfigError: a rule names a column that is missing or of the wrong type, or SQL that Spark does not know.
        """
        if self.rules:
            from tallymark.quality.conditions import require_fit

            for table, rules in self.rules.items():
                require_fit(rules, spark.createDataFrame([], schemas[table]))

    def check(
        self,
        spark: SparkSession,
        run_id: str,
        run_time: datetime,
        tables: Mapping[str, Written],
        *,
        incomplete: bool = False,
    ) -> None:
        """Judges the newest versions of the tables, which nobody but this run has written.

        Args:
            incomplete: the run could not read everything, so it ends with 3 in any case.

        Raises:
            RefusedError: a rule fails, and the mode is gate. The report is kept.
            ConfigError: a rule does not fit its table.
            AccountingError, IncompleteError: the rows could not be judged.
        """
        if not self.is_on:
            return
        from tallymark.runs.quality.judging import Place, keep, session_of_rules

        place, session = Place(self.store, self.out, run_id, run_time), session_of_rules(spark)
        try:
            judged = [self._judge(session, place, table, tables[table]) for table in sorted(self.rules)]
            keep(place, judged, {"mode": self.mode})
        except TallymarkError as error:
            if self.mode == REPORT:  # it must not keep anything from being published
                _log.error("quality: %s", error)
                return
            raise
        failed = [line for one in judged if not one.verdict.passed for line in one.verdict.lines()]
        if failed and self.mode == GATE:
            told = ["the rows that were written fail their rules; nothing is published", *failed, f"see {place.index}"]
            raise RefusedError("\n".join(told), incomplete=incomplete)

    def _judge(self, spark: SparkSession, place: Place, table: str, written: Written) -> Judged:
        from tallymark.quality.split import count, judge, quarantined
        from tallymark.quality.suite import Judged
        from tallymark.runs.quality.judging import newest_version, read_version, without_content, write_rows

        rules = self.rules[table]
        version = newest_version(self.store, written.uri)
        frame = read_version(spark, written.uri, version, written.where)
        rows = judge(frame, rules)
        verdict = without_content(rules, lambda: count(rows, rules, written.uri, version))
        apart = join(place.folder, f"quarantined/{table}")
        if verdict.quarantined or self.store.exists(join(apart, FIRST_COMMIT)):  # of an earlier run of this name
            write_rows(rules, quarantined(rows), apart, {"run_id": place.run_id})
        return Judged(rules, frame, verdict)


def open_gate(mode: str, rules: str | None, store: ObjectStore, out: str, tables: Collection[str]) -> Gate:
    """Returns the gate of a run.

    Args:
        tables: the names of the tables that the job writes, as rule files name them.

    Raises:
        ConfigError: the mode needs rules, or they are wrong.
    """
    if mode == OFF:
        return Gate(mode, store, out, {})
    if rules is None:
        raise ConfigError(f"--quality {mode} needs --rules: a rule file, or a folder of them such as conf/rules")
    from tallymark.runs.quality.rule_files import rules_of_tables

    return Gate(mode, store, out, rules_of_tables(store, rules, tables))
