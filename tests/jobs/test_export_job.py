"""The story of the job `export`: by ./spark-submit.sh from a conf file to its exit code, and in its memory."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from deltalake import DeltaTable

from conftest import IS_SPARK35, PYTHON, ROOT, Submit
from table_nulls import undocumented_nulls
from tallymark.config.export import ExportConfig
from tallymark.config.export_options import ExportOptions
from tallymark.config.loading import load
from tallymark.io.postgres import Server

PASSWORD = "S3cr3t!@#:/?%"
# A driver that a cluster's spark-submit has started imports pyspark, to ask whether it is on the cluster.
MOST_MEMORY = 90_000_000 if IS_SPARK35 else 50_000_000


@pytest.fixture
def variables(fresh_database: Server) -> dict[str, str]:
    """The database with a table, as libpq finds it."""
    with fresh_database.connect("tests") as connection:
        connection.execute(
            "CREATE TABLE orders AS SELECT i AS id, 'order ' || i AS note FROM generate_series(1, 60000) i"
        )
        connection.execute("ALTER TABLE orders ADD PRIMARY KEY (id)")
    place = {"PGHOST": fresh_database.host, "PGPORT": fresh_database.port, "PGDATABASE": fresh_database.dbname}
    return {"PGUSER": "postgres", "PGPASSWORD": PASSWORD, **{name: str(value) for name, value in place.items()}}


def test_a_table_from_its_conf_file_to_its_manifest_and_tables(
    submit: Submit, variables: dict[str, str], tmp_path: Path
) -> None:
    conf = tmp_path / "export.yaml"
    conf.write_text(f"table: orders\nto: {tmp_path}/orders\nout: {tmp_path}/out\nrun_id: nightly\nverify: true\n")
    ended = submit("export", "--conf", str(conf), "--workers", "1", **variables)
    again = submit("export", "--conf", str(conf), **variables)
    made = json.loads((tmp_path / "orders/manifest.json").read_text())
    parts = sorted((tmp_path / "orders").glob("part-*.csv"))
    (run,) = DeltaTable(tmp_path / "out/delta/export_runs").to_pyarrow_table().to_pylist()
    chunks = DeltaTable(tmp_path / "out/delta/export_chunks").to_pyarrow_table().sort_by("number").to_pylist()

    assert ended.code == 0, ended.err
    assert "EXPORTED: 60,000 rows\n" in ended.out
    assert "rows in the snapshot 60,000 = rows in the files 60,000" in ended.out
    assert (made["rows"], made["verified"], made["consistency"]["achieved"]) == (60_000, True, "snapshot")
    assert sum(len(part.read_text().splitlines()) - 1 for part in parts) == 60_000
    assert (run["run_id"], run["rows"], run["rows_in_snapshot"], run["table"]) == (
        "nightly", 60_000, 60_000, '"public"."orders"',
    )  # fmt: skip
    assert sum(chunk["rows"] for chunk in chunks) == 60_000
    assert (chunks[0]["after"], chunks[0]["up_to"]) == (None, '["10000"]')
    assert undocumented_nulls(tmp_path / "out", "export") == []
    assert again.code == 2
    assert "a finished export is there" in again.said
    assert made["peak_memory_bytes"] <= MOST_MEMORY
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert PASSWORD not in ended.said


def test_an_export_to_delta_keeps_its_record_too(variables: dict[str, str], tmp_path: Path) -> None:
    """delta-rs has threads by then, and a process with threads must not fork."""
    options = {"--table": "orders", "--format": "delta", "--to": f"{tmp_path}/orders", "--out": f"{tmp_path}/out"}
    words = [word for option in options.items() for word in option]
    command = [str(PYTHON), str(ROOT / "jobs/export.py"), *words, "--verify", "--snapshot-linger", "1"]
    environment = {**os.environ, **variables, "PYTHONPATH": str(ROOT / "lib")}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    (run,) = DeltaTable(tmp_path / "out/delta/export_runs").to_pyarrow_table().to_pylist()

    assert (ended.returncode, run["rows"], run["format"]) == (0, 60_000, "delta"), ended.stderr


def test_every_option_is_in_the_conf_file_and_in_the_value_of_a_run() -> None:
    written = yaml.safe_load((ROOT / "conf/export.yaml").read_text())
    config = load(ExportConfig, str(ROOT / "conf/export.yaml"), {})
    plain = ExportOptions(table="t", to="x")
    validated = load(ExportConfig, None, {"table": "t", "to": "x"}).options

    assert list(written) == list(ExportConfig.model_fields)
    assert plain == validated
    assert config.options.overwrite
