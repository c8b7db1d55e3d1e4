"""Carries a plan to the executors: each task finds its own pairs and never unpacks those of others.

The pairs of all tasks travel as one broadcast of packed bytes, because a list of hundreds of thousands of
objects would otherwise be unpacked in each Python worker.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tallymark.io.objects import ObjectStore
from tallymark.io.stored import StoredObject
from tallymark.reconcile.canonical import CanonicalForm
from tallymark.reconcile.json_path import Path
from tallymark.reconcile.plan import Pair

ObjectPair = Pair[StoredObject]


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


class Broadcast(Protocol):
    """The packed pairs by task: a Spark broadcast."""

    @property
    def value(self) -> list[bytes]: ...


def pack_task(pairs: Sequence[ObjectPair]) -> bytes:
    """Returns the pairs of one task as bytes."""
    return zlib.compress(pickle.dumps(list(pairs), pickle.HIGHEST_PROTOCOL), 1)


def unpack_task(packed: bytes) -> list[ObjectPair]:
    """Returns what `pack_task` packed."""
    pairs: list[ObjectPair] = pickle.loads(zlib.decompress(packed))  # noqa: S301 - from our own driver
    return pairs
