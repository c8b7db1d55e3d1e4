"""The job `bulkload`: loads JSON records into PostgreSQL, or measures how. See `./spark-submit.sh bulkload --help`."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import tallymark.starting  # noqa: F401 - first: says in one line what this Python lacks

# isort: split
from rich.console import Console

from tallymark.command_line import parse
from tallymark.config.bulkload import BulkloadConfig
from tallymark.progress import Progress
from tallymark.runs.job import OneLine, exit_code_of, log_to_stderr, read_text, result_console


def main(argv: list[str]) -> int:
    """Returns the exit code: 0 all accounted for, 1 too many rejected, 2 usage, 3 incomplete, 130 interrupted."""
    unfinished = "what is loaded stays; the same command with the same --run-id goes on"
    return exit_code_of("bulkload", lambda console: _run(argv, console), unfinished)


def _run(argv: list[str], console: Console) -> int:
    config = parse(BulkloadConfig, "bulkload", argv, read_text)
    log_to_stderr(config.log_level)
    # Spark is imported only now, so that help, wrong options and --recommend answer at once.
    from tallymark.report.bulkload import print_recommendation, print_result
    from tallymark.runs.bulkload.places import read_dotenv
    from tallymark.runs.bulkload.recommend import recommend

    if config.recommend:
        print_recommendation(recommend(config), result_console())
        return 0
    if "://" not in config.output_dir:
        _log_to_file(Path(config.output_dir) / "migration.log")
    if Path(".env").exists():
        # Before Spark starts: its workers inherit the environment.
        for name, value in read_dotenv(Path(".env").read_text(encoding="utf-8")).items():
            os.environ.setdefault(name, value)
    from tallymark.io.session import spark_session
    from tallymark.runs.bulkload.run import bulkload

    spark = spark_session("tallymark bulkload")
    try:
        result = bulkload(
            spark, config, show_progress=lambda files, size, poll: Progress(console, files, size, poll, "load")
        )
    finally:
        spark.stop()
    print_result(result, config.output_dir, result_console())
    return result.exit_code


def _log_to_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = logging.FileHandler(path, encoding="utf-8")
    file.setFormatter(OneLine())
    logging.getLogger().addHandler(file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
