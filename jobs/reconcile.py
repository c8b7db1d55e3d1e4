"""The job `reconcile`: compares two prefixes record by record. Run it by `./spark-submit.sh reconcile --help`."""

from __future__ import annotations

import sys

import tallymark.starting  # noqa: F401 - first: says in one line what this Python lacks

# isort: split
import os
from functools import cache, partial

from rich.console import Console

from tallymark.command_line import read_arguments
from tallymark.config.loading import load, merge
from tallymark.config.reconcile import ReconcileConfig
from tallymark.errors import EXIT_INTERRUPTED, EXIT_MATCH
from tallymark.interactive import ask
from tallymark.progress import Progress
from tallymark.runs.job import exit_code_of, log_to_stderr, read_text, result_console


def main(argv: list[str]) -> int:
    """Returns the exit code: 0 all accounted for, 1 differences, 2 usage, 3 incomplete, 130 interrupted."""
    return exit_code_of("reconcile", lambda console: _run(argv, console), "the run stays INCOMPLETE in the table runs")


def _run(argv: list[str], console: Console) -> int:
    config = _configure(argv, console)
    if config is None:
        return EXIT_INTERRUPTED
    log_to_stderr(config.log_level)
    if config.history or config.dry_run:
        return _tell(config)
    # Spark is imported only now, so that help and wrong options answer at once.
    from tallymark.io.session import spark_session, starts_java
    from tallymark.report.terminal import print_summary
    from tallymark.runs.reconcile.run import reconcile

    start = cache(partial(spark_session, "tallymark reconcile"))
    try:
        result = reconcile(
            # A cluster waits for the session; here it takes seconds, and a run in which nothing changed needs none.
            start if starts_java(os.environ) else start(),
            config,
            show_progress=lambda files, size, poll: Progress(console, files, size, poll, "compare"),
        )
    finally:
        if start.cache_info().currsize:
            start().stop()
    print_summary(result.summary, result_console(), result.reports)
    return result.exit_code


def _tell(config: ReconcileConfig) -> int:
    """Prints what needs no Spark: the runs that were, or what a run would do."""
    from tallymark.report.plan_and_past import print_forecast, print_history
    from tallymark.runs.reconcile.dry_run import plan
    from tallymark.runs.reconcile.history import history

    if config.history:
        print_history(history(config), result_console())
    else:
        print_forecast(plan(config), result_console())
    return EXIT_MATCH


def _configure(argv: list[str], console: Console) -> ReconcileConfig | None:
    given = read_arguments(ReconcileConfig, "reconcile", argv)
    if given.interactive:
        return ask(merge(given.conf, given.overrides, read_text), console, input)
    return load(ReconcileConfig, given.conf, given.overrides, read_text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
