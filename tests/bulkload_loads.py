"""Makes loads for tests: files, the tables of a config, and the task run in this process as an executor runs it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tallymark.bulkload.matrix import Cell
from tallymark.bulkload.result import Counts
from tallymark.config.bulkload import BulkloadConfig
from tallymark.config.loading import load
from tallymark.io.objects import ObjectStore
from tallymark.io.postgres import Server
from tallymark.runs.bulkload import ledger
from tallymark.runs.bulkload.loading import Load, Share, load_units
from tallymark.runs.bulkload.targets import Reading, list_sources, prepare, targets_of

STORE = ObjectStore()
PEOPLE = {
    "pattern": "people*",
    "table": "people",
    "key": ["id"],
    "columns": [{"name": "id", "type": "bigint"}, {"name": "name", "type": "text"}],
}


def config_of(folder: Path, *tables: dict[str, Any], **options: object) -> BulkloadConfig:
    given = {"input": str(folder / "input"), "output_dir": str(folder / "out"), "tables": tables or (PEOPLE,)}
    return load(BulkloadConfig, None, given | options)


def write(folder: Path, name: str, records: Sequence[object]) -> Path:
    """Writes JSON Lines; bytes are written as they are."""
    path = folder / "input" / name
    path.parent.mkdir(exist_ok=True)
    lines = [one if isinstance(one, bytes) else json.dumps(one, ensure_ascii=False).encode() for one in records]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def people(first: int, last: int) -> list[dict[str, object]]:
    return [{"id": number, "name": f"이름 {number}"} for number in range(first, last)]


def prepared(server: Server, config: BulkloadConfig) -> None:
    with server.connect("tests") as connection:
        prepare(connection, targets_of(config))
        ledger.make_ledger(connection)


def run_task(
    server: Server, config: BulkloadConfig, method: str = "copy_text", batch_size: int = 100, connections: int = 2,
    run_id: str = "run", through: Server | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Loads everything as one task, ``through`` a proxy; returns the rows about its batches."""
    prepared(server, config)
    sources, _ = list_sources(config, STORE)
    cell = Cell(method, batch_size, connections)
    task = Load(run_id, through or server, Reading(STORE, config.nul, config.time_zone), cell, "tests-load")
    run = load_units(task, [Share(sources, connections)])
    batches = run([pa.RecordBatch.from_pydict({"id": [0]})])
    return [row for batch in batches for row in batch.to_pylist()]


def counts(server: Server, run_id: str = "run") -> Counts:
    with server.connect("tests") as connection:
        return ledger.loaded(connection, run_id).records


def query(server: Server, text: str) -> list[tuple[Any, ...]]:
    with server.connect("tests") as connection:
        return connection.execute(text.encode()).fetchall()


def execute(server: Server, *statements: str) -> None:
    with server.connect("tests") as connection:
        for statement in statements:
            connection.execute(statement.encode())
