"""The task of a load, on the executors: units of its files go into their tables, each in one transaction, exactly once.

A repeated task, a second attempt beside it and a later run with the same name all find the ledger's rows and load
nothing twice. A file that cannot be read is noted as failed, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import pyarrow as pa

from tallymark.bulkload.matrix import Cell
from tallymark.bulkload.result import Counts
from tallymark.bulkload.rows import Rejected
from tallymark.bulkload.tables import BATCHES
from tallymark.bulkload.units import Unit, units
from tallymark.errors import AccountingError, ObjectError, TallymarkError
from tallymark.io.gzip_stream import decompress
from tallymark.io.objects import ObjectStore
from tallymark.io.postgres import Server, explained, is_transient
from tallymark.records.formats import open_records
from tallymark.retry import Attempts, call
from tallymark.runs.bulkload import ledger
from tallymark.runs.bulkload.isolating import land
from tallymark.runs.bulkload.sending import Sent, commit_timed
from tallymark.runs.bulkload.sessions import RETRY, Session, in_parallel, open_sessions
from tallymark.runs.bulkload.targets import Reading, Source


@dataclass(frozen=True)
class Load:
    """What a task must know beside its files; holds no secret."""

    run_id: str
    server: Server
    reading: Reading
    cell: Cell
    application_name: str


@dataclass(frozen=True)
class Share:
    """The files of one task, and how many connections it has."""

    sources: Sequence[Source]
    connections: int


Batches = Iterable[pa.RecordBatch]


def load_units(load: Load, shares: Sequence[Share]) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    """Returns the function for `mapInArrow` over task numbers (column ``id``); it yields `tables.BATCHES`."""

    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column("id").to_pylist():
                yield from _load_share(load, shares[number])

    return run


def _load_share(load: Load, share: Share) -> Iterator[pa.RecordBatch]:
    number = cumulative = 0
    with open_sessions(load.server, load.application_name, share.connections) as sessions:
        notes = Session(load.server, load.application_name)
        try:
            work = in_parallel(_units(load, share.sources, notes), _Loader(load), sessions, share.connections)
            for rows in work:
                for row in rows:
                    number, cumulative = number + 1, cumulative + row["records_count"]
                    row |= {"batch_number": number, "cumulative_records": cumulative}
                if rows:
                    yield pa.RecordBatch.from_pylist(rows, BATCHES)
        finally:
            notes.close()


def _units(load: Load, sources: Sequence[Source], notes: Session) -> Iterator[tuple[Source, Unit]]:
    """Yields the units of all files; a file that breaks is noted, with what was read before the broken place loaded."""
    for source in sources:
        error = None
        _note(load, notes, source, "LOADING")
        try:
            for unit in read_units(load.reading.store, source):
                yield source, unit
        except ObjectError as broken:
            error = str(broken)
        _note(load, notes, source, "FAILED" if error else "LOADED", error)


def _note(load: Load, session: Session, source: Source, status: str, error: str | None = None) -> None:
    def note() -> None:
        ledger.note_file(session.connection(), load.run_id, source, status, error)

    call(note, RETRY, is_transient)


def read_units(store: ObjectStore, source: Source) -> Iterator[Unit]:
    """Yields the units of a file of JSON, plain or gzip.

    Raises:
        ObjectError: it cannot be read, or is no JSON from some place on.
    """
    text = decompress(store.read_chunks(source.file), source.file.uri)
    records = open_records(text, source.path, source.file.path)
    if records.format == "csv":
        raise ObjectError(source.path, "NOT_JSON", "it is neither JSON Lines nor a JSON array; exclude it")
    yield from units(records.blocks)


class _Loader:
    """Loads one unit with one session."""

    def __init__(self, load: Load) -> None:
        self._load = load

    def __call__(self, session: Session, item: tuple[Source, Unit]) -> list[dict[str, Any]]:
        source, unit = item
        try:
            return self._load_unit(session, source, unit)
        except TallymarkError as error:  # the others go on, and the file counts as failed
            _note(self._load, session, source, "FAILED", str(error))
            return []

    def _load_unit(self, session: Session, source: Source, unit: Unit) -> list[dict[str, Any]]:
        sent: list[Sent] = []
        retries = 0
        attempts = Attempts(RETRY, is_transient)
        while True:
            try:
                fresh = self._attempt(session, source, unit, sent)
            except psycopg.Error as error:
                retries += 1
                try:
                    attempts.failed(error)
                except psycopg.Error:
                    raise explained(error, f"loading {source.path} into {source.target.table}") from None
            else:
                # Where it was loaded already, but by us, only the reply to the COMMIT was lost.
                is_ours = fresh or retries > 0
                return [self._row(source, unit, one) | {"retries": retries} for one in sent] if is_ours else []

    def _attempt(self, session: Session, source: Source, unit: Unit, sent: list[Sent]) -> bool:
        load, connection = self._load, session.connection()
        with commit_timed(connection, sent):
            if not ledger.claim(connection, load.run_id, source, unit):
                return False
            rows = load.reading.reader(source.target).read_all(unit.records)
            landed = land(connection, source.target, rows.batch, load.cell.method, load.cell.batch_size)
            refused = [
                Rejected(rows.ordinals[place], reason, rows.records[place]) for place, reason in landed.refused.items()
            ]
            rejected = [*rows.rejected, *refused]
            counts = Counts(len(unit.records), landed.loaded, landed.skipped, len(rejected))
            if not counts.add_up:
                raise AccountingError(f"{source.path} at {unit.start}: {counts} does not add up")
            ledger.reject(connection, load.run_id, source, unit.start, rejected)
            ledger.settle(connection, load.run_id, source, unit, counts)
            sent[:] = landed.sent
        return True

    def _row(self, source: Source, unit: Unit, sent: Sent) -> dict[str, Any]:
        cell = self._load.cell
        return {
            "run_id": self._load.run_id,
            "method": cell.method,
            "batch_size": cell.batch_size,
            "num_connections": cell.connections,
            "repeat": 1,
            "table_name": source.target.label,
            "file_path": source.path,
            "unit_start": unit.start,
        } | sent.row()
