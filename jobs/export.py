"""The job `export`: copies a table out of PostgreSQL, any size. Run it by `./spark-submit.sh export --help`."""

from __future__ import annotations

import os
import sys

import tallymark.starting  # noqa: F401 - first: says in one line what this Python lacks

# isort: split
from rich.console import Console

from tallymark.config.export_options import ExportOptions
from tallymark.runs.apart import apart
from tallymark.runs.job import exit_code_of, log_to_stderr, read_text, result_console


def main(argv: list[str]) -> int:
    """Returns the exit code: 0 all accounted for, 2 usage, 3 incomplete, 4 locked, 130 interrupted."""
    return exit_code_of("export", lambda console: _run(argv, console), "--resume goes on with it")


def _run(argv: list[str], console: Console) -> int:
    # No Spark: one process, in constant memory. What reads the options would be a fifth of it, so it is done apart.
    options = apart(lambda: _configure(argv))
    log_to_stderr(options.log_level)
    from tallymark.io.cluster import awaited_context
    from tallymark.report.export_text import print_manifest
    from tallymark.runs.export.announcing import told
    from tallymark.runs.export.record import record
    from tallymark.runs.export.run import export
    from tallymark.runs.export.show import show

    with awaited_context("tallymark export"), told(options) as tell:
        result = export(options, show_progress=lambda live: show(console, live))
        record(options, result.manifest)
        tell(result)
    print_manifest(result.manifest, result_console(), result.place)
    return os.EX_OK


def _configure(argv: list[str]) -> ExportOptions:
    from tallymark.command_line import parse
    from tallymark.config.export import ExportConfig

    return parse(ExportConfig, "export", argv, read_text).options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
