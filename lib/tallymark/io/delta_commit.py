"""One commit to a Delta table of data files that executors have written: all of them and what the run says of itself,
or nothing.

The commit names the version that the run has read. If another process committed since, it is refused, on S3 too:
delta-rs creates the entry of the log by a conditional PUT. Called by `tallymark.runs.ingest`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

from tallymark.errors import LockedError
from tallymark.io.delta_rs import attempt, make_table, open_table
from tallymark.io.objects import ObjectStore

_ACCOUNT = "userMetadata"
"""The name under which Spark shows it too (DESCRIBE HISTORY)."""


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a table: its path below the table's folder, its values of the partition columns, bytes."""

    path: str
    partition: Mapping[str, str]
    size: int
    rows: int


class Table:
    """A table at the version that this process has read."""

    def __init__(
        self, store: ObjectStore, folder: str, schema: pa.Schema, partition_by: Sequence[str], job: str
    ) -> None:
        """Open the table, made where it is missing; raise IncompleteError where it cannot be used."""
        self.folder = folder
        self._schema = schema
        self._partition_by = list(partition_by)
        self._job = job
        make_table(store, folder, schema, self._partition_by)
        self._table = attempt(folder, lambda: open_table(store, folder))

    @property
    def version(self) -> int:
        return self._table.version()

    def files(self) -> list[DataFile]:
        """Return the files of the table."""
        added = pa.table(self._table.get_add_actions(flatten=True)).to_pylist()
        return [
            DataFile(
                row["path"],
                {name: row[f"partition.{name}"] for name in self._partition_by},
                row["size_bytes"],
                row["num_records"] or 0,
            )
            for row in added
        ]

    def accounts(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield version and account of the commits that this job made, newest first, as far as the log is kept."""
        for entry in attempt(self.folder, self._table.history):
            account = _account(entry.get(_ACCOUNT))
            if account.get("job") == self._job:
                yield entry["version"], account

    def commit(self, files: Sequence[DataFile], account: Mapping[str, Any], *, replace: bool = False) -> None:
        """Add the files, or put them in the place of all others, with the run's account, as the next version.

        Raises:
            LockedError: another process has committed since the table was read; nothing is written.
            IncompleteError: the log could not be written.
        """
        now = int(time.time() * 1000)
        actions = [
            AddAction(file.path, file.size, dict(file.partition), now, True, json.dumps({"numRecords": file.rows}))
            for file in files
        ]
        text = json.dumps({"job": self._job, **account}, sort_keys=True)
        properties = CommitProperties(custom_metadata={_ACCOUNT: text}, max_commit_retries=0)

        def write() -> None:
            try:
                self._table.create_write_transaction(
                    list(actions),
                    "overwrite" if replace else "append",
                    self._schema,
                    partition_by=self._partition_by,
                    commit_properties=properties,
                )
            except CommitFailedError as error:
                raise LockedError(
                    f"another process has written to {self.folder} since this run read it: nothing of this run was "
                    "committed; run it again"
                ) from error
            self._table.update_incremental()

        attempt(self.folder, write)


def _account(text: object) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except ValueError:  # the metadata of another tool
        return {}
    return found if isinstance(found, dict) else {}
