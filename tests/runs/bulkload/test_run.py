"""The job in a Spark session: load, replay and benchmark, with the files and tables that they leave behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from bulkload_loads import config_of, execute, people, query, write
from bulkload_values import RECORDS, TABLE, check_stored
from s3_server import Bucket, Fault, FaultProxy
from table_nulls import undocumented_nulls
from tallymark.bulkload.result import BenchmarkResult, Counts, LoadResult
from tallymark.errors import ConfigError
from tallymark.io.postgres import Server
from tallymark.runs.bulkload.recommend import recommend
from tallymark.runs.bulkload.run import bulkload

NAMES = ("migration_progress.json", "migration_stats.json", "migration_results.json")
METHODS = ("spark_jdbc", "spark_jdbc_rewrite", "insert_multi", "copy_text", "copy_binary")


def at(server: Server) -> dict[str, object]:
    return {"host": server.host, "port": server.port, "user": server.user, "dbname": server.dbname}


def read_json(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "out" / name).read_text(encoding="utf-8"))
    return found


def one_cell(server: Server, **options: object) -> dict[str, object]:
    cell = {"load": True, "method": ("copy_text",), "batch_size": (100,), "connections": (3,), "run_id": "month"}
    return {**at(server), **cell, **options}


def loaded(spark: SparkSession, folder: Path, options: dict[str, object], *tables: dict[str, Any]) -> LoadResult:
    result = bulkload(spark, config_of(folder, *tables, **options))
    assert isinstance(result, LoadResult)
    return result


def test_a_load_and_a_replay_account_for_every_record(
    spark: SparkSession, fresh_database: Server, tmp_path: Path
) -> None:
    write(tmp_path, "people-1.json", [*people(0, 300), {"id": 5, "name": "이름 5"}])
    write(tmp_path, "people-2.json", [*people(300, 400), {"id": 900, "name": "a\0b"}, {"id": "x"}])
    write(tmp_path, "other.json", [{}])

    first = loaded(spark, tmp_path, one_cell(fresh_database))
    (tmp_path / "input/other.json").unlink()
    second = loaded(spark, tmp_path, one_cell(fresh_database, method=("copy_binary",), connections=(1,)))
    replayed = loaded(spark, tmp_path, one_cell(fresh_database, load=False, replay=True, nul="strip", max_rejected=1))

    assert (first.records, first.exit_code) == (Counts(403, 400, 1, 2), 3)
    assert first.incomplete == {"other.json": "other.json: no pattern of tables meets it; add one, or exclude it"}
    assert (second.records, second.exit_code) == (Counts(403, 400, 1, 2), 1)
    assert second.reasons == {"NOT_A_NUMBER id": 1, "NUL_CHARACTER name": 1}
    assert (replayed.records, replayed.exit_code) == (Counts(403, 401, 1, 1), 0)
    assert query(fresh_database, "SELECT name FROM people WHERE id = 900") == [("ab",)]
    progress, results = read_json(tmp_path, "migration_progress.json"), read_json(tmp_path, "migration_results.json")
    assert {name: progress[name] for name in ("status", "files_completed", "total_files", "batch_size")} == {
        "status": "completed", "files_completed": 2, "total_files": 2, "batch_size": 100,
    }  # fmt: skip
    assert results["records"] == {"read": 403, "loaded": 400, "skipped": 1, "rejected": 2}
    assert sum(row["records_count"] for row in read_json(tmp_path, "migration_stats.json")["batches"]) == 401
    assert undocumented_nulls(tmp_path / "out", "bulkload") == []


def test_results_go_to_s3_as_to_a_folder(
    spark: SparkSession, fresh_database: Server, bucket: Bucket, tmp_path: Path
) -> None:
    """A driver on a cluster has no folder of its own that outlives it."""
    write(tmp_path, "people.json", people(0, 20))

    result = loaded(spark, tmp_path, one_cell(fresh_database, output_dir=f"{bucket.uri}/out"))

    stored = {path: bucket.client.get_object(Bucket=bucket.name, Key=f"out/{path}") for path in NAMES}
    progress, stats, results = (json.loads(one["Body"].read()) for one in stored.values())
    assert result.records == Counts(20, 20)
    assert (progress["status"], progress["total_records_processed"]) == ("completed", 20)
    assert sum(batch["records_count"] for batch in stats["batches"]) == 20
    assert (results["status"], results["total_records"]) == ("completed", 20)


def test_a_slow_source_shows_as_reading_and_never_as_loading(
    spark: SparkSession,
    fresh_database: Server,
    bucket: Bucket,
    proxy: FaultProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """L19: records are read and judged before the first cell, whatever Spark puts off."""
    bucket.put("in/people.json", b"\n".join(json.dumps(one).encode() for one in people(0, 200)))
    proxy.faults.append(Fault("GET", path="in/people.json", delay=10))
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint_url)
    places: dict[str, Any] = {**at(fresh_database), "input": f"{bucket.uri}/in"}
    cells: dict[str, Any] = {"batch_size": (100,), "connections": (1,), "repeat": 1}

    bulkload(spark, config_of(tmp_path, **places, **cells, method=("copy_text", "spark_jdbc"), run_id="bench"))

    rows = DeltaTable(tmp_path / "out/delta/bulkload_cells").to_pyarrow_table().to_pylist()
    assert {row["method"]: row["rows"] for row in rows} == {"copy_text": 200, "spark_jdbc": 200, "roofline": 200}
    assert min(row["read_seconds"] for row in rows) >= 10
    assert max(row["load_seconds"] for row in rows) < 10


def test_a_benchmark_measures_every_cell_and_never_touches_the_tables_of_the_config(
    spark: SparkSession, fresh_database: Server, tmp_path: Path
) -> None:
    write(tmp_path, "people.json", [*people(0, 2000), {"id": 1, "name": "이름 1"}, {"id": None}])
    execute(fresh_database, "CREATE TABLE people (id bigint PRIMARY KEY, name text)", "INSERT INTO people VALUES (1)")
    config = config_of(
        tmp_path, **at(fresh_database), method=METHODS, batch_size=(100,), connections=(4,), repeat=1, run_id="bench",
        prices={"local/big": "3.6"}, instance_type="big",
    )  # fmt: skip

    result = bulkload(spark, config)

    assert isinstance(result, BenchmarkResult)
    assert (result.exit_code, result.records) == (0, Counts(2002, 2000, 1, 1))
    assert {one.cell.method: (one.status, one.rows) for one in result.cells} == dict.fromkeys(
        (*METHODS, "roofline"), ("OK", 2000)
    )
    assert query(fresh_database, "SELECT id, name FROM people") == [(1, None)]
    # Spark's writer has no more connections than the session has cores, ours as many as were asked for.
    effective = {one.cell.method: one.effective_connections for one in result.cells}
    assert effective["spark_jdbc"] is not None
    assert effective["spark_jdbc"] <= 2
    results, stats = read_json(tmp_path, "migration_results.json"), read_json(tmp_path, "migration_stats.json")
    assert (results["status"], results["total_files"], results["failed"], len(results["cells"])) == (
        "completed",
        1,
        0,
        6,
    )
    text = [row for row in stats["batches"] if row["method"] == "copy_text"]
    assert [sum(row["records_count"] for row in text), len(text)] == [2000, 20]
    assert len({row["backend_pid"] for row in text}) == 4
    (advice,) = recommend(config)
    assert advice.recommended.cell.connections == 4
    assert advice.cost == pytest.approx(1000 / (advice.recommended.rows_per_second or 0))
    assert undocumented_nulls(tmp_path / "out", "bulkload") == []


def test_a_failed_cell_has_its_sqlstate_and_the_others_go_on(
    spark: SparkSession, fresh_database: Server, tmp_path: Path
) -> None:
    write(tmp_path, "people.json", people(0, 200))
    execute(fresh_database, "CREATE TABLE people (id bigint PRIMARY KEY, name text, CHECK (id <> 150))")
    options: dict[str, Any] = {**at(fresh_database), "batch_size": (50,), "repeat": 1, "roofline": False}

    checked = bulkload(spark, config_of(tmp_path, **options, method=("spark_jdbc", "copy_text"), connections=(1,)))
    execute(
        fresh_database,
        "ALTER TABLE people DROP CONSTRAINT people_id_check",
        "DROP SCHEMA tallymark_bench CASCADE",
        "DROP ROLE IF EXISTS few",
        "CREATE ROLE few LOGIN CONNECTION LIMIT 9",
        "GRANT ALL ON people TO few",
        f"GRANT CREATE ON DATABASE {fresh_database.dbname} TO few",
    )
    many = bulkload(spark, config_of(tmp_path, **options | {"user": "few"}, method=("copy_text",), connections=(2, 20)))

    assert [(one.cell.method, one.status, one.sqlstate) for one in checked.cells] == [  # type: ignore[union-attr]
        ("copy_text", "FAILED", "23514"),
        ("spark_jdbc", "FAILED", "23514"),
    ]
    assert checked.exit_code == 3
    assert [(one.cell.connections, one.status, one.sqlstate) for one in many.cells] == [  # type: ignore[union-attr]
        (2, "OK", None),
        (20, "FAILED", "53300"),
    ]
    assert undocumented_nulls(tmp_path / "out", "bulkload") == []


@pytest.mark.parametrize("state", ["40P01", "53100", "57014"], ids=["deadlock", "disk full", "cancelled"])
def test_what_the_server_cannot_do_fails_its_cell_with_its_sqlstate(
    spark: SparkSession, fresh_database: Server, tmp_path: Path, state: str
) -> None:
    """A benchmark never tries a batch twice: a deadlock is part of what the cell shows."""
    write(tmp_path, "people.json", people(0, 200))
    execute(
        fresh_database,
        f"""CREATE FUNCTION refused() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$""",
        "CREATE TABLE people (id bigint PRIMARY KEY, name text, CHECK (id <> 150 OR refused()))",
    )
    options: dict[str, Any] = {"batch_size": (50,), "connections": (1,), "repeat": 1, "roofline": False}

    failed = bulkload(spark, config_of(tmp_path, **at(fresh_database), **options, method=("spark_jdbc", "copy_text")))

    assert [(one.status, one.sqlstate) for one in failed.cells] == [("FAILED", state)] * 2  # type: ignore[union-attr]
    assert failed.exit_code == 3


def test_a_slower_network_is_emulated_and_labelled(spark: SparkSession, fresh_database: Server, tmp_path: Path) -> None:
    write(tmp_path, "people.json", people(0, 300))
    options = {"method": ("copy_text",), "batch_size": (100,), "connections": (1,), "repeat": 1, "roofline": False}

    result = bulkload(
        spark, config_of(tmp_path, **at(fresh_database), **options, emulate={"round_trip_ms": 100}, prices={"local": 1})
    )

    (cell,) = result.cells  # type: ignore[union-attr]
    assert cell.p50_seconds is not None
    assert cell.p50_seconds > 0.1
    (advice,) = recommend(config_of(tmp_path, prices={"local": 1}))
    assert (advice.measurement, advice.cost) == ("emulated", None)


def test_a_load_takes_one_cell_of_a_method_that_is_exactly_once(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--load takes one cell, not 2"):
        bulkload(spark, config_of(tmp_path, load=True, method="copy_text", batch_size="1", connections="1,2"))
    with pytest.raises(ConfigError, match="spark_jdbc can load rows twice"):
        bulkload(spark, config_of(tmp_path, load=True, method="spark_jdbc", scenario="baseline"))


def test_values_that_spark_writes_are_those_of_the_other_methods(
    spark: SparkSession, fresh_database: Server, tmp_path: Path
) -> None:
    write(tmp_path, "kinds.json", RECORDS)
    options = {"method": ("spark_jdbc_rewrite",), "scenario": "baseline", "repeat": 1, "roofline": False}

    result = bulkload(spark, config_of(tmp_path, TABLE, **at(fresh_database), **options))

    assert [one.status for one in result.cells] == ["OK"]  # type: ignore[union-attr]
    check_stored(fresh_database, "tallymark_bench.kinds_0")
