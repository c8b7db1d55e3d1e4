"""Delta tables that hold the rows of many runs, each run in its own partition.

A run writes a table in one commit, so a reader sees all of its rows or none; a run that is repeated replaces its own
partition, so it doubles nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from tallymark.errors import IncompleteError
from tallymark.io.objects import ObjectStore, join, spark_uri

RUN_COLUMN = "run_id"
_COMMIT = re.compile(r"\d{20}\.json")
_SAFE_RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def write_run(rows: DataFrame, folder: str, run_id: str, replace: bool) -> None:
    """Writes ``rows`` (with a column ``run_id`` that is ``run_id`` throughout) in one commit.

    Args:
        folder: place of the Delta table; it is made when missing.
        replace: the table may hold rows of this run, which the new ones replace. Costs four Spark jobs more.

    Raises:
        IncompleteError: Spark could not compute or write the rows.
    """
    writer = rows.write.format("delta").option("userMetadata", _checked(run_id)).partitionBy(RUN_COLUMN)
    if replace:
        writer = writer.mode("overwrite").option("replaceWhere", f"{RUN_COLUMN} = '{run_id}'")
    else:
        writer = writer.mode("append")
    try:
        writer.save(spark_uri(folder))
    except (PySparkException, Py4JJavaError) as error:
        cause = str(error).strip().partition("\n")[0]
        raise IncompleteError(
            f"cannot write the table {folder}: {cause}; check the place and the right to write"
        ) from error


def read_run(spark: SparkSession, folder: str, run_id: str) -> DataFrame:
    """Returns the run's rows of the table."""
    return spark.read.format("delta").load(spark_uri(folder)).where(f"{RUN_COLUMN} = '{_checked(run_id)}'")


def fetch_run(store: ObjectStore, folder: str, run_id: str, target: Path) -> list[Path]:
    """Copies the Parquet files that the run's last `write_run` added into a local folder, in the order of writing.

    The commit is read from the log itself (Delta protocol, "Add File and Remove File"): one commit holds all rows
    of a run, and asking Spark for the same costs seconds.
    A run without rows that replaces none makes no commit.
    """
    log = [item for item in store.list_objects(join(folder, "_delta_log")) if _COMMIT.fullmatch(item.path)]
    for commit in reversed(log):
        actions = [json.loads(line) for line in b"".join(store.read_chunks(commit)).splitlines()]
        if any(action.get("commitInfo", {}).get("userMetadata") == run_id for action in actions):
            added = sorted(unquote(action["add"]["path"]) for action in actions if "add" in action)
            parts = [target / f"{number:05}.parquet" for number in range(len(added))]
            for path, part in zip(added, parts):
                store.get_file(join(folder, path), part)
            return parts
    return []


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


def _checked(run_id: str) -> str:
    if not _SAFE_RUN_ID.fullmatch(run_id):
        raise ValueError(f"not a run id: {run_id!r}")
    return run_id
