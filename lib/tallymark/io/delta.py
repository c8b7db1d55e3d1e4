"""Delta tables that hold the rows of many runs, each run in its own partition.

What grows with the objects (runs, files, ledger) the driver writes; what grows with the records (mismatches, residue)
executors write as files. Every commit is the driver's, through delta-rs: 20 ms, where Spark needs seconds.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError
from deltalake.transaction import AddAction
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from tallymark.errors import IncompleteError
from tallymark.io import delta_rs
from tallymark.io.delta_rs import attempt, made, open_table, storage_options
from tallymark.io.objects import ObjectStore
from tallymark.io.spark_failures import told_by_task
from tallymark.io.table_files import PART, local_copy, write_file, write_part
from tallymark.io.uris import join, spark_uri

RUN_COLUMN = "run_id"
_SAFE_RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_GLOB = re.compile(r"[\[\]{}*?\\]")


def replace_run(store: ObjectStore, folder: str, run_id: str, rows: pa.Table) -> None:
    """Writes ``rows``, all of this run, instead of those that the table has of it, in one commit.

    Raises:
        IncompleteError: the table could not be written.
    """
    attempt(folder, lambda: _write(store, folder, rows, mode="overwrite", predicate=_of_run(run_id)))


def append_rows(store: ObjectStore, folder: str, rows: pa.Table, partition_by: Sequence[str] = (RUN_COLUMN,)) -> None:
    """Adds ``rows`` to the table in one commit; raises IncompleteError as `replace_run`."""
    attempt(folder, lambda: _write(store, folder, rows, partition_by, mode="append"))


def _write(
    store: ObjectStore, folder: str, rows: pa.Table, partition_by: Sequence[str] = (RUN_COLUMN,), **how: Any
) -> None:
    options = storage_options(store, folder)
    if DeltaTable.is_deltatable(folder, options):
        # Comments belong to the making of a table: delta-rs refuses rows with others than the table has.
        rows = rows.cast(pa.schema([field.remove_metadata() for field in rows.schema]))
    write_deltalake(
        made(folder),
        rows,
        partition_by=list(partition_by),
        schema_mode="merge",  # a table of an older version gets the columns that it lacks
        storage_options=options,
        **how,
    )


def make_table(store: ObjectStore, folder: str, schema: pa.Schema) -> None:
    """Makes the table where it is missing, a partition for each run."""
    delta_rs.make_table(store, folder, schema, partition_by=(RUN_COLUMN,))


def clear_run(store: ObjectStore, folder: str, run_id: str) -> None:
    """Takes back the rows of the run where the table has any."""
    with suppress(TableNotFoundError):
        table = attempt(folder, lambda: open_table(store, folder))
        if _parts(table, {run_id}):
            attempt(folder, lambda: table.delete(_of_run(run_id)))


def append_run(store: ObjectStore, folder: str, run_id: str, rows: DataFrame, schema: pa.Schema) -> None:
    """Adds ``rows``, all of this run, to the table in one commit of the files that their tasks write.

    Args:
        rows: the columns of ``schema``, which is that of the table; `RUN_COLUMN` may be missing.

    Raises:
        IncompleteError: the rows could not be computed or written; nothing was committed.
    """
    in_files = _in_files(schema)
    write = partial(write_part, store=store, table=folder, folder=f"{RUN_COLUMN}={run_id}", schema=in_files)
    try:
        written = rows.select(in_files.names).mapInArrow(write, PART).collect()
    except (PySparkException, Py4JJavaError) as error:
        told = told_by_task(error) or f"cannot make the rows of {folder}: {str(error).strip().partition(chr(10))[0]}"
        raise IncompleteError(told) from error
    attempt(folder, lambda: _commit(store, folder, run_id, schema, written))


def copy_run(
    store: ObjectStore, folder: str, earlier: str, run_id: str, replaced: Mapping[str, str], schema: pa.Schema
) -> None:
    """Adds the rows of an earlier run once more as those of this one, in one commit and in bounded memory.

    Args:
        replaced: columns of text that have another value now.

    Raises:
        IncompleteError, ObjectError: the rows could not be read or written; nothing was committed.
    """
    in_files, written = _in_files(schema), []
    for number, uri in enumerate(run_files(store, folder, {earlier})):
        with local_copy(store, uri) as path, pq.ParquetFile(path) as file:
            batches = (_stamped(batch, replaced, in_files) for batch in file.iter_batches())
            written.append(write_file(store, folder, f"{RUN_COLUMN}={run_id}/part-{number:05}-", batches, in_files))
    attempt(folder, lambda: _commit(store, folder, run_id, schema, [part for part in written if part is not None]))


def _stamped(batch: pa.RecordBatch, replaced: Mapping[str, str], schema: pa.Schema) -> pa.RecordBatch:
    there = set(batch.schema.names)  # of a table of an older version fewer
    columns = [
        pa.repeat(pa.scalar(replaced[field.name]), len(batch))
        if field.name in replaced
        else batch.column(field.name)
        if field.name in there
        else pa.nulls(len(batch), field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _in_files(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.remove_metadata() for field in schema if field.name != RUN_COLUMN])


def _commit(
    store: ObjectStore, folder: str, run_id: str, schema: pa.Schema, written: Sequence[tuple[str, int, int]]
) -> None:
    """Commits files, each a path, its bytes and its rows; makes the table where it is missing."""
    make_table(store, folder, schema)
    if not written:
        return
    table = open_table(store, folder)
    if not {field.name for field in table.schema().fields}.issuperset(schema.names):
        _write(store, folder, schema.empty_table(), mode="append")  # gives a table of an older version what it lacks
        table.update_incremental()
    now = int(time.time() * 1000)
    files = [
        AddAction(path, size, {RUN_COLUMN: run_id}, now, True, json.dumps({"numRecords": rows}))
        for path, size, rows in written
    ]
    table.create_write_transaction([*files], "append", table.schema(), partition_by=[RUN_COLUMN])


def read_run(spark: SparkSession, folder: str, run_id: str) -> DataFrame:
    """Returns the run's rows of the table."""
    return spark.read.format("delta").load(spark_uri(folder)).where(_of_run(run_id))


