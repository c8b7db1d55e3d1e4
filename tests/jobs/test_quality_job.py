"""The story of the job: killed between its two commits, then run to its end, from a conf file to its exit code."""

from __future__ import annotations

import json
from pathlib import Path

from pyspark.sql import SparkSession

from conftest import Submit, kill_when

FIRST = "_delta_log/00000000000000000000.json"
MARKER = "marker-7f3a"


def test_a_run_that_is_killed_between_its_commits_is_done_again_and_doubles_nothing(
    submit: Submit, spark: SparkSession, tmp_path: Path
) -> None:
    """kill -9: the good rows are there, no verdict names them; then all is there once, and the exit code is 1."""
    rows = spark.range(0, 3_000, 1, 4).selectExpr("id", f"if(id % 10 = 0, '{MARKER}', concat('a@', id)) AS email")
    rows.write.format("delta").save(str(tmp_path / "people"))
    rule = {"name": "address", "type": "expect_column_values_to_match_regex"}
    rule["kwargs"] = {"column": "email", "regex": "@"}  # type: ignore[assignment]
    rules = {"table": "people", "columns": {"email": {"private": True}}, "expectations": [rule]}
    (tmp_path / "rules.yaml").write_text(json.dumps(rules))
    out, conf = tmp_path / "out", tmp_path / "conf.yaml"
    conf.write_text(f"table: {tmp_path}/people\nrules: {tmp_path}/rules.yaml\nout: {out}\nrun_id: one\n")

    kill_when((out / "delta/good" / FIRST).exists, "quality", "--conf", str(conf))
    assert not (out / "quality/one/verdict.json").exists()

    ended = submit("quality", "--conf", str(conf))
    read = spark.read.format("delta")
    good, quarantined = (read.load(str(out / "delta" / name)) for name in ("good", "quarantined"))

    assert ended.code == 1, ended.err
    verdict = "FAILED: people version 0: rows 3,000 = good 2,700 + quarantined 300\n  address: 300 of 3,000 rows\n"
    assert verdict in ended.out
    assert (good.count(), good.distinct().count()) == (2_700, 2_700)
    assert sorted(row.id for row in quarantined.collect()) == list(range(0, 3_000, 10))
    kept = json.loads((out / "quality/one/verdict.json").read_text())
    assert (kept["good"]["version"], kept["quarantined"]["version"]) == (1, 0)
    pages = "".join(page.read_text() for page in (out / "quality").rglob("*.html"))
    assert MARKER not in pages + ended.said
