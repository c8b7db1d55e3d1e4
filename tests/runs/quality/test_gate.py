"""The gate of the four jobs: a failing rule withholds the publication, keeps the former one, and leaves a report."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from deltalake import DeltaTable
from pyspark.sql import SparkSession

import tallymark
from bulkload_loads import PEOPLE, config_of, people, write
from export_runs import Export, database, no_variables
from export_runs import run as run_export
from reconcile_runs import lines, reconciled
from tallymark.errors import ConfigError, IncompleteError, RefusedError
from tallymark.io.objects import ObjectStore
from tallymark.io.postgres import Server
from tallymark.runs.quality.gate import OFF, Written, open_gate

__all__ = ["database", "no_variables", "run_export"]

SHIPPED = Path(__file__).parents[3] / "conf/rules"
NOW = datetime(2026, 3, 17, 14, tzinfo=timezone.utc)
KEY = "bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmU="

Rules = Callable[..., str]


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    """Writes a rule file with one rule: of a column no value may be above a bound."""

    def write_file(table: str, column: str, most: int) -> str:
        kwargs = {"column": column, "max_value": most}
        rule = {"name": "low", "type": "expect_column_values_to_be_between", "kwargs": kwargs}
        place = tmp_path / f"{table}.yaml"
        place.write_text(json.dumps({"table": table, "expectations": [rule]}))
        return str(place)

    return write_file


def rows(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = DeltaTable(folder).to_pyarrow_table().to_pylist()
    return found


def verdict(out: Path, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / f"quality/{run_id}/verdict.json").read_text())
    return found


def test_reconcile_publishes_what_meets_the_shipped_rules_and_withholds_what_fails_one(
    spark: SparkSession, tmp_path: Path, rules: Rules
) -> None:
    source, backup = {"a.json": lines(1, 2, 3)}, {"a.json": lines(1, 2) + lines(3).replace(b"true", b"null")}
    good = {"run_id": "good", "quality": "gate", "rules": str(SHIPPED)}
    assert reconciled(spark, tmp_path, source, backup, **good).exit_code == 1
    out = tmp_path / "out"
    former = {path: path.read_bytes() for path in out.glob("*.csv")}
    assert len(former) == 3
    assert [table["table"] for table in verdict(out, "good")["tables"]] == ["reconcile_files", "reconcile_mismatches"]
    assert verdict(out, "good")["passed"]

    strict = {"quality": "gate", "rules": rules("reconcile_files", "source_records", 2)}
    with pytest.raises(RefusedError, match="low: 1 of 1 rows") as caught:
        reconciled(spark, tmp_path, source, backup, run_id="bad", ledger=False, **strict)

    assert caught.value.exit_code == 1
    assert {path: path.read_bytes() for path in out.glob("*.csv")} == former
    assert not (out / "runs/bad").exists()
    states = {row["run_id"]: (row["status"], row["verdict"]) for row in rows(out / "delta/runs")}
    assert states == {"good": ("COMPLETE", "DIFFERENT"), "bad": ("REFUSED", None)}
    assert not verdict(out, "bad")["passed"]
    [quarantined] = rows(out / "quality/bad/quarantined/reconcile_files")
    assert (quarantined["file_path"], quarantined["failed_rules"]) == ("a.json", ["low"])
    assert (out / "quality/bad/docs/index.html").exists()


def test_ingest_withholds_the_hours_of_rows_that_fail_and_publishes_them_once_they_pass(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T21: the rows are committed, the objects are those of before; the next run judges and publishes both hours."""
    monkeypatch.setenv("TALLYMARK_FERNET_KEYS", KEY)
    out, strict = tmp_path / "out", tmp_path / "strict.yaml"
    regex = {"column": "record_id", "regex": "^r"}
    rule = {"name": "id", "type": "expect_column_values_to_match_regex", "kwargs": regex}
    strict.write_text(json.dumps({"table": "ingest_logs", "expectations": [rule]}))

    def run(name: str, hour: int, record_id: str, **options: Any) -> Any:
        record = {"user_id": "ab" * 32, "record_id": record_id, "method": "GET", "url": "/a"}
        text = json.dumps(record | {"inDate": f"2026-03-17T{hour}:00:00"})
        (tmp_path / name).mkdir()
        (tmp_path / name / "p.json").write_text(json.dumps([{"data": Fernet(KEY).encrypt(text.encode()).decode()}]))
        return tallymark.ingest(spark, input=str(tmp_path / name), out=str(out), run_id=name, quality="gate", **options)

    def published() -> dict[str, bytes]:
        return {str(path.relative_to(out)): path.read_bytes() for path in sorted((out / "published").rglob("*.gz"))}

    assert run("one", 10, "r1", rules=str(SHIPPED)).exit_code == 0
    before = published()
    assert len(before) == 1

    with pytest.raises(RefusedError, match="id: 1 of 1 rows"):
        run("two", 11, "x2", rules=str(strict))
    assert published() == before
    assert len(rows(out / "delta/logs")) == 2
    assert [row["run_id"] for row in rows(out / "delta/runs")] == ["one"]

    assert run("three", 12, "r3", rules=str(SHIPPED)).exit_code == 0
    assert len(published()) == 3
    assert {name: content for name, content in published().items() if name in before} == before
    assert sorted(row["run_id"] for row in rows(out / "delta/runs")) == ["one", "three", "two"]
    assert verdict(out, "three")["tables"][0]["rows"] == 2


