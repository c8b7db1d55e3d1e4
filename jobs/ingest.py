"""The job `ingest`: encrypted log records into exact hour partitions. Run it by `./spark-submit.sh ingest --help`."""

from __future__ import annotations

import os
import sys

import tallymark.starting  # noqa: F401 - first: says in one line what this Python lacks

# isort: split
from rich.table import Table

from tallymark.command_line import parse
from tallymark.config.ingest import IngestConfig
from tallymark.report.legible import one_line
from tallymark.runs.ingest.begun import begin
from tallymark.runs.ingest.sizes import report_sizes
from tallymark.runs.job import exit_code_of, log_to_stderr, read_text, result_console
from tallymark.runs.schedule import repeat


def main(argv: list[str]) -> int:
    """Returns the exit code: 0 all accounted for, 1 over budget, 2 usage, 3 incomplete, 4 locked, 130 interrupted."""
    left = "what it committed is published by the next run"
    return exit_code_of("ingest", lambda _: _run(argv), left)


def _run(argv: list[str]) -> int:
    config = parse(IngestConfig, "ingest", argv, read_text)
    log_to_stderr(config.log_level)
    if config.sizes:
        return _print_sizes(config)
    begin(config, os.environ)  # what is wrong is said now; each run of a schedule begins anew
    # Spark is imported only now, so that help and wrong options answer at once.
    from tallymark.io.session import spark_session
    from tallymark.runs.ingest.run import ingest

    spark = spark_session("tallymark ingest")

    def one_run() -> int:
        result = ingest(spark, config)
        print("\n".join(map(one_line, result.lines())), flush=True)
        return result.exit_code

    try:
        return repeat(one_run, config.every) if config.every else one_run()
    finally:
        spark.stop()


def _print_sizes(config: IngestConfig) -> int:
    records, sizes = report_sizes(config)
    table = Table("form", "bytes", "saved %", title=f"{records:,} records")
    for size in sizes:
        table.add_row(size.form, f"{size.bytes:,}", f"{size.saved:.1f}")
    result_console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
