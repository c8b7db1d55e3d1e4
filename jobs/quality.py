"""The job `quality`: judges a Delta table by a rule file. Run it by `./spark-submit.sh quality --help`."""

from __future__ import annotations

import sys

import tallymark.starting  # noqa: F401 - first: says in one line what this Python lacks

# isort: split

from tallymark.command_line import parse
from tallymark.config.quality import QualityConfig
from tallymark.runs.job import exit_code_of, log_to_stderr, read_text, result_console


def main(argv: list[str]) -> int:
    """Returns the exit code: 0 all rules pass, 1 one fails, 2 usage, 3 incomplete, 4 locked, 130 interrupted."""
    unfinished = "no verdict names what it wrote; run it again"
    return exit_code_of("quality", lambda _: _run(argv), unfinished)


def _run(argv: list[str]) -> int:
    config = parse(QualityConfig, "quality", argv, read_text)
    log_to_stderr(config.log_level)
    # Spark is imported only now, so that help and wrong options answer at once.
    from tallymark.io.session import spark_session
    from tallymark.runs.quality.run import quality

    spark = spark_session("tallymark quality")
    try:
        result = quality(spark, config)
    finally:
        spark.stop()
    console = result_console()
    for line in (*result.verdict.lines(), f"see {result.index}"):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
