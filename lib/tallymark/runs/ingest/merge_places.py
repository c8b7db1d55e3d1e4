"""The task that merges: gets all rows of a place in order, keeps what is new, writes it as a file of the table.

Runs on executors. Nothing is visible before the run commits the files that the tasks name.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import pyarrow as pa

from tallymark.ingest.compact import expand_text, plain
from tallymark.ingest.merge import Merge, Settled
from tallymark.ingest.tables import LOGS, PARTITION, QUARANTINE, REASONS
from tallymark.ingest.tokens import Keys, digest
from tallymark.ingest.travelling import CONTENT, COUNTED, QUARANTINE_PLACE, TRAVELLING, by_place
from tallymark.io.objects import ObjectStore
from tallymark.io.table_files import local_copy, write_file
from tallymark.runs.ingest.sorted_rows import SortedRows

MERGED = pa.schema(
    [
        ("place", pa.string()),
        ("path", pa.string()),  # of the new file below the folder of the table; null if nothing is new
        ("size", pa.int64()),
        ("rows", pa.int64()),
        ("came", pa.int64()),
        ("duplicates", pa.int64()),
        ("conflicts", pa.int64()),
        ("note", pa.string()),  # of COUNTED: the counts of a decoding task; of the quarantine: reasons, as JSON
    ]
)
_LOG_FILE = pa.schema([column for column in LOGS if column.name not in PARTITION])
_KNOWN_LOGS = pa.schema([LOGS.field(name) for name in ("record_id", *CONTENT)])
_KNOWN_REJECTED = pa.schema([QUARANTINE.field("digest")])
_REJECTED = pa.schema([TRAVELLING.field(name) for name in ("key", "ciphertext", "sealed", "reason", "source")])


@dataclass(frozen=True)
class Merging:
    """What a task must know."""

    store: ObjectStore
    keys: Keys
    logs: str  # folders of the tables
    quarantine: str
    anew: bool  # the quarantine is written anew, whatever it has


Files = Mapping[str, list[str]]
"""Place -> uris of its files."""


def merge_places(batches: Iterator[pa.RecordBatch], files: Any, merging: Merging) -> Iterator[pa.RecordBatch]:
    """Yield one row of MERGED for each place and each decoding task, of batches of TRAVELLING sorted by place.

    Args:
        files: broadcast of `Files`.
    """
    for place, rows in by_place(batches):
        if place == COUNTED:
            for batch in rows:
                for note in batch.column("note").to_pylist():
                    yield _merged(place, Settled(), None, note)
        elif place == QUARANTINE_PLACE:
            yield _merge_rejected(rows, files.value, merging)
        else:
            yield from _merge_hour(place, rows, files.value, merging)


def _merge_hour(place: str, rows: Iterable[pa.RecordBatch], files: Files, merging: Merging) -> Iterator[pa.RecordBatch]:
    conflicts: list[dict[str, Any]] = []
    with ExitStack() as opened:
        known = _sorted_rows(opened, merging.store, files.get(place, ()), _KNOWN_LOGS)
        hour = Merge(lambda low, high: as_known(known.between(low, high)), CONTENT, conflicts.append)
        written = write_file(merging.store, merging.logs, f"{place}/", map(as_stored, hour.new_rows(rows)), _LOG_FILE)
    yield _merged(place, hour.settled, written)
    if conflicts:
        sealed = sorted((_conflict(row, place, merging.keys) for row in conflicts), key=itemgetter("key"))
        yield _merge_rejected([pa.RecordBatch.from_pylist(sealed, _REJECTED)], files, merging)


def _merge_rejected(rows: Iterable[pa.RecordBatch], files: Files, merging: Merging) -> pa.RecordBatch:
    reasons: Counter[str] = Counter()

    def counted() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            reasons.update(batch.column("reason").to_pylist())
            yield batch

    with ExitStack() as opened:
        paths = () if merging.anew else files.get(QUARANTINE_PLACE, ())
        known = _sorted_rows(opened, merging.store, paths, _KNOWN_REJECTED)
        merge = Merge(lambda low, high: as_known(known.between(low, high)), (), conflict=lambda _: None)
        new = map(_as_quarantined, merge.new_rows(counted()))
        written = write_file(merging.store, merging.quarantine, "", new, QUARANTINE)
    return _merged(QUARANTINE_PLACE, merge.settled, written, json.dumps(reasons))


def _sorted_rows(opened: ExitStack, store: ObjectStore, uris: Iterable[str], schema: pa.Schema) -> SortedRows:
    return SortedRows([opened.enter_context(local_copy(store, uri)) for uri in uris], schema)


def as_known(rows: pa.Table) -> pa.Table:
    """Return rows of a table as `merge` compares them: the key under its name, `extra` as JSON text."""
    names = ["key", *rows.column_names[1:]]
    rows = rows.rename_columns(names)
    if "extra" not in names:
        return rows
    texts = pa.array(
        [None if items is None else json.dumps(dict(items), ensure_ascii=False) for items in rows["extra"].to_pylist()],
        pa.string(),
    )
    return rows.set_column(names.index("extra"), "extra", texts)


def as_stored(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows of TRAVELLING as a file of `logs` has them."""
    extra = batch.column("extra")
    if extra.null_count == len(extra):
        extra = pa.nulls(len(extra), LOGS.field("extra").type)
    else:
        texts = (None if text is None else list(json.loads(text).items()) for text in extra.to_pylist())
        extra = pa.array(list(texts), LOGS.field("extra").type)
    columns = {name: batch.column(name) for name in ("user_id", "method", "url", "inDate", "not_text")}
    columns |= {
        "record_id": batch.column("key"),
        "event_time": batch.column("event_time").cast(LOGS.field("event_time").type),
        "extra": extra,
    }
    return pa.record_batch([columns[name] for name in _LOG_FILE.names], schema=_LOG_FILE)


def _as_quarantined(batch: pa.RecordBatch) -> pa.RecordBatch:
    reasons = batch.column("reason")
    stages = pa.array([REASONS[reason] for reason in reasons.to_pylist()], pa.string())
    columns = [batch.column(name) for name in ("key", "ciphertext", "sealed")]
    return pa.record_batch([*columns, stages, reasons, batch.column("source")], schema=QUARANTINE)


def _conflict(row: Mapping[str, Any], place: str, keys: Keys) -> dict[str, Any]:
    """Return a record that contradicts another as a rejected item: a token of it, so that it can be taken again."""
    record = plain({**row, "record_id": row["key"], "extra": json.loads(row["extra"]) if row["extra"] else None})
    original = expand_text(record, None).encode()
    return {
        "key": digest(original),
        "ciphertext": keys.seal(original),
        "sealed": False,
        "reason": "conflict",
        "source": place,
    }


def _merged(
    place: str, settled: Settled, written: tuple[str, int, int] | None, note: str | None = None
) -> pa.RecordBatch:
    path, size, rows = written or (None, 0, 0)
    row = {
        "place": place,
        "path": path,
        "size": size,
        "rows": rows,
        "came": settled.rows,
        "duplicates": settled.duplicates,
        "conflicts": settled.conflicts,
        "note": note,
    }
    return pa.RecordBatch.from_pylist([row], MERGED)
