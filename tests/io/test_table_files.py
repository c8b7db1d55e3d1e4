"""Parquet files as a task writes them: in row groups that fit into memory, under a name of their own, or not at all;
and as it reads them: in place, or a copy.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from s3_server import Bucket
from tallymark.errors import IncompleteError, ObjectError
from tallymark.io import table_files
from tallymark.io.objects import ObjectStore
from tallymark.io.table_files import local_copy, write_file

SCHEMA = pa.schema([("key", pa.string()), ("body", pa.string())])


def test_rows_are_written_as_one_file_of_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_files, "_ROW_GROUP", 4)
    batches = pa.table({"key": [f"{n:02}" for n in range(11)], "body": ["x"] * 11}, schema=SCHEMA).to_batches(3)

    written = write_file(ObjectStore(), str(tmp_path), "dt=2026-03-17/hour=14/", batches, SCHEMA)
    assert written is not None
    path, size, rows = written
    assert path.startswith("dt=2026-03-17/hour=14/")
    assert path.endswith(".zstd.parquet")
    assert (size, rows) == ((tmp_path / path).stat().st_size, 11)
    file = pq.ParquetFile(tmp_path / path)
    assert file.read().column("key").to_pylist() == [f"{n:02}" for n in range(11)]
    assert file.metadata.num_row_groups == 4
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_two_attempts_never_share_a_name_and_no_rows_leave_no_file(tmp_path: Path) -> None:
    store, batch = ObjectStore(), pa.RecordBatch.from_pydict({"key": ["a"], "body": ["b"]}, SCHEMA)
    names = {write_file(store, str(tmp_path), "p/", [batch], SCHEMA) for _ in range(2)}

    assert len(names) == 2
    assert write_file(store, str(tmp_path), "empty/", [], SCHEMA) is None
    assert write_file(store, str(tmp_path), "empty/", [batch.slice(0, 0)], SCHEMA) is None
    assert not (tmp_path / "empty").exists()


def test_wide_rows_make_small_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_files, "_BYTES_OF_A_GROUP", 1_000)
    batches = pa.table({"key": list("abcdef"), "body": ["x" * 600] * 6}, schema=SCHEMA).to_batches(1)

    written = write_file(ObjectStore(), str(tmp_path), "", batches, SCHEMA)
    assert written is not None
    assert pq.ParquetFile(tmp_path / written[0]).metadata.num_row_groups == 3


def test_scratch_space_that_cannot_be_used_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    batch = pa.RecordBatch.from_pydict({"key": ["a"], "body": ["b"]}, SCHEMA)

    with pytest.raises(IncompleteError, match=r"cannot write .*gone/.*: No such file or directory; free some space or"):
        write_file(ObjectStore(), str(tmp_path), "p/", [batch], SCHEMA)


def test_a_local_file_is_read_in_place(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"rows")

    with local_copy(ObjectStore(), str(tmp_path / "x")) as path:
        assert path == tmp_path / "x"


def test_a_file_that_is_gone_is_named(tmp_path: Path, bucket: Bucket) -> None:
    for store, uri in ((ObjectStore(), str(tmp_path / "gone")), (bucket.store, f"s3://{bucket.name}/gone")):
        with pytest.raises(ObjectError, match=f"MISSING on {uri}: the table names it"), local_copy(store, uri):
            pass


def test_the_copy_of_an_object_goes_at_the_end(tmp_path: Path, bucket: Bucket) -> None:
    uri = f"s3://{bucket.name}/a.parquet"
    (tmp_path / "a").write_bytes(b"rows")
    bucket.store.put_file(tmp_path / "a", uri)

    with local_copy(bucket.store, uri) as path:
        assert path.read_bytes() == b"rows"
    assert not path.exists()
