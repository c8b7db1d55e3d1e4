"""The job `ingest`: encrypted log records into exact hour partitions. Run it by `./spark-submit.sh ingest --help`."""

from __future__ import annotations

import sys

from rich.console import Console

from tallymark.command_line import parse
from tallymark.config.ingest import IngestConfig
from tallymark.runs.job import exit_code_of, log_to_stderr, read_text


def main(argv: list[str]) -> int:
    """Returns the exit code: 0 all accounted for, 1 over budget, 2 usage, 3 incomplete, 4 locked, 130 interrupted."""
    left = "what it committed is published by the next run"
    return exit_code_of("ingest", lambda _: _run(argv), left)


def _run(argv: list[str]) -> int:
    config = parse(IngestConfig, "ingest", argv, read_text)
    log_to_stderr(config.log_level)
    # Spark is imported only now, so that help and wrong options answer at once.
    from tallymark.io.session import spark_session
    from tallymark.runs.ingest.run import ingest

    spark = spark_session("tallymark ingest")
    try:
        result = ingest(spark, config)
    finally:
        spark.stop()
    out = Console(highlight=False, soft_wrap=True)
    for line in result.lines():
        out.print(line, markup=False)
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