def test_bulkload_withholds_its_files_of_results(
    spark: SparkSession, fresh_database: Server, tmp_path: Path, rules: Rules
) -> None:
    write(tmp_path, "people.json", people(0, 20))
    with fresh_database.connect("tests") as connection:
        connection.execute("CREATE TABLE people (id bigint PRIMARY KEY, name text)")
    server = {name: getattr(fresh_database, name) for name in ("host", "port", "user", "dbname")}
    cell = {"load": True, "method": "copy_text", "batch_size": "10", "connections": "1"}
    options: dict[str, Any] = server | cell | {"quality": "gate"}
    out = tmp_path / "out"

    config = config_of(tmp_path, PEOPLE, run_id="good", rules=str(SHIPPED), **options)
    assert tallymark.bulkload(spark, config).exit_code == 0
    assert verdict(out, "good")["passed"]
    former = {name: (out / name).read_bytes() for name in ("migration_stats.json", "migration_results.json")}

    strict = rules("bulkload_batches", "records_count", 5)
    write(tmp_path, "people-2.json", people(20, 40))
    with pytest.raises(RefusedError, match="low: 4 of 4 rows"):
        tallymark.bulkload(spark, config_of(tmp_path, PEOPLE, run_id="bad", rules=strict, **options))
    assert {name: (out / name).read_bytes() for name in former} == former
    with fresh_database.connect("tests") as connection:
        assert connection.execute("SELECT count(*) FROM people").fetchone() == (40,)


def test_export_withholds_the_manifest_and_a_resumed_one_is_judged_again(
    database: psycopg.Connection[Any], run_export: Export, tmp_path: Path, rules: Rules, spark: SparkSession
) -> None:
    """The session of the tests is there already, as in a notebook; a job has none and starts one apart."""
    database.execute("CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 1500) AS n")
    database.execute("ALTER TABLE t ADD PRIMARY KEY (id)")
    database.commit()
    gate = {"out": str(tmp_path / "report"), "run_id": "one", "quality": "gate"}

    with pytest.raises(RefusedError, match="low: 1 of 2 rows"):
        run_export(rules=rules("export_chunks", "rows", 900), **gate)
    assert not (tmp_path / "out/manifest.json").exists()
    assert len(rows(tmp_path / "report/delta/export_chunks")) == 2

    assert run_export(rules=str(SHIPPED), resume=True, **gate).rows == 1500
    assert (tmp_path / "out/manifest.json").exists()
    assert verdict(tmp_path / "report", "one")["passed"]


def test_a_report_withholds_nothing_also_where_it_cannot_be_made(
    spark: SparkSession, tmp_path: Path, rules: Rules, caplog: pytest.LogCaptureFixture
) -> None:
    spark.range(3).write.format("delta").save(str(tmp_path / "t"))
    written = {"t": Written(str(tmp_path / "t"), "id > 0")}
    gate = open_gate("report", rules("t", "id", 1), ObjectStore(), str(tmp_path), ("t",))

    gate.check(spark, "one", NOW, written)
    assert [(table["rows"], table["quarantined"]) for table in verdict(tmp_path, "one")["tables"]] == [(2, 1)]
    gate.check(spark, "two", NOW, {"t": Written(str(tmp_path / "gone"), "true")})
    assert "quality: " in caplog.text
    assert not (tmp_path / "quality/two").exists()


def test_what_a_gate_needs_is_asked_for_before_anything_is_read(tmp_path: Path, rules: Rules) -> None:
    store, tables = ObjectStore(), ("reconcile_files",)
    with pytest.raises(ConfigError, match="--quality gate needs --rules"):
        open_gate("gate", None, store, str(tmp_path), tables)
    with pytest.raises(ConfigError, match=r"no file is about reconcile_files\. Did you mean reconcile_files\?"):
        open_gate("gate", rules("reconcile_file", "a", 1), store, str(tmp_path), tables)
    assert open_gate(OFF, None, store, str(tmp_path), tables).rules == {}


def test_a_rule_that_does_not_fit_its_table_ends_the_job_before_it_begins(
    spark: SparkSession, tmp_path: Path, rules: Rules
) -> None:
    with pytest.raises(
        ConfigError, match=r"rule low: there is no column source_record\. Did you mean source_records\?"
    ):
        reconciled(spark, tmp_path, {}, {}, quality="gate", rules=rules("reconcile_files", "source_record", 1))
    assert not (tmp_path / "out").exists()


def test_a_refused_run_that_could_not_read_everything_is_incomplete() -> None:
    assert (RefusedError("x").exit_code, RefusedError("x", incomplete=True).exit_code) == (1, 3)
    assert IncompleteError("x").exit_code == 3
