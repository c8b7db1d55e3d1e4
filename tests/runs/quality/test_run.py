"""The job `quality` on a real Delta table: pinned version, both tables, run again, S3, and what it refuses."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

import tallymark
from hook_server import NOTIFY, HookServer
from s3_server import Bucket
from tallymark.errors import ConfigError, IncompleteError
from tallymark.runs.quality.run import QualityResult

MARKER = "marker-7f3a"
RULES = """
table: orders
columns: {email: {private: true}}
expectations:
  - {name: has_id, type: expect_column_values_to_not_be_null, kwargs: {column: id}}
  - {name: cheap, type: expect_column_values_to_be_between, kwargs: {column: price, max_value: 10}}
  - {name: address, type: expect_column_values_to_match_regex, kwargs: {column: email, regex: "@", mostly: 0.5}}
"""


@pytest.fixture
def orders(spark: SparkSession, tmp_path: Path) -> Path:
    """Version 0 has a row that is too dear and one without an address, version 1 one row without an id more."""
    rows = [(1, 5.0, "a@b"), (2, 50.0, MARKER), (3, None, None), (4, 7.5, "c@d")]
    spark.createDataFrame(rows, "id int, price double, email string").write.format("delta").save(
        str(tmp_path / "orders")
    )
    more = spark.createDataFrame([(None, 1.0, "e@f")], "id int, price double, email string")
    more.write.format("delta").mode("append").save(str(tmp_path / "orders"))
    (tmp_path / "rules.yaml").write_text(RULES)
    return tmp_path


def run(spark: SparkSession, folder: Path, **options: Any) -> QualityResult:
    places = {"table": str(folder / "orders"), "rules": str(folder / "rules.yaml"), "out": str(folder / "out")}
    return tallymark.quality(spark, **{**places, "run_id": "one", **options})


def rows(spark: SparkSession, place: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in spark.read.format("delta").load(place).collect()), key=str)


def test_a_version_is_split_into_good_and_quarantined_rows_and_again_the_same(
    spark: SparkSession, orders: Path, caplog: pytest.LogCaptureFixture, hook: HookServer
) -> None:
    """What was written after the version is not judged; a second run doubles nothing, and tells people nothing new."""
    caplog.set_level(logging.INFO)
    out = orders / "out"
    for again in (0, 1):
        result = run(spark, orders, version="0", notify=NOTIFY)

        assert result.exit_code == 1
        assert rows(spark, str(out / "delta/good")) == [(1, 5.0, "a@b"), (3, None, None), (4, 7.5, "c@d")]
        assert rows(spark, str(out / "delta/quarantined")) == [(2, 50.0, MARKER, ["cheap", "address"])]
        verdict = json.loads((out / "quality/one/verdict.json").read_text())
        assert (verdict["passed"], verdict["good"]["version"], verdict["quarantined"]["version"]) == (
            False,
            again,
            again,
        )
        [table] = verdict["tables"]
        assert (table["version"], table["rows"], table["good"], table["quarantined"]) == (0, 4, 3, 1)
        assert [(rule["rule"], rule["considered"], rule["failed"], rule["passed"]) for rule in table["rules"]] == [
            ("has_id", 4, 0, True),
            ("cheap", 3, 1, False),
            ("address", 3, 1, True),
        ]
        assert (out / "quality/one/docs/index.html").exists()
    pages = "".join(path.read_text(errors="replace") for path in (out / "quality").rglob("*.*") if path.is_file())
    assert MARKER not in pages
    assert MARKER not in caplog.text
    (message,) = (message for _, message in hook.received)
    assert message["title"] == "quality failed: FAILED"
    assert message["sentence"] == (
        "FAILED: orders version 0: rows 4 = good 3 + quarantined 1; "
        "cheap: 1 of 3 rows; address: 1 of 3 rows, within its share"
    )
    assert message["facts"] == {
        "run": "one",
        "table": str(orders / "orders"),
        "rules": str(orders / "rules.yaml"),
        "pages": str(out / "quality/one/docs/index.html"),
    }


def test_it_works_on_s3_and_ends_with_0_where_all_rules_pass(spark: SparkSession, orders: Path, bucket: Bucket) -> None:
    """Half of the addresses may be missing: the rows are quarantined, the rule passes."""
    (orders / "rules.yaml").write_text(RULES.replace("max_value: 10", "max_value: 100"))
    result = run(spark, orders, out=f"s3://{bucket.name}/checked", version="0")

    assert (result.exit_code, result.verdict.quarantined) == (0, 1)
    assert result.index == f"s3://{bucket.name}/checked/quality/one/docs/index.html"
    assert {"checked/quality/one/docs/index.html", "checked/quality/one/verdict.json"} <= set(bucket.paths())
    assert len(rows(spark, f"s3a://{bucket.name}/checked/delta/good")) == 3
    assert rows(spark, f"s3a://{bucket.name}/checked/delta/quarantined") == [(2, 50.0, MARKER, ["address"])]


def test_what_is_wrong_is_said_before_data_is_read(spark: SparkSession, orders: Path) -> None:
    with pytest.raises(ConfigError, match=r"newest version of .* is 1"):
        run(spark, orders, version="2")
    with pytest.raises(ConfigError, match="there is no Delta table"):
        run(spark, orders, table=str(orders / "elsewhere"))
    (orders / "rules.yaml").write_text(RULES.replace("column: price", "column: prize"))
    with pytest.raises(ConfigError, match=r"rule cheap: there is no column prize\. Did you mean price\?"):
        run(spark, orders)
    assert not (orders / "out/delta").exists()


def test_an_error_of_spark_does_not_quote_the_value(spark: SparkSession, orders: Path) -> None:
    """A cast that fails is null; what stops Spark all the same is told by its code alone."""
    cast = "{name: n, type: unexpected_rows_expectation, kwargs: {unexpected_rows_query: %s}}"
    query = '"SELECT * FROM {batch} WHERE cast(email AS int) > 1"'
    (orders / "rules.yaml").write_text(RULES + "  - " + cast % query)
    assert run(spark, orders).verdict.rules[-1].failed == 0

    query = '"SELECT * FROM {batch} WHERE raise_error(email) IS NULL"'
    (orders / "rules.yaml").write_text(RULES + "  - " + cast % query)
    with pytest.raises(IncompleteError, match="Spark stopped with") as caught:
        run(spark, orders)
    assert MARKER not in str(caught.value)
    assert caught.value.__suppress_context__
