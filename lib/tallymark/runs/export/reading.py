"""The reading side of one export: the snapshot, the plan made in it, the connections, and what makes parts of them.

Called by `tallymark.runs.export.run`, again where a snapshot got lost.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from tallymark import retry
from tallymark.config.export_options import ExportOptions
from tallymark.errors import ConfigError
from tallymark.export.checkpoint import SNAPSHOT
from tallymark.export.keys import Position
from tallymark.export.spans import Span, free_name
from tallymark.io.folder import Folder
from tallymark.io.postgres import Server, explained, is_transient, table_name
from tallymark.io.snapshot_keeper import Keeper, Snapshot
from tallymark.retry import RetryPolicy
from tallymark.runs.export.memory import resident_bytes
from tallymark.runs.export.parts import Form, Parts, raw_form
from tallymark.runs.export.plan import Plan, make_plan
from tallymark.runs.export.sessions import Counts, Sessions, over_the_whole_table

_SAMPLE_ROWS = 20


@dataclass(frozen=True)
class Reading:
    """What reads the table. ``fallbacks`` names the columns that Arrow holds as text, and why."""

    plan: Plan
    sessions: Sessions
    parts: Parts
    keeper: Keeper | None
    server: str
    server_version: str
    tls: bool
    bytes_per_row: float
    fallbacks: dict[str, str]

    @property
    def estimated_rows(self) -> int | None:
        """Rows of the table, if anybody counted and no condition leaves some out."""
        return None if self.plan.cutter.selection.where else self.plan.table.estimated_rows

    def next_upper(self, lower: Position | None, rows: int) -> Position | None:
        """Finds where the chunk after ``lower`` ends."""

        def ask(statement: sql.Composed, number: int) -> Position | None:
            def nth(connection: psycopg.Connection[Any]) -> Position | None:
                # A cursor skips rows without sending them, in the order of the index.
                connection.execute(sql.SQL("DECLARE ends NO SCROLL CURSOR FOR {}").format(statement))
                connection.execute(sql.SQL("MOVE FORWARD {} IN ends").format(sql.Literal(number - 1)))
                found = connection.execute("FETCH NEXT FROM ends").pgresult
                connection.execute("CLOSE ends")
                # As PostgreSQL wrote it: Python's own types would round it.
                if found is None or not found.ntuples:
                    return None
                values = (found.get_value(0, place) for place in range(found.nfields))
                return tuple(None if value is None else value.decode() for value in values)

            return self.sessions.run(nth, "finding the end of a chunk")[0]

        return self.plan.cutter.next_upper(lower, rows, ask)

    def count(self) -> int:
        """Counts the rows that the snapshot holds."""
        selection, table = self.plan.cutter.selection, self.plan.table

        def counted(connection: psycopg.Connection[Any]) -> int:
            statement = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(table.identifier, selection.filtered([]))
            row = over_the_whole_table(connection, statement)
            return int(row[0])

        return self.sessions.run(counted, f"counting the rows of {table}")[0]

    def oldest_xmin_age(self) -> int | None:
        """Returns how many transactions ago the oldest row version is that this run keeps from being cleaned up."""
        if self.keeper is None:
            return None

        def age(connection: psycopg.Connection[Any]) -> int | None:
            row = connection.execute(
                "SELECT pg_catalog.age(backend_xmin) FROM pg_catalog.pg_stat_activity WHERE pid = pg_backend_pid()"
            ).fetchone()
            return None if row is None else row[0]

        return self.sessions.run(age, "asking for the age of the snapshot")[0]

    def close(self) -> None:
        """Closes the connections; the keeper is its owner's."""
        self.sessions.close()


