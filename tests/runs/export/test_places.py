"""Where an export goes: S3, an older PostgreSQL, a place that is taken; and the one Python call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from conftest import ROOT
from export_runs import Export, copied
from gcs_server import GcsBucket
from s3_server import Bucket
from tallymark.config.export_options import ExportOptions
from tallymark.errors import ConfigError, LockedError
from tallymark.export import export_to_csv
from tallymark.io.delta_rs import storage_options
from tallymark.io.embedded_postgres import RunningPostgres
from tallymark.io.folder import Folder
from tallymark.io.lock import LOCK, HeldLock, hold_lock
from tallymark.io.postgres import Server
from tallymark.io.uris import join
from tallymark.runs.export.record import record

Connection = psycopg.Connection[Any]
SCHEMA = pa.schema([("id", pa.int32()), ("v", pa.string())])
TABLE = "CREATE TABLE t AS SELECT i AS id, 'v' || i AS v FROM generate_series(1, 4500) i"


@pytest.fixture
def table(database: Connection) -> None:
    database.execute(TABLE)
    database.execute("ALTER TABLE t ADD PRIMARY KEY (id)")


@pytest.mark.usefixtures("table")
def test_an_export_to_s3_leaves_its_parts_and_its_manifest(run: Export, bucket: Bucket, database: Connection) -> None:
    run(to=f"s3://{bucket.name}/out", verify=True)
    keys = [item["Key"] for item in bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]]
    parts = [bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read() for key in keys if "part-" in key]

    assert keys == ["out/manifest.json", *(f"out/part-0000000{number}.csv" for number in range(1, 6))]
    assert b"".join(part.partition(b"\n")[2] for part in parts) == copied(database, "SELECT * FROM t ORDER BY id")


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("form", ["parquet", "delta"])
def test_an_export_to_s3_is_read_again_from_there(run: Export, bucket: Bucket, form: str, tmp_path: Path) -> None:
    assert run(to=f"s3://{bucket.name}/out", format=form, verify=True).manifest["verified"]
    assert run(to=f"s3://{bucket.name}/none", format=form, verify=True, where="id < 0").rows == 0


@pytest.mark.usefixtures("table")
def test_an_export_to_gs_is_read_again_from_there(run: Export, gcs: GcsBucket) -> None:
    for form, rest in (("csv", {}), ("csv", {"merge": True}), ("delta", {})):
        name = "one.csv" if rest else form
        assert run(to=f"{gcs.uri}/{name}", format=form, verify=True, **rest).manifest["verified"]
    assert gcs.content("one.csv").count(b"\n") == 4501
    assert (
        len(DeltaTable(f"{gcs.uri}/delta", storage_options=storage_options(gcs.direct, gcs.uri)).to_pyarrow_table())
        == 4500
    )


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ({"partition_by": ["v"]}, "it is partitioned"),
        ({"constraint": {"small": "id < 9"}}, "it has constraints"),
        ({"schema": pa.schema([("id", pa.int64()), ("v", pa.string())])}, "its column id is int64, not int32"),
        ({"schema": pa.schema([("id", pa.int32())])}, "it has no column v"),
        ({"schema": pa.schema([*SCHEMA, pa.field("w", pa.int32(), nullable=False)])}, "its column w must be filled"),
    ],
)
def test_a_delta_table_that_asks_for_more_than_these_rows_is_refused(
    run: Export, database: Connection, tmp_path: Path, there: dict[str, Any], words: str
) -> None:
    database.execute("CREATE TABLE t AS SELECT 1 AS id, 'x' AS v")
    constraint = there.pop("constraint", None)
    table = DeltaTable.create(tmp_path / "out", **{"schema": SCHEMA, **there})
    if constraint:
        table.alter.add_constraint(constraint)
    with pytest.raises(ConfigError, match=words):
        run(format="delta")


def test_rows_are_added_to_a_delta_table_that_has_other_columns_too(
    run: Export, database: Connection, tmp_path: Path
) -> None:
    database.execute("CREATE TABLE t AS SELECT 1 AS id, 'x' AS v")
    DeltaTable.create(tmp_path / "out", pa.schema([("w", pa.int32()), *SCHEMA]))
    for run_id in ("monday", "tuesday"):
        run(format="delta", run_id=run_id, verify=True)
        (tmp_path / "out.manifest.json").unlink()

    found = DeltaTable(tmp_path / "out").to_pyarrow_table().to_pylist()
    assert found == [{"w": None, "id": 1, "v": "x"}] * 2


@pytest.mark.usefixtures("table")
def test_an_export_to_delta_is_recorded_in_tables_too(run: Export, tmp_path: Path) -> None:
    """delta-rs has threads by then, so its process may not fork."""
    made = run(format="delta", run_id="nightly").manifest
    record(ExportOptions(table="t", to=str(tmp_path / "out"), out=str(tmp_path / "kept"), format="delta"), made)

    (kept,) = DeltaTable(tmp_path / "kept/delta/export_runs").to_pyarrow_table().to_pylist()
    assert (kept["run_id"], kept["rows"], kept["format"]) == ("nightly", 4_500, "delta")


@pytest.mark.usefixtures("table")
def test_a_place_that_is_taken_is_refused_unless_it_may_be_replaced(run: Export, tmp_path: Path) -> None:
    stranger = tmp_path / "out/notes.tmp"
    run()
    stranger.write_text("mine")
    with pytest.raises(ConfigError, match="a finished export is there"):
        run()
    run(overwrite=True, where="id <= 10")

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "manifest.json", "notes.tmp", "part-00000001.csv",
    ]  # fmt: skip
    assert json.loads((tmp_path / "out/manifest.json").read_text())["rows"] == 10


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("where", ["local", "s3"])
def test_two_exports_do_not_share_a_place(run: Export, bucket: Bucket, tmp_path: Path, where: str) -> None:
    place = f"s3://{bucket.name}/out" if where == "s3" else str(tmp_path / "out")
    with (
        hold_lock(bucket.store, place, "the other one", stays=False),
        pytest.raises(LockedError, match="the other one"),
    ):
        run(to=place, overwrite=True)

    assert run(to=place).rows == 4_500
    assert not bucket.store.exists(join(place, LOCK))


@pytest.mark.usefixtures("table")
def test_a_run_that_lost_its_place_to_another_publishes_nothing_more(
    run: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It slept, say, until its lock had expired and the next run took over."""
    publish, published = Folder.publish, []

    def take_over_then_publish(folder: Folder, name: str) -> None:
        if name == "part-00000003.csv":
            lock = folder.check.__self__  # type: ignore[attr-defined]
            assert isinstance(lock, HeldLock)
            monkeypatch.setattr(lock, "_lost", True)
        publish(folder, name)
        published.append(name)

    monkeypatch.setattr(Folder, "publish", take_over_then_publish)
    with pytest.raises(LockedError, match="no longer held by this run"):
        run(workers=1)

    assert "part-00000002.csv" in published
    assert "part-00000003.csv" not in published
    assert "manifest.json" not in published


