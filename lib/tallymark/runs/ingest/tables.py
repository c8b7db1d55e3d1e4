"""The tables of `ingest` on the driver: what they say of earlier runs, the commit of this one, its row in `runs`.

The account of a run lies in the commit of its data, so neither is ever there without the other. `runs` repeats it once
the hours are published: a commit that no row of `runs` reaches still has to be.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pyarrow as pa

from tallymark.errors import EXIT_DIFFERENT
from tallymark.ingest.account import Account
from tallymark.ingest.tables import COMPLETE, LOGS, PARTITION, QUARANTINE, REFUSED, RUNS
from tallymark.ingest.travelling import QUARANTINE_PLACE, place_of
from tallymark.io import delta, delta_rs
from tallymark.io.delta_commit import DataFile, Table
from tallymark.io.stored import StoredObject
from tallymark.io.uris import join
from tallymark.runs.ingest.begun import Run

_JOB = "ingest"
Window = tuple[str | None, str | None]


class Tables:
    """`logs`, `quarantine` and `runs` as this run has found them."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._logs = Table(run.store, run.table("logs"), LOGS, PARTITION, _JOB)
        self._quarantine = Table(run.store, run.table("quarantine"), QUARANTINE, (), _JOB)
        delta_rs.make_table(run.store, run.table("runs"), RUNS)
        batches = delta.read_rows(run.store, run.table("runs"), {}, columns=["table_version", "watermark"])
        rows = [row for batch in batches for row in batch.to_pylist()]
        published = max((row["table_version"] for row in rows if row["table_version"] is not None), default=-1)
        accounts = list(self._logs.accounts())
        self._unpublished = [entry for entry in reversed(accounts) if entry[0] > published]
        # It never goes back. The rows of `runs` stay when old commits, and the accounts in them, are cleaned away. One
        # that lies ahead was set while the clock went wrong: what comes until then would never be asked for.
        now = run.started.strftime("%Y-%m-%dT%H:%M:%SZ")
        known = (row["watermark"] for row in (*rows, *(said for _, said in accounts)))
        self.watermark: str | None = max((mark for mark in known if mark and mark <= now), default=None)

    def hours(self) -> dict[str, list[DataFile]]:
        """Return the files of each hour."""
        found: dict[str, list[DataFile]] = defaultdict(list)
        for file in self._logs.files():
            found[place_of(file.partition["dt"], file.partition["hour"])].append(file)
        return found

    def places(self) -> dict[str, list[str]]:
        """Return the uris of the files of each hour, and of the quarantine."""
        tables = {**self.hours(), QUARANTINE_PLACE: self._quarantine.files()}
        folders = defaultdict(lambda: self._logs.folder, {QUARANTINE_PLACE: self._quarantine.folder})
        return {place: [join(folders[place], file.path) for file in files] for place, files in tables.items()}

    def quarantined_files(self) -> list[StoredObject]:
        """Return the files of the quarantine, to be taken again."""
        uris = (join(self._quarantine.folder, file.path) for file in self._quarantine.files())
        return [found for found in map(self._run.store.stat, sorted(uris)) if found is not None]

    def commit(
        self,
        files: list[DataFile],
        rejected: list[DataFile],
        account: Account,
        window: Window,
        watermark: str | None,
    ) -> None:
        """Commit the files of this run, and its account with those of `logs`.

        A replay takes records out of the quarantine, so these must be in `logs` before; any other run puts records in.
        Between the two commits a record is in both, never in none.
        """
        said = self._said(account, window, watermark)
        replay = self._run.config.replay
        if rejected and not replay:
            self._quarantine.commit(rejected, said)
        self._logs.commit(files, said)
        if replay:
            self._quarantine.commit(rejected, said, replace=True)
        self._unpublished.append((self._logs.version, said))

    def unpublished(self) -> dict[str, list[DataFile]]:
        """Return the files of the hours whose rows were committed and not published, by this run or a killed one."""
        accounts = (said["hours"] for _, said in self._unpublished)
        places = sorted({place for hours in accounts for place, counts in hours.items() if counts["written"]})
        files = self.hours() if places else {}
        return {place: files[place] for place in places}

    def finish(self, status: str, exit_code: int, published_objects: int, seconds: float) -> None:
        """Add the row of this run to `runs`, and those of killed runs, whose hours are published now too."""
        *killed, (version, said) = self._unpublished
        rows = [_row(earlier, COMPLETE, table_version=reached) for reached, earlier in killed]
        more = {"published_objects": published_objects, "seconds": seconds, "exit_code": exit_code}
        self._append([*rows, _row(said, status, table_version=version, **more)])

    def refuse(self, account: Account, window: Window, seconds: float) -> None:
        """Add the row of a run over its budget to `runs`."""
        said = self._said(account, window, self.watermark)
        self._append([_row(said, REFUSED, seconds=seconds, exit_code=EXIT_DIFFERENT)])

    def _said(self, account: Account, window: Window, watermark: str | None) -> dict[str, Any]:
        run = self._run
        named = {"run_id": run.run_id, "run_time": run.run_time, "source": run.source}
        since, until = window
        return {**named, "since": since, "until": until, "watermark": watermark, **account.as_dict()}

    def _append(self, rows: list[dict[str, Any]]) -> None:
        delta.append_rows(self._run.store, self._run.table("runs"), pa.Table.from_pylist(rows, RUNS), partition_by=())


def _row(said: dict[str, Any], status: str, **more: Any) -> dict[str, Any]:
    """Return what a run said of itself as a row of `runs`; what is nested becomes JSON."""
    flat = {
        name: json.dumps(value, sort_keys=True) if isinstance(value, dict | list | tuple) else value
        for name, value in said.items()
    }
    return {**flat, "status": status, **more}
