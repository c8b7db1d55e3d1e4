"""The task that publishes: reads an hour from its files of the table and writes it as gzip JSON Lines.

Runs on executors. What an object holds follows from the table alone: the rows in the order of time and id, names in one
order, no time in the gzip header. So the same rows give the same bytes whenever and by whomever they are published.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from isal import isal_zlib

from tallymark.errors import LockedError, TallymarkError
from tallymark.ingest.compact import Dictionary
from tallymark.ingest.layout import folder_of, minutes_of, object_name, superseded_names
from tallymark.ingest.lines import lines_of
from tallymark.io.lock import check_fence
from tallymark.io.objects import ObjectStore
from tallymark.io.table_files import local_copy
from tallymark.io.uris import join

PUBLISHED = pa.schema(
    [
        ("uri", pa.string()),
        ("records", pa.int64()),
        ("size", pa.int64()),
        ("superseded", pa.list_(pa.string())),  # objects of the hour as it was split before
        ("locked", pa.bool_()),  # the error is a lost lock
        ("error", pa.string()),
    ]
)
_ROWS = 16_384
_LEVEL = 1
_GZIP_MEMBER = 31
"""zlib's number for a gzip header and the largest window."""


@dataclass(frozen=True)
class HourPart:
    """One object to publish: an hour, or one of its equal pieces by minutes."""

    place: str
    part: int
    parts: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class Publishing:
    """What a task must know."""

    store: ObjectStore
    out: str
    fence: int
    folder: str  # of the published objects
    layout: str
    dictionary: Dictionary | None  # of the compact form; None: plain


def publish_parts(batches: Iterator[pa.RecordBatch], tasks: Any, publishing: Publishing) -> Iterator[pa.RecordBatch]:
    """Yield one row of PUBLISHED for each object of the tasks whose numbers come in.

    Args:
        tasks: broadcast; pickled lists of `HourPart` by task.
    """
    for batch in batches:
        for task in batch.column(0).to_pylist():
            for part in pickle.loads(tasks.value[task]):  # noqa: S301 - from our own driver
                yield pa.RecordBatch.from_pylist([_publish(part, publishing)], PUBLISHED)


def _publish(part: HourPart, publishing: Publishing) -> dict[str, Any]:
    folder = join(publishing.folder, folder_of(part.place, publishing.layout))
    uri = join(folder, object_name(part.part, part.parts))
    row: dict[str, Any] = {"uri": uri, "records": 0, "size": 0, "superseded": [], "locked": False, "error": None}
    store = publishing.store
    try:
        # In this order: if the lock is ours after we have seen the object, a later holder changes the object first.
        before = store.stat(uri)
        check_fence(store, publishing.out, publishing.fence)
        with tempfile.TemporaryDirectory(prefix="tallymark-") as scratch:
            local = Path(scratch) / "hour.json.gz"
            row["records"] = _write(local, _rows(part, store), publishing.dictionary)
            row["size"] = local.stat().st_size
            store.put_file_if(local, uri, before.state if before else None)
        if part.part == 0:
            old = superseded_names(part.parts)
            row["superseded"] = [obj.uri for obj in store.list_objects(folder) if obj.path in old]
    except TallymarkError as error:
        row |= {"locked": isinstance(error, LockedError), "error": str(error)}
    return row


def _rows(part: HourPart, store: ObjectStore) -> pa.Table:
    with ExitStack() as opened:
        paths = [opened.enter_context(local_copy(store, uri)) for uri in part.files]
        rows = pa.concat_tables(pq.read_table(path, partitioning=None) for path in paths)
    if part.parts > 1:
        first, end = minutes_of(part.part, part.parts)
        minute = pc.minute(rows["event_time"])
        rows = rows.filter(pc.and_(pc.greater_equal(minute, first), pc.less(minute, end)))
    return rows.sort_by([("event_time", "ascending"), ("record_id", "ascending")])


def _write(path: Path, rows: pa.Table, dictionary: Dictionary | None) -> int:
    packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP_MEMBER)
    with open(path, "wb") as file:
        file.writelines(packer.compress(lines_of(batch, dictionary)) for batch in rows.to_batches(max_chunksize=_ROWS))
        file.write(packer.flush())
    return int(rows.num_rows)
