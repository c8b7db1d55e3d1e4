"""Delta tables that hold the rows of many runs, each run in its own partition.

A run replaces its own partition in one commit, so writing it twice doubles nothing and a reader sees all of a
run's rows or none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from tallymark.io.objects import ObjectStore, join, spark_uri

RUN_COLUMN = "run_id"
_SAFE_RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def replace_run(rows: DataFrame, folder: str, run_id: str) -> None:
    """Writes ``rows`` (with a column ``run_id`` that is ``run_id`` throughout) as the run's only rows.

    Args:
        folder: place of the Delta table; it is made when missing.
    """
    (
        rows.write.format("delta")
        .mode("overwrite")
        .option("replaceWhere", f"{RUN_COLUMN} = '{_checked(run_id)}'")
        .partitionBy(RUN_COLUMN)
        .save(spark_uri(folder))
    )


def read_run(spark: SparkSession, folder: str, run_id: str) -> DataFrame:
    """Returns the run's rows of the table."""
    return spark.read.format("delta").load(spark_uri(folder)).where(f"{RUN_COLUMN} = '{_checked(run_id)}'")


def fetch_run(run: DataFrame, store: ObjectStore, folder: Path) -> list[Path]:
    """Copies the Parquet files that hold the rows of `read_run` into a local folder, in the order of writing."""
    parts = []
    for number, uri in enumerate(sorted(run.inputFiles(), key=lambda uri: uri.rsplit("/", 1)[-1])):
        parts.append(folder / f"{number:05}.parquet")
        store.get_file(unquote(uri), parts[-1])
    return parts


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
