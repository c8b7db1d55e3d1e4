"""What a run leaves in its output folder: once, masked, the same whoever computes it."""

from __future__ import annotations

import json
from pathlib import Path

from deltalake import DeltaTable
from pyspark.sql import SparkSession

from reconcile_runs import lines, reconciled
from table_nulls import undocumented_nulls


def test_the_second_run_with_one_id_replaces_the_first(spark: SparkSession, tmp_path: Path) -> None:
    """E3: no doubled rows, in no table and no report."""
    for _ in range(2):
        result = reconciled(spark, tmp_path, {"a.json": lines(1, 2)}, {"a.json": lines(1)}, run_id="month")
    other = reconciled(spark, tmp_path, {"a.json": lines(1, 2)}, {"a.json": lines(1)}, run_id="other")

    assert (result.files.count(), result.mismatches.count()) == (1, 1)
    assert other.files.count() == 1
    runs = spark.read.format("delta").load(str(tmp_path / "out/delta/runs"))
    assert sorted((row.run_id, row.status) for row in runs.collect()) == [("month", "COMPLETE"), ("other", "COMPLETE")]
    report = (tmp_path / "out/detailed_report.csv").read_text().splitlines()
    assert report[0].startswith(
        "file_path,source_records,backup_records,matched_records,mismatched_records,"
        "missing_in_backup,missing_in_source,match_rate"
    )
    assert len(report) == 3
    detailed = (tmp_path / "out/detailed_report_detailed.csv").read_text().splitlines()
    assert detailed[0].startswith("hash,hash_short,file_path,bucket_type,json_content")
    assert len(detailed) == 3
    assert len((tmp_path / "out/detailed_report_summary.csv").read_text().splitlines()) == 3


def test_masked_values_are_written_nowhere(spark: SparkSession, tmp_path: Path) -> None:
    """E5."""
    source = {"a.json": b'{"id":1,"name":"Ada-secret","x":1,"y":2}\n{"name":"Ada-secret",\n'}
    reconciled(spark, tmp_path, source, {"a.json": b'{"id":1,"name":"Ada-secret","x":2,"y":2}\n'}, mask="$.name")
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]

    assert written
    assert not [path for path in written if b"Ada-secret" in path.read_bytes()]
    assert "***" in (tmp_path / "out/detailed_report_detailed.csv").read_text()
    assert undocumented_nulls(tmp_path / "out", "reconcile") == []


def test_the_repair_lists_name_what_to_copy_again(spark: SparkSession, tmp_path: Path) -> None:
    source = {"good.json": lines(1), "lost.json": lines(2, 3), "absent.json": lines(4)}
    result = reconciled(spark, tmp_path, source, {"good.json": lines(1), "lost.json": lines(2)}, run_id="r")
    folder = tmp_path / "out/runs/r"

    assert (folder / "repair/copy_again.txt").read_text().split() == ["absent.json", "lost.json"]
    missing = (folder / "repair/missing_in_backup.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["id"] for line in missing) == [3, 4]
    assert json.loads((folder / "report.json").read_text())["totals"]["missing_in_backup"] == 2
    assert (folder / "report.xlsx").stat().st_size > 0
    assert result.exit_code == 1
    assert undocumented_nulls(tmp_path / "out", "reconcile") == []


def test_what_spark_writes_says_too_what_a_column_means(spark: SparkSession, tmp_path: Path) -> None:
    """Also where a run of an earlier version has written other words, or none, into the table."""
    for names in (["a.json"], ["a.json", "b.json"]):
        reconciled(spark, tmp_path, {name: lines(1, 2) for name in names}, {name: lines(1) for name in names})
    mismatches = DeltaTable(tmp_path / "out/delta/mismatches")
    described = {field.name: field.metadata.get("comment") for field in mismatches.schema().fields}

    assert described["hash_short"] == "its first 12 digits"
    assert described["reason"] == "why the record is invalid; null where it is valid"
    mismatches.alter.set_column_metadata("hash_short", {"comment": "other words"})
    reconciled(spark, tmp_path, {"c.json": lines(1, 2)}, {"c.json": lines(1)})
    mismatches.update_incremental()
    assert len(mismatches.to_pyarrow_table()) == 6
    assert next(field for field in mismatches.schema().fields if field.name == "hash_short").metadata == {
        "comment": "other words"
    }
