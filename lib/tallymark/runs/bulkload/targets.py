"""The tables of a run and the files that go into each, as values that travel to the executors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timezone
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from tallymark.bulkload.columns import Column, column_type
from tallymark.bulkload.rows import RowReader
from tallymark.config.bulkload import BulkloadConfig, TableOptions
from tallymark.errors import ConfigError
from tallymark.io.objects import ObjectStore
from tallymark.io.postgres import TableName, table_name
from tallymark.io.postgres_tables import check_columns, make_empty_copy, make_schema, make_table
from tallymark.io.stored import StoredObject, shown

BENCH_SCHEMA = "tallymark_bench"


@dataclass(frozen=True)
class Target:
    """A table, what fills it, and the part of its columns that is its key; ``label`` is its name for people."""

    label: str
    table: TableName
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]


@dataclass(frozen=True)
class Source:
    """A file and the table that it goes into."""

    target: Target
    file: StoredObject

    @property
    def path(self) -> str:
        return shown(self.file.path)


@dataclass(frozen=True)
class Reading:
    """How an executor reads records."""

    store: ObjectStore
    nul: str
    time_zone: str

    def reader(self, target: Target) -> RowReader:
        return RowReader(
            target.columns, self.nul, timezone.utc if self.time_zone == "UTC" else ZoneInfo(self.time_zone)
        )


def targets_of(config: BulkloadConfig) -> list[Target]:
    """Returns the tables of the config; one table may be named by several patterns.

    Raises:
        ConfigError: a type is unknown, or there is no table.
    """
    if not config.tables:
        raise ConfigError("--tables is missing: say in the file of --conf which files go into which table")
    return list(dict.fromkeys(map(_target, config.tables)))


def _target(options: TableOptions) -> Target:
    try:
        columns = tuple(
            Column(
                each.name, each.field or each.name, column_type(each.type), each.required or each.name in options.key,
                each.empty_is_null,
            )
            for each in options.columns
        )  # fmt: skip
    except ValueError as error:
        raise ConfigError(f"tables: {options.table}: {error}") from None
    return Target(options.table, table_name(options.table), columns, options.key)


def list_sources(config: BulkloadConfig, store: ObjectStore) -> tuple[list[Source], list[str]]:
    """Returns the files with their tables, and the paths of those that no pattern meets.

    Raises:
        ConfigError: there is no file.
    """
    sources, unmatched = [], []
    for file in store.list_objects(config.input):
        if config.excludes(file.path):
            continue
        options = config.table_of(file.path)
        if options is None:
            unmatched.append(shown(file.path))
        else:
            sources.append(Source(_target(options), file))
    if not sources:
        raise ConfigError(f"no file under {config.input} meets a pattern of tables: check --input and the patterns")
    return sources, unmatched


def prepare(connection: psycopg.Connection[Any], targets: Iterable[Target]) -> None:
    """Makes missing tables, and holds the columns of the others against the config."""
    for target in targets:
        kinds = [(column.name, str(column.type), column.required) for column in target.columns]
        make_table(connection, target.table, kinds, target.key)
        check_columns(connection, target.table, [(name, kind) for name, kind, _ in kinds])


def bench_copies(
    connection: psycopg.Connection[Any], targets: Sequence[Target], *, bare: bool = False
) -> dict[Target, Target]:
    """Makes tables of the benchmark's own: it empties its tables before each cell, and must never empty another's."""
    make_schema(connection, BENCH_SCHEMA)
    copies = {}
    for number, target in enumerate(targets):
        name = f"{target.table.name[:50]}_{number}{'_bare' if bare else ''}"
        copies[target] = replace(target, table=TableName(BENCH_SCHEMA, name))
        make_empty_copy(connection, target.table, copies[target].table, bare=bare)
    return copies


def pack(sources: Sequence[Source], tasks: int) -> list[list[Source]]:
    """Shares files among tasks by their bytes, the largest first; the same files give the same tasks."""
    packed: list[list[Source]] = [[] for _ in range(tasks)]
    sizes = [0] * tasks
    for source in sorted(sources, key=lambda one: (-one.file.size, one.path)):
        least = sizes.index(min(sizes))
        packed[least].append(source)
        sizes[least] += source.file.size
    return [task for task in packed if task]
