"""The whole way of `maintain`: find the tables, check what is asked, join small files, remove old ones.

Called by `jobs/maintain.py`. It holds the lock of the folder, so no job writes meanwhile; readers are not disturbed.
No row changes: what the files hold is counted before and after. Each step is one commit, so a run that is killed
leaves tables as they were, or done; the next one goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from deltalake import DeltaTable

from tallymark.config.maintain import MaintainConfig
from tallymark.errors import AccountingError, ConfigError
from tallymark.io import delta_upkeep
from tallymark.io.delta import table_uri
from tallymark.io.lock import HeldLock, hold_lock
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import normalise_uri
from tallymark.maintain.result import Maintained
from tallymark.maintain.rules import Filters, check_retention, closed_hours, is_chosen, is_idle
from tallymark.report.catalogue import TABLES
from tallymark.runs.run_id import new_run_id

_log = logging.getLogger(__name__)


def maintain(config: MaintainConfig, environ: Mapping[str, str], now: datetime) -> list[Maintained]:
    """Joins and removes files of the tables that the jobs have left in the folder.

    Raises:
        ConfigError: there is no such table, or one forbids the retention; nothing was done.
        LockedError: a job works on the folder; nothing was done.
        IncompleteError: a table could not be read or written; those before it are done.
    """
    out, store = normalise_uri(config.out), ObjectStore.from_environment(environ)
    tables = _find_tables(store, out)
    tables = {name: table for name, table in tables.items() if not _keeps_its_log(name, table, now)}
    for name, table in tables.items():
        check_retention(name, config.retention_days, table.metadata().configuration)
    if config.dry_run:
        return [_look(name, table, config.retention_days, now) for name, table in tables.items()]
    with hold_lock(store, out, f"maintain {new_run_id(now)}") as lock:
        return [_keep_up(name, table, config.retention_days, now, lock) for name, table in tables.items()]


def _find_tables(store: ObjectStore, out: str) -> dict[str, DeltaTable]:
    names = dict.fromkeys(table.name for table in TABLES)
    found = {name: delta_upkeep.find_table(store, table_uri(out, name)) for name in names}
    tables = {name: table for name, table in found.items() if table is not None}
    if not tables:
        raise ConfigError(f"--out {out} holds no table of a job: name the folder that a job was given as its --out")
    return tables


def _keeps_its_log(name: str, table: DeltaTable, now: datetime) -> bool:
    """Tells whether the table has to be left alone: the accounts of `ingest` are in its log, and that must not go."""
    if not _is_by_hour(table) or not is_idle(name, delta_upkeep.written_at(table), now, table.metadata().configuration):
        return False
    _log.warning("%s is left alone: nobody has written to it for about as long as its log reaches back", name)
    return True


def _is_by_hour(table: DeltaTable) -> bool:
    return bool(table.metadata().partition_columns == ["dt", "hour"])


def _choices(table: DeltaTable, now: datetime) -> list[Filters]:
    """Returns what may be joined: the hour that `ingest` still fills is left alone."""
    return closed_hours(now) if _is_by_hour(table) else [[]]


def _look(name: str, table: DeltaTable, days: int, now: datetime) -> Maintained:
    choices = _choices(table, now)
    small = delta_upkeep.small_files(table)
    saved = sum(count - 1 for partition, count in small.items() if is_chosen(dict(partition), choices))
    files = delta_upkeep.count_files(table)
    removed = delta_upkeep.remove_old_files(table, days, dry_run=True)
    return Maintained(name, files, files - saved, delta_upkeep.count_rows(table), removed)


def _keep_up(name: str, table: DeltaTable, days: int, now: datetime, lock: HeldLock) -> Maintained:
    table.update_incremental()  # nobody commits from here on
    files, rows = delta_upkeep.count_files(table), delta_upkeep.count_rows(table)
    for filters in _choices(table, now):
        lock.check()
        delta_upkeep.join_small_files(table, filters)
    after = delta_upkeep.count_rows(table)
    if after != rows:
        raise AccountingError(
            f"the table {name} had {rows} rows and has {after} after its files were joined: nothing was removed, so "
            f"RESTORE TABLE brings back the version before {table.version()}; please report this"
        )
    lock.check()
    removed = delta_upkeep.remove_old_files(table, days, dry_run=False)
    return Maintained(name, files, delta_upkeep.count_files(table), rows, removed)
