"""Measures what judging costs: the split, ways to keep its rows, Great Expectations; `make bench-quality` runs it.

A Delta table of one's own with eight columns, twelve rules of which half fail for some rows. What counts are the ratios
of CPU seconds of the JVM, which a busy machine disturbs least, and the number of Spark jobs. The cases take turns. Each
run adds a row to rows.csv: case, rows, repetition, CPU seconds, seconds, Spark jobs.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "lib"))

from pyspark import StorageLevel  # noqa: E402
from pyspark.sql import DataFrame, SparkSession  # noqa: E402

from tallymark.io.session import spark_session  # noqa: E402
from tallymark.quality import suite  # noqa: E402
from tallymark.quality.rules import read_rules  # noqa: E402
from tallymark.quality.split import count, good, judge, quarantined  # noqa: E402

ROWS_CSV = Path(__file__).with_name("rows.csv")
COLUMNS = (
    "id",
    "id % 1000003 AS code",
    "cast(id % 997 AS double) AS price",
    "if(id % 1000 = 0, NULL, concat('user', id, '@example.org')) AS email",
    "element_at(array('new', 'paid', 'sent', 'lost'), cast(id % 4 AS int) + 1) AS state",
    "cast(id % 100 AS int) AS left_share",
    "cast(100 - id % 100 AS int) AS right_share",
    "concat('note ', repeat(md5(cast(id AS string)), 3)) AS note",
)
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("expect_column_values_to_not_be_null", {"column": "id"}),
    ("expect_column_values_to_not_be_null", {"column": "email"}),
    ("expect_column_values_to_be_between", {"column": "price", "min_value": 0, "max_value": 990}),
    ("expect_column_values_to_be_between", {"column": "left_share", "min_value": 0, "max_value": 100}),
    ("expect_column_values_to_be_in_set", {"column": "state", "value_set": ["new", "paid", "sent"]}),
    ("expect_column_values_to_match_regex", {"column": "email", "regex": "^[^@]+@[^@]+$"}),
    ("expect_column_values_to_not_match_regex", {"column": "note", "regex": "0000$"}),
    ("expect_column_value_lengths_to_be_between", {"column": "state", "max_value": 4}),
    ("expect_column_values_to_be_unique", {"column": "id"}),
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "right_share", "column_B": "left_share"}),
    ("expect_multicolumn_sum_to_equal", {"column_list": ["left_share", "right_share"], "sum_total": 100}),
    ("unexpected_rows_expectation", {"unexpected_rows_query": "SELECT * FROM {batch} WHERE code + price < 3"}),
)


def cases(frame: DataFrame, scratch: Path) -> dict[str, Callable[[], None]]:
    """Returns what is measured: the split as a gate does it, as the job does it, and the suite."""
    listed = [{"name": f"r{n}", "type": kind, "kwargs": kwargs} for n, (kind, kwargs) in enumerate(KINDS)]
    rules = read_rules("benchmark", {"table": "t", "expectations": listed})

    def split(level: StorageLevel | None) -> None:
        rows = judge(frame, rules)
        rows = rows if level is None else rows.persist(level)
        count(rows, rules, "t", 0)
        for name, part in (("good", good(rows)), ("quarantined", quarantined(rows))):
            part.write.format("delta").mode("overwrite").save(str(scratch / name))
        if level is not None:
            rows.unpersist(blocking=True)

    def pages(level: StorageLevel | None) -> None:
        verdict = count(judge(frame, rules), rules, "t", 0)
        if level is not None:  # as Great Expectations does by default
            frame.persist(level)
        suite.write_pages([suite.Judged(rules, frame, verdict)], "run", datetime.now(timezone.utc), scratch / "docs")
        frame.unpersist(blocking=True)

    def copy() -> None:
        frame.write.format("delta").mode("overwrite").save(str(scratch / "copy"))

    return {
        "copy the table": copy,
        "split, count only": lambda: void(count(judge(frame, rules), rules, "t", 0)),
        "split, both tables, not kept": lambda: split(None),
        "split, both tables, kept on disk": lambda: split(StorageLevel.DISK_ONLY),
        "split, both tables, kept in memory": lambda: split(StorageLevel.MEMORY_AND_DISK),
        "count, suite and pages": lambda: pages(None),
        "count, suite and pages, rows kept": lambda: pages(StorageLevel.MEMORY_AND_DISK),
    }


def void(_: object) -> None: ...


def measure(spark: SparkSession, work: Callable[[], None]) -> tuple[float, float, int]:
    """Returns CPU seconds of the JVM, seconds, and the number of Spark jobs."""
    context: Any = spark.sparkContext
    jvm = Path(f"/proc/{context._jvm.java.lang.ProcessHandle.current().pid()}/stat")
    first = context.statusTracker().getJobIdsForGroup(None)
    before, clock = cpu_seconds(jvm), time.perf_counter()
    work()
    seconds = time.perf_counter() - clock
    jobs = len(set(context.statusTracker().getJobIdsForGroup(None)) - set(first))
    return cpu_seconds(jvm) - before, seconds, jobs


def cpu_seconds(stat: Path) -> float:
    """Returns what Linux says of a process."""
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repetitions", type=int, default=3)
    given = parser.parse_args()
    spark = spark_session("tallymark benchmark: quality", {"spark.sql.ansi.enabled": "false"})
    with tempfile.TemporaryDirectory(prefix="tallymark-") as folder:
        table = f"{folder}/table"
        spark.range(0, given.rows, 1, 4).selectExpr(*COLUMNS).write.format("delta").save(table)
        work = cases(spark.read.format("delta").option("versionAsOf", 0).load(table), Path(folder))
        found: dict[str, list[tuple[float, float, int]]] = {case: [] for case in work}
        for repetition in range(given.repetitions + 1):
            for case, run in work.items():
                measured = measure(spark, run)
                if repetition:  # the first warms the JVM up
                    found[case].append(measured)
                    keep(case, given.rows, repetition, measured)
    spark.stop()
    base = statistics.median(cpu for cpu, _, _ in found["split, count only"])
    for case, each in found.items():
        cpu, seconds = (statistics.median(one[index] for one in each) for index in (0, 1))
        print(f"{case:36} {cpu:7.2f} CPU s  {cpu / base:5.2f} x  {seconds:7.2f} s  {each[0][2]:3} jobs")


def keep(case: str, rows: int, repetition: int, measured: tuple[float, float, int]) -> None:
    new = not ROWS_CSV.exists()
    with open(ROWS_CSV, "a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(("case", "rows", "repetition", "cpu_seconds", "seconds", "spark_jobs"))
        writer.writerow((case, rows, repetition, f"{measured[0]:.3f}", f"{measured[1]:.3f}", measured[2]))


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
