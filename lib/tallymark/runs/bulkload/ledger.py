"""The ledger of loads, in the database that is loaded: what of which run is in, and which records were rejected.

The row of a unit is inserted first, in the transaction that also carries its rows: of two attempts at one unit the
second waits for the first and then finds the row. Files and their errors stand beside it, for people and the dashboard.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.rows import class_row

from tallymark.bulkload.result import Counts
from tallymark.bulkload.rows import Rejected
from tallymark.bulkload.units import Unit
from tallymark.errors import ObjectError
from tallymark.io.postgres import TableName
from tallymark.io.postgres_tables import exists, make_schema
from tallymark.runs.bulkload.sending import Connection
from tallymark.runs.bulkload.targets import Source

SCHEMA = "tallymark"
UNITS = TableName(SCHEMA, "bulkload_units")
FILES = TableName(SCHEMA, "bulkload_files")
REJECTED = TableName(SCHEMA, "bulkload_rejected")

_TABLES = (
    """CREATE TABLE IF NOT EXISTS tallymark.bulkload_units (
        run_id text, file_path text, unit_start bigint, unit_end bigint NOT NULL, is_last boolean NOT NULL,
        sha256 bytea NOT NULL, table_name text NOT NULL, records bigint NOT NULL DEFAULT 0,
        loaded bigint NOT NULL DEFAULT 0, skipped bigint NOT NULL DEFAULT 0, rejected bigint NOT NULL DEFAULT 0,
        loaded_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (run_id, file_path, unit_start))""",
    """CREATE TABLE IF NOT EXISTS tallymark.bulkload_files (
        run_id text, file_path text, table_name text NOT NULL, bytes bigint NOT NULL, status text NOT NULL, error text,
        PRIMARY KEY (run_id, file_path))""",
    """CREATE TABLE IF NOT EXISTS tallymark.bulkload_rejected (
        run_id text, file_path text, unit_start bigint, ordinal bigint, table_name text NOT NULL, reason text NOT NULL,
        record bytea NOT NULL, PRIMARY KEY (run_id, file_path, unit_start, ordinal))""",
)


@dataclass(frozen=True)
class Loaded:
    """What the ledger says of a run."""

    records: Counts
    files_done: int
    files_failed: list[tuple[str, str]]
    current_file: str | None
    units: int


def make_ledger(connection: Connection) -> None:
    """Makes the tables of the ledger where they are missing."""
    if all(exists(connection, table) for table in (UNITS, FILES, REJECTED)):
        return
    make_schema(connection, SCHEMA)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('tallymark.ledger'))")
        for table in _TABLES:
            connection.execute(sql.SQL(table))


def claim(connection: Connection, run_id: str, source: Source, unit: Unit) -> bool:
    """Takes the unit for this transaction; False if it is loaded already. Waits for another attempt at it.

    Raises:
        ObjectError: CHANGED_SINCE_LOADED: the run has loaded other text at this place of the file.
    """
    table = str(source.target.table)
    taken = connection.execute(
        "INSERT INTO tallymark.bulkload_units (run_id, file_path, unit_start, unit_end, is_last, sha256, table_name) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [run_id, source.path, unit.start, unit.end, unit.is_last, unit.sha256, table],
    ).rowcount
    if taken:
        return True
    known = connection.execute(
        "SELECT unit_end, sha256, table_name FROM tallymark.bulkload_units "
        "WHERE run_id = %s AND file_path = %s AND unit_start = %s",
        [run_id, source.path, unit.start],
    ).fetchone()
    if known != (unit.end, unit.sha256, table):
        raise ObjectError(
            source.path, "CHANGED_SINCE_LOADED", f"run {run_id} has loaded other records from it; name another --run-id"
        )
    return False


def settle(connection: Connection, run_id: str, source: Source, unit: Unit, counts: Counts) -> None:
    """Writes what became of the unit's records, in its transaction."""
    connection.execute(
        "UPDATE tallymark.bulkload_units SET records = %s, loaded = %s, skipped = %s, rejected = %s, "
        "loaded_at = clock_timestamp() WHERE run_id = %s AND file_path = %s AND unit_start = %s",
        [counts.read, counts.loaded, counts.skipped, counts.rejected, run_id, source.path, unit.start],
    )


def reject(connection: Connection, run_id: str, source: Source, start: int, rejected: Sequence[Rejected]) -> None:
    """Keeps rejected records with their reasons, in the transaction of their unit."""
    if not rejected:
        return
    statement = (
        "COPY tallymark.bulkload_rejected (run_id, file_path, unit_start, ordinal, table_name, reason, record) "
        "FROM STDIN (FORMAT binary)"
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["text", "text", "int8", "int8", "text", "text", "bytea"])
        for one in rejected:
            row = (run_id, source.path, start, one.ordinal, str(source.target.table), one.reason, one.record)
            copy.write_row(row)


def note_file(connection: Connection, run_id: str, source: Source, status: str, error: str | None = None) -> None:
    """Writes how a file stands: LOADING, LOADED or FAILED."""
    connection.execute(
        "INSERT INTO tallymark.bulkload_files VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (run_id, file_path) "
        "DO UPDATE SET bytes = excluded.bytes, status = excluded.status, error = excluded.error "
        # A unit may fail while the reader is already at the end of its file.
        "WHERE NOT (excluded.status = 'LOADED' AND bulkload_files.status = 'FAILED')",
        [run_id, source.path, str(source.target.table), source.file.size, status, error],
    )


def loaded(connection: Connection, run_id: str) -> Loaded:
    """Adds up what the ledger has of a run."""
    with connection.cursor(row_factory=class_row(Counts)) as cursor:
        records = cursor.execute(
            "SELECT coalesce(sum(records), 0)::bigint AS read, coalesce(sum(loaded), 0)::bigint AS loaded, "
            "coalesce(sum(skipped), 0)::bigint AS skipped, coalesce(sum(rejected), 0)::bigint AS rejected "
            "FROM tallymark.bulkload_units WHERE run_id = %s",
            [run_id],
        ).fetchone()
    files: list[tuple[str, str, str | None]] = connection.execute(
        "SELECT file_path, status, error FROM tallymark.bulkload_files WHERE run_id = %s ORDER BY file_path", [run_id]
    ).fetchall()
    latest = connection.execute(
        "SELECT file_path, count(*) OVER () FROM tallymark.bulkload_units WHERE run_id = %s "
        "ORDER BY loaded_at DESC LIMIT 1",
        [run_id],
    ).fetchone()
    return Loaded(
        records=records or Counts(),
        files_done=sum(status == "LOADED" for _, status, _ in files),
        files_failed=[(path, error or "") for path, status, error in files if status == "FAILED"],
        current_file=latest[0] if latest else None,
        units=latest[1] if latest else 0,
    )


def incomplete_files(connection: Connection, run_id: str, paths: Iterable[str]) -> list[str]:
    """Returns the files of which the ledger has not every unit from the first byte to the last, without a gap."""
    whole = {
        path
        for (path,) in connection.execute(
            "SELECT file_path FROM tallymark.bulkload_units WHERE run_id = %s GROUP BY file_path "
            "HAVING bool_or(is_last) AND sum(unit_end - unit_start) = max(unit_end)",
            [run_id],
        )
    }
    return sorted(set(paths) - whole)


def reasons(connection: Connection, run_id: str) -> dict[str, int]:
    """Counts the rejected records of a run by reason."""
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT reason, count(*) FROM tallymark.bulkload_rejected WHERE run_id = %s GROUP BY reason ORDER BY 2 DESC, 1",
        [run_id],
    ).fetchall()
    return {str(reason): int(count) for reason, count in rows}
