"""The job `maintain`: keeps the tables of the jobs small and fast. Run it by `./spark-submit.sh maintain --help`."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timezone

import tallymark.starting  # noqa: F401 - first: says in one line what this Python lacks

# isort: split

from tallymark.command_line import parse
from tallymark.config.maintain import MaintainConfig
from tallymark.runs.job import exit_code_of, log_to_stderr, read_text, result_console


def main(argv: list[str]) -> int:
    """Returns the exit code: 0 done, 2 usage, 3 incomplete, 4 a job works on the folder, 130 interrupted."""
    return exit_code_of("maintain", lambda _: _run(argv), "each table is as it was or done; run it again")


def _run(argv: list[str]) -> int:
    config = parse(MaintainConfig, "maintain", argv, read_text)
    log_to_stderr(config.log_level)
    # No Spark: delta-rs rewrites the files in this process.
    from tallymark.report.maintained import print_maintained
    from tallymark.runs.maintain.run import maintain

    done = maintain(config, os.environ, datetime.now(timezone.utc))
    print_maintained(done, result_console(), dry_run=config.dry_run)
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
