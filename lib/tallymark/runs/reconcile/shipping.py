"""Carries a plan to the executors: each task finds its own pairs, also for rows, and never unpacks those of others.

The pairs of all tasks travel as one broadcast of packed bytes, because a list of hundreds of thousands of
objects would otherwise be unpacked in each Python worker.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pyarrow as pa

from tallymark.io.objects import ObjectStore
from tallymark.io.stored import StoredObject
from tallymark.reconcile.canonical import CanonicalForm
from tallymark.reconcile.json_path import Path
from tallymark.reconcile.plan import Pair

if TYPE_CHECKING:
    from pyspark import Broadcast as SparkBroadcast
    from pyspark import SparkContext

ObjectPair = Pair[StoredObject]
Row = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What a task must know beside its pairs; holds no secret."""

    store: ObjectStore
    form: CanonicalForm
    format: str
    window: int
    full: bool
    key: tuple[str, ...]
    mask: tuple[Path, ...]
    lonely_as_digests: bool
    digest_parts: int


Value_co = TypeVar("Value_co", covariant=True)


class Broadcast(Protocol[Value_co]):
    """A Spark broadcast, as a task sees it."""

    @property
    def value(self) -> Value_co: ...


PackedTasks = Broadcast[list[bytes]]
"""The packed pairs by task."""


@dataclass(frozen=True)
class Shipped:
    """All pairs of a run, packed; the first ``comparing`` tasks are to be compared, those of the rest are known."""

    tasks: SparkBroadcast[list[bytes]]
    comparing: int
    task_of_pair: list[int]


def ship(
    spark: SparkContext, comparing: Sequence[Sequence[ObjectPair]], known: Sequence[Sequence[ObjectPair]]
) -> Shipped:
    """Sends the pairs of all tasks to the executors."""
    tasks = [*comparing, *known]
    task_of_pair = [0] * sum(map(len, tasks))
    for number, pairs in enumerate(tasks):
        for pair in pairs:
            task_of_pair[pair.number] = number
    return Shipped(spark.broadcast(list(map(pack_task, tasks))), len(comparing), task_of_pair)


def pack_task(pairs: Sequence[ObjectPair]) -> bytes:
    """Returns the pairs of one task as bytes."""
    return zlib.compress(pickle.dumps(list(pairs), pickle.HIGHEST_PROTOCOL), 1)


def unpack_task(packed: bytes) -> list[ObjectPair]:
    """Returns what `pack_task` packed."""
    pairs: list[ObjectPair] = pickle.loads(zlib.decompress(packed))  # noqa: S301 - from our own driver
    return pairs


def by_pair(arriving: Iterable[pa.RecordBatch], tasks: PackedTasks) -> Iterator[tuple[int, ObjectPair, Iterator[Row]]]:
    """Yields each pair with the number of its task and its rows, which are gone once the next pair is asked for.

    Args:
        arriving: rows sorted by the columns task and pair.
    """
    rows = (row for batch in arriving for row in batch.to_pylist())
    for task, of_task in groupby(rows, key=itemgetter("task")):
        pairs = {pair.number: pair for pair in unpack_task(tasks.value[task])}
        for number, of_pair in groupby(of_task, key=itemgetter("pair")):
            yield task, pairs[number], of_pair
