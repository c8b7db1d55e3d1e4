"""Judges written tables by their rules: the split counts, Great Expectations counts again, pages and verdict are kept.

Everything lies below ``OUT/quality/RUN_ID``: `docs/` are the Data Docs, `verdict.json` comes last, so where it is, the
rest is whole. Used by the gate of the jobs and by the job `quality`.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from deltalake.exceptions import TableNotFoundError
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from tallymark.errors import ConfigError, IncompleteError
from tallymark.io.delta_rs import attempt, open_table
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import join, spark_uri
from tallymark.quality.rules import RuleFile
from tallymark.quality.suite import Judged, write_pages
from tallymark.quality.verdict import TableVerdict

T = TypeVar("T")
_ZONE = "spark.sql.session.timeZone"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a run keeps what it found."""

    store: ObjectStore
    out: str
    run_id: str
    run_time: datetime

    @property
    def folder(self) -> str:
        return join(self.out, f"quality/{self.run_id}")

    @property
    def index(self) -> str:
        return join(self.folder, "docs/index.html")


def newest_version(store: ObjectStore, uri: str) -> int:
    """Returns the version of a Delta table that is the newest now.

    Raises:
        ConfigError: there is no table.
        IncompleteError: it could not be opened.
    """
    try:
        return attempt(uri, lambda: open_table(store, uri)).version()
    except TableNotFoundError:
        raise ConfigError(f"there is no Delta table at {uri}: name its folder, in which _delta_log lies") from None


def read_version(spark: SparkSession, uri: str, version: int, where: str | None = None) -> DataFrame:
    """Returns the rows of a Delta table as that version has them, whatever was written since."""
    frame = spark.read.format("delta").option("versionAsOf", version).load(spark_uri(uri))
    return frame.where(where) if where else frame


def session_of_rules(spark: SparkSession) -> SparkSession:
    """Returns a session in which what cannot be cast is null, on Spark 4 as on Spark 3.

    An error would end the run and be quoted in every log. It is a session of its own also because Great Expectations
    leaves a view behind.
    """
    session = spark.newSession()
    session.conf.set("spark.sql.ansi.enabled", "false")
    session.conf.set(_ZONE, str(spark.conf.get(_ZONE)))
    return session


def without_content(rules: RuleFile, work: Callable[[], T]) -> T:
    """Returns what the work returns; an error of Spark's is told by its code: its message may quote a record."""
    try:
        return work()
    except (PySparkException, Py4JJavaError) as error:
        code = error.getErrorClass() if isinstance(error, PySparkException) else None
        raise IncompleteError(
            f"the rules of {rules.place} could not be applied to {rules.table}: Spark stopped with "
            f"{code or type(error).__name__}; check that the table can be read and that each rule fits its values"
        ) from None


def write_rows(rules: RuleFile, rows: DataFrame, folder: str, said: Mapping[str, object]) -> None:
    """Replaces a Delta table by the rows, in one commit that says where they come from.

    Raises:
        IncompleteError: Spark could not compute or write them.
    """
    write = rows.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
    write = write.option("userMetadata", json.dumps({"job": "quality", **said}, sort_keys=True))
    without_content(rules, lambda: write.save(spark_uri(folder)))


def keep(place: Place, judged: Sequence[Judged], more: Mapping[str, object]) -> None:
    """Writes the pages and then the verdict.

    Raises:
        AccountingError: the split and Great Expectations count differently.
        IncompleteError: something could not be judged or written.
    """
    with tempfile.TemporaryDirectory(prefix="tallymark-") as scratch:
        docs = Path(scratch) / "docs"
        write_pages(judged, place.run_id, place.run_time, docs)
        pages = sorted(path for path in docs.rglob("*") if path.is_file())
        uris = {join(place.folder, f"docs/{page.relative_to(docs).as_posix()}"): page for page in pages}
        for uri, page in uris.items():
            place.store.put_file(page, uri)
        for former in list(place.store.list_objects(join(place.folder, "docs"))):
            if former.uri not in uris:  # of an earlier run of this name: its values may be private by now
                place.store.delete_object(former.uri)
        file = Path(scratch) / "verdict.json"
        file.write_text(_json(place, [one.verdict for one in judged], more), encoding="utf-8")
        place.store.put_file(file, join(place.folder, "verdict.json"))
    for one in judged:
        for line in one.verdict.lines():
            _log.info("quality: %s", line)


def _json(place: Place, verdicts: Sequence[TableVerdict], more: Mapping[str, object]) -> str:
    fields = {
        "run_id": place.run_id,
        "run_time": place.run_time.isoformat(timespec="seconds"),
        "passed": all(verdict.passed for verdict in verdicts),
        **more,
        "tables": [verdict.as_dict() for verdict in verdicts],
    }
    return json.dumps(fields, ensure_ascii=False, indent=2) + "\n"
