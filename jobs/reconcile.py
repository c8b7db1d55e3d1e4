"""The job `reconcile`: compares two prefixes record by record. Run it by `./spark-submit.sh reconcile --help`."""

from __future__ import annotations

import logging
import os
import sys

from rich.console import Console

from tallymark.command_line import read_arguments
from tallymark.config import ReconcileConfig, load, merge
from tallymark.errors import EXIT_INCOMPLETE, EXIT_INTERRUPTED, ConfigError, TallymarkError
from tallymark.interactive import ask
from tallymark.io.objects import ObjectStore
from tallymark.progress import Progress


def main(argv: list[str]) -> int:
    """Returns the exit code: 0 all accounted for, 1 differences, 2 usage, 3 incomplete, 130 interrupted."""
    console = Console(stderr=True)
    try:
        config = _configure(argv, console)
        if config is None:
            return EXIT_INTERRUPTED
        logging.basicConfig(level=config.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
        return _run(config, console)
    except TallymarkError as error:
        console.print(f"reconcile: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return error.exit_code
    except Exception:  # a defect: keeps its traceback, but must not end with 1, which says DIFFERENT
        logging.getLogger(__name__).exception("reconcile stopped; the run stays INCOMPLETE in the table runs")
        return EXIT_INCOMPLETE
    except KeyboardInterrupt:
        console.print("reconcile: interrupted; the run stays INCOMPLETE in the table runs")
        return EXIT_INTERRUPTED


def _configure(argv: list[str], console: Console) -> ReconcileConfig | None:
    given = read_arguments(ReconcileConfig, "reconcile", argv)
    if given.interactive:
        return ask(merge(given.conf, given.overrides, _read_text), console, input)
    return load(ReconcileConfig, given.conf, given.overrides, _read_text)


def _read_text(place: str) -> str:
    store = ObjectStore.from_environment(os.environ)
    found = store.stat(place)
    if found is None:
        raise ConfigError(f"--conf {place}: no such file")
    return b"".join(store.read_chunks(found)).decode("utf-8")


def _run(config: ReconcileConfig, console: Console) -> int:
    # Spark is imported only now, so that help and wrong options answer at once.
    from tallymark.io.session import spark_session
    from tallymark.report.terminal import print_summary
    from tallymark.runs.reconcile import reconcile

    spark = spark_session("tallymark reconcile")
    try:
        result = reconcile(
            spark, config, show_progress=lambda files, size, poll: Progress(console, files, size, poll, "compare")
        )
    finally:
        spark.stop()
    print_summary(result.summary, Console(), result.reports)
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
