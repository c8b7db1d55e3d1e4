"""The two Spark jobs of a run: decode and merge, and publish. What Spark does here is distribution, nothing else."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from tallymark.errors import IncompleteError, LockedError
from tallymark.ingest.account import Account, add_up
from tallymark.ingest.layout import parts_of
from tallymark.ingest.tables import PARTITION
from tallymark.ingest.travelling import QUARANTINE_PLACE, TRAVELLING, hour_of
from tallymark.io.delta_commit import DataFile
from tallymark.io.lock import check_fence
from tallymark.io.spark_failures import told_by_task
from tallymark.io.stored import StoredObject
from tallymark.io.uris import join
from tallymark.runs.ingest.begun import Run
from tallymark.runs.ingest.decode_items import Decoding, decode
from tallymark.runs.ingest.merge_places import MERGED, Merging, merge_places
from tallymark.runs.ingest.publish_hours import PUBLISHED, HourPart, Publishing, publish_parts
from tallymark.runs.packing import pack

_BYTES_OF_ONE_PART = 4 << 20
_BYTES_A_PART = 32 << 20
"""Bytes of objects, compressed as they may be, whose records are merged by one task."""
_BYTES_A_ROW = 100


@dataclass(frozen=True)
class Merged:
    """What the tasks have counted, and the files that they have written and nobody names yet."""

    account: Account
    files: list[DataFile]
    rejected: list[DataFile]


class Stages:
    """The Spark jobs of one run."""

    def __init__(self, spark: SparkSession, run: Run) -> None:
        self._spark = spark
        self._run = run
        self._cores = spark.sparkContext.defaultParallelism

    def merge(self, objects: Sequence[StoredObject], places: Mapping[str, list[str]]) -> Merged:
        """Decode all items of the objects and write what is new.

        Args:
            places: the files that the tables have, by place.
        """
        run = self._run
        decoding = Decoding(run.store, run.keys, frozenset(run.config.optional), run.config.replay)
        merging = Merging(run.store, run.keys, run.table("logs"), run.table("quarantine"), run.config.replay)
        tasks = pack(list(enumerate(objects)), lambda item: item[1].size, self._cores)
        items = self._map_tasks(tasks, partial(decode, decoding=decoding), TRAVELLING)
        size = sum(obj.size for obj in objects)
        parts = max(self._cores, size // _BYTES_A_PART) if size > _BYTES_OF_ONE_PART else 1
        in_order = items.repartition(parts, "place").sortWithinPartitions(_order(), "position")
        files = self._spark.sparkContext.broadcast(places)
        merge = partial(merge_places, files=files, merging=merging)
        found = _rows(in_order.mapInArrow(merge, from_arrow_schema(MERGED)))
        return Merged(
            add_up(found),
            [_file(row, dict(zip(PARTITION, hour_of(row["place"]), strict=True))) for row in found if _is_log(row)],
            [_file(row, {}) for row in found if row["path"] and not _is_log(row)],
        )

    def publish(self, hours: Mapping[str, Sequence[DataFile]], fence: int) -> int:
        """Publish hours as the table has them; return the number of objects.

        Args:
            hours: place -> its files in `logs`.

        Raises:
            LockedError: the lock was lost meanwhile.
            IncompleteError: an object could not be written; the next run publishes these hours.
        """
        run, config = self._run, self._run.config
        rows = {place: sum(file.rows for file in files) for place, files in hours.items()}
        parts = [
            HourPart(place, part, count, tuple(join(run.table("logs"), file.path) for file in files))
            for place, files in hours.items()
            for count in [parts_of(rows[place], config.records_per_object)]
            for part in range(count)
        ]
        dictionary = run.dictionary if config.publish == "compact" else None
        publishing = Publishing(run.store, run.out, fence, run.published, config.layout, dictionary)
        tasks = pack(parts, lambda part: rows[part.place] * _BYTES_A_ROW // part.parts, self._cores)
        published = _rows(self._map_tasks(tasks, partial(publish_parts, publishing=publishing), PUBLISHED))
        failures = [row for row in published if row["error"]]
        for row in failures[:1]:
            more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
            raise (LockedError if row["locked"] else IncompleteError)(f"{row['error']}{more}")
        # Only now: until all parts are there, a reader may see a record twice, but misses none.
        for uri in [uri for row in published for uri in row["superseded"]]:
            check_fence(run.store, run.out, fence)
            run.store.delete_object(uri)
        return len(published)

    def discard(self, merged: Merged) -> None:
        """Remove files that will not be committed."""
        for table, files in (("logs", merged.files), ("quarantine", merged.rejected)):
            for file in files:
                self._run.store.delete_object(join(self._run.table(table), file.path))

    def _map_tasks(
        self, tasks: Sequence[Sequence[object]], work: Callable[..., Iterable[Any]], schema: pa.Schema
    ) -> DataFrame:
        """Give each task its number; what it has to do lies in a broadcast, so that none unpacks that of others."""
        sent = self._spark.sparkContext.broadcast([pickle.dumps(list(task)) for task in tasks])
        numbers = self._spark.range(0, len(tasks), 1, max(1, len(tasks)))
        return numbers.mapInArrow(partial(work, tasks=sent), from_arrow_schema(schema))


def _order() -> Column:
    """Sort like place and key, but so that the first eight bytes, which Spark compares first, mostly decide."""
    hour = F.unhex(F.concat(*(F.substring("place", at, 2) for at in (6, 9, 12, 20))))  # yy mm dd hh
    start = F.when(F.col("place").startswith("dt="), hour).otherwise(F.encode("place", "utf-8"))
    return F.concat(start, F.encode("key", "utf-8"))


def _rows(frame: DataFrame) -> list[dict[str, Any]]:
    """Return the few rows that the tasks say of themselves."""
    try:
        return [row.asDict() for row in frame.collect()]
    except (PySparkException, Py4JJavaError) as error:
        told = told_by_task(error)
        if told is None:
            raise
        raise IncompleteError(told) from error


def _is_log(row: Mapping[str, Any]) -> bool:
    return bool(row["path"]) and row["place"] != QUARANTINE_PLACE


def _file(row: Mapping[str, Any], partition: Mapping[str, str]) -> DataFile:
    return DataFile(row["path"], partition, row["size"], row["rows"])