def open_reading(
    options: ExportOptions,
    server: Server,
    folder: Folder,
    policy: RetryPolicy,
    adopt: Snapshot | None,
    counts: Counts,
    run_id: str,
) -> Reading:
    """Takes a snapshot, or adopts one, and plans the export in it.

    Raises:
        SnapshotLostError: the snapshot to adopt is gone.
        ConfigError: the table cannot be exported like this.
    """
    name = f"tallymark export {options.table}"[:63]

    def sessions(snapshot: str | None) -> Sessions:
        return Sessions(
            server,
            name,
            snapshot=snapshot,
            statement_timeout=options.statement_timeout if options.chunk_mode else 0,
            refresh_every=options.refresh_every,
            policy=policy,
            counts=counts,
        )

    within = sessions(None)
    keeper = Keeper() if options.consistency == SNAPSHOT else None
    try:
        if keeper is not None:
            held = _hold(keeper, within, options, server, policy, adopt)
            within.close()
            within = sessions(held.name)
        return within.run(
            lambda connection: _reading(connection, options, within, keeper, folder, server, run_id),
            f"looking at {options.table} on {server}",
        )[0]
    except BaseException as error:
        within.close()
        if keeper is not None:
            keeper.dismiss()
        if isinstance(error, psycopg.Error):
            raise explained(error, f"taking a snapshot on {server}") from None
        raise


def _hold(
    keeper: Keeper,
    sessions: Sessions,
    options: ExportOptions,
    server: Server,
    policy: RetryPolicy,
    adopt: Snapshot | None,
) -> Snapshot:
    lock = sessions.run(lambda connection: _lockable(connection, options), f"connecting to {server}")[0]
    name = f"tallymark export {options.table}"[:54] + " (keeper)"
    return retry.call(lambda: keeper.hold(server, name, lock, adopt, options.snapshot_linger), policy, is_transient)


def _reading(
    connection: psycopg.Connection[Any],
    options: ExportOptions,
    sessions: Sessions,
    keeper: Keeper | None,
    folder: Folder,
    server: Server,
    run_id: str,
) -> Reading:
    plan = make_plan(connection, options)
    form, fallbacks = _form(connection, options, plan, run_id, folder)
    plan.fingerprint["kept as text"] = sorted(fallbacks)
    parts = Parts(
        sessions,
        plan.cutter,
        form,
        folder,
        workers=options.workers,
        timeout=options.statement_timeout,
        wall_clock=time.time,
        memory=resident_bytes,
    )
    version = connection.execute("SHOW server_version").fetchone()
    return Reading(
        plan=plan,
        sessions=sessions,
        parts=parts,
        keeper=keeper,
        server=str(server),
        server_version=version[0] if version else "",
        tls=connection.pgconn.ssl_in_use,
        bytes_per_row=_bytes_per_row(connection, plan),
        fallbacks=fallbacks,
    )


def _form(
    connection: psycopg.Connection[Any], options: ExportOptions, plan: Plan, run_id: str, folder: Folder
) -> tuple[Form, dict[str, str]]:
    if options.format in {"csv", "jsonl"}:
        return raw_form(connection, plan.cutter, plan.table.identifier, options.format, options.merge), {}
    # Arrow costs 60 MB, which a text export need not pay.
    from tallymark.runs.export.arrow_parts import arrow_form

    return arrow_form(connection, options, plan, run_id, folder)


def _bytes_per_row(connection: psycopg.Connection[Any], plan: Plan) -> float:
    """Measures some rows as they will be written; what the catalogue says is their size after compression."""
    query = plan.cutter.query(Span(0, 0, None, None))
    alias = free_name(plan.cutter.selection.columns)
    statement = sql.SQL(
        "SELECT pg_catalog.avg(pg_catalog.octet_length({alias}::text)) "
        "FROM (SELECT * FROM ({query}) q LIMIT {rows}) {alias}"
    ).format(alias=alias, query=query, rows=sql.Literal(_SAMPLE_ROWS))
    row = connection.execute(statement).fetchone()
    return float(row[0]) if row and row[0] is not None else 1.0


def _lockable(connection: psycopg.Connection[Any], options: ExportOptions) -> str | None:
    """Returns the table as SQL, if it is one that can be read."""
    name = table_name(options.table)
    found = connection.execute(
        "SELECT c.relkind::text FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass(%s)", (str(name),)
    ).fetchone()
    if found is None:
        raise ConfigError(f"there is no table {name} in this database: check the name, its quotes and the schema")
    return name.identifier.as_string(connection) if found[0] in "rpmvf" else None