def test_an_empty_table_gives_a_header_and_a_manifest(run: Export, database: Connection, tmp_path: Path) -> None:
    database.execute('CREATE TABLE t (a int, "B c" text)')
    assert run().rows == 0
    assert (tmp_path / "out/part-00000001.csv").read_text() == "a,B c\n"


@pytest.mark.parametrize("key", ["PRIMARY KEY (id)", "CHECK (true)"])
def test_an_older_postgresql_is_exported_by_key_and_by_pages(
    old_postgres: RunningPostgres, run: Export, tmp_path: Path, key: str
) -> None:
    with old_postgres.server.connect("tests") as connection:
        connection.execute(f"DROP TABLE IF EXISTS t; {TABLE}; ALTER TABLE t ADD {key}")
    result = run(server=old_postgres.server, verify=True)

    assert result.rows == 4_500
    assert not result.manifest["server_version"].startswith("18")


@pytest.mark.usefixtures("table")
def test_the_python_call_writes_one_file_and_returns_its_rows(
    fresh_database: Server, database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {"PGHOST": fresh_database.host, "PGPORT": fresh_database.port, "PGDATABASE": fresh_database.dbname}
    for name, value in {**place, "PGUSER": "postgres"}.items():
        monkeypatch.setenv(name, str(value))
    target = tmp_path / "t.csv"

    assert export_to_csv("public.t", str(target), "id > 500", batch_size=1_000, order_by_field="v") == 4_000
    assert target.read_bytes() == b"id,v\n" + copied(database, "SELECT * FROM t WHERE id > 500 ORDER BY v, id")
    assert export_to_csv("t", target, chunk_mode=False, enable_checkpoint=False) == 4_500
    assert target.read_bytes() == b"id,v\n" + copied(database, "SELECT * FROM t ORDER BY id")
    with pytest.raises(ConfigError, match="batch_size"):
        export_to_csv("t", target, batch_size=0)


def test_the_python_call_needs_neither_spark_nor_arrow_nor_models() -> None:
    """They would be most of the memory that an export to CSV may take."""
    code = "import sys, tallymark.runs.export.call; print([m for m in sys.modules if '.' not in m])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "lib")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"pyspark", "pyarrow", "deltalake", "boto3", "pydantic", "yaml", "rich"} & set(eval(done.stdout))


@pytest.mark.usefixtures("table")
def test_wide_rows_make_small_chunks(run: Export, database: Connection) -> None:
    database.execute(
        "CREATE TABLE wide AS SELECT i AS id, repeat(md5(i::text), 32768) AS v FROM generate_series(1, 40) i"
    )
    result = run(table="wide", order_by=("id",), adapt=True)

    assert [chunk["rows"] for chunk in result.manifest["chunks"]] == [15, 15, 10]
    assert result.manifest["batch_size_changes"][0] == {"number": 1, "rows": 15, "reason": "wide rows"}