def read_rows(
    store: ObjectStore, folder: str, equal: Mapping[str, str], columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yields the rows whose columns are ``equal``, of a table that may be missing."""
    with suppress(TableNotFoundError):
        table = attempt(folder, lambda: open_table(store, folder))
        filters = [(name, "=", value) for name, value in equal.items()] or None
        names = None if columns is None else list(columns)
        yield from attempt(folder, lambda: table.to_pyarrow_table(columns=names, filters=filters)).to_batches()


def sum_run(store: ObjectStore, folder: str, run_id: str, summed: str, by: str) -> dict[str, int] | None:
    """Returns the sums of one column of the run's rows by another one, in bounded memory; None without the table."""

    def add_up() -> dict[str, int]:
        sums = Counter[str]()
        rows = open_table(store, folder).to_pyarrow_dataset()
        for batch in rows.to_batches(columns=[by, summed], filter=pc.field(RUN_COLUMN) == run_id):
            for row in pa.table(batch).group_by(by).aggregate([(summed, "sum")]).to_pylist():
                sums[row[by]] += row[f"{summed}_sum"]
        return dict(sums)

    with suppress(TableNotFoundError):
        return attempt(folder, add_up)
    return None


def read_files(spark: SparkSession, folder: str, files: Sequence[str], schema: str) -> DataFrame:
    """Returns the rows of the table that lie in ``files``, which `run_files` returned."""
    reader = spark.read.schema(schema).option("basePath", spark_uri(folder))
    return reader.parquet(*(_GLOB.sub(r"\\\g<0>", spark_uri(file)) for file in files))


def run_files(store: ObjectStore, folder: str, run_ids: set[str]) -> list[str]:
    """Returns the uris of the Parquet files that hold the rows of the runs, of each in the order of its tasks.

    They lack the partition column. To ask Spark for the same costs it seconds.
    """
    return [join(folder, path) for path in attempt(folder, lambda: _parts(open_table(store, folder), run_ids))]


def fetch_run(store: ObjectStore, folder: str, run_id: str, target: Path) -> list[Path]:
    """Copies the Parquet files of the run's rows into a local folder."""
    copies = []
    for number, uri in enumerate(run_files(store, folder, {run_id})):
        copies.append(target / f"{number:05}.parquet")
        store.get_file(uri, copies[-1])
    return copies


def stream_rows(parts: Sequence[Path], columns: Sequence[str], run_id: str) -> Iterator[pa.RecordBatch]:
    """Yields the rows of the fetched files in bounded memory; the partition column is put back."""
    for part in parts:
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(columns=[name for name in columns if name != RUN_COLUMN]):
                arrays = [
                    pa.array([run_id] * len(batch)) if name == RUN_COLUMN else batch.column(name) for name in columns
                ]
                yield pa.RecordBatch.from_arrays(arrays, names=list(columns))


def table_uri(out: str, name: str) -> str:
    """Returns the place of a result table below the output folder."""
    return join(out, f"delta/{name}")


def _parts(table: DeltaTable, run_ids: set[str]) -> list[str]:
    added = pa.table(table.get_add_actions(flatten=True)).select(["path", f"partition.{RUN_COLUMN}"])
    return sorted(row["path"] for row in added.to_pylist() if row[f"partition.{RUN_COLUMN}"] in run_ids)


def _of_run(run_id: str) -> str:
    if not _SAFE_RUN_ID.fullmatch(run_id):
        raise ValueError(f"not a run id: {run_id!r}")
    return f"{RUN_COLUMN} = '{run_id}'"
