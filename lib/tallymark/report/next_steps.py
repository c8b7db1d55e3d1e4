"""What a user does after a run, by its verdict: sentences, and commands to copy.

Called by the terminal and the HTML report.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tallymark.command_line import to_command_line
from tallymark.config.loading import load
from tallymark.config.reconcile import ReconcileConfig
from tallymark.io.uris import is_remote
from tallymark.reconcile.hints import Hint
from tallymark.reconcile.result import RunSummary, Totals, Verdict
from tallymark.report.wording import counted

TO_COPY_AGAIN = "to copy again"
"""The name under which the reports of a run name the list for rclone."""


@dataclass(frozen=True)
class Step:
    """One thing to do; ``command`` is quoted for a shell."""

    text: str
    command: str | None = None


def next_steps(summary: RunSummary, reports: Mapping[str, str]) -> Iterator[Step]:
    """Yields what to do.

    Args:
        reports: what was written, from its name to the place where it is.
    """
    totals = summary.totals
    if summary.verdict is Verdict.INCOMPLETE:
        what = "the causes of the errors" if summary.errors else "the cause"
        yield Step(f"Remove {what} and run the same command again: until then nothing is said about {_unsaid(totals)}.")
    if totals.match_rate is None:
        yield Step("Check both prefixes: there was no record to compare.")
    elif totals.missing_in_backup or totals.mismatched_records:
        copy_again = next((place for place in reports.values() if place.endswith("copy_again.txt")), "copy_again.txt")
        # What rclone calls a bucket is in its own configuration.
        is_local = not (is_remote(summary.source) or is_remote(summary.backup))
        places = [summary.source, summary.backup] if is_local else ["SOURCE", "BACKUP"]
        command = shlex.join(["rclone", "copy", "--files-from-raw", copy_again, *places])
        yield Step("Copy the files again whose copies are not complete:", command)
        yield Step("Then compare what failed once more, or all by the same command:", recheck_command(summary))
    elif totals.missing_in_source:
        yield Step("The backup holds records that the source lacks: see missing_in_source.jsonl for what they are.")
    elif summary.verdict is Verdict.MATCH:
        yield Step("Nothing to do: every record of one side is on the other.")
    if summary.scope.is_partial:
        yield Step("Only a part was compared: run without --only-failed-from and --min-age to vouch for all of it.")


def recheck_command(summary: RunSummary) -> str:
    """Returns the command that compares once more, by the same options, what failed in this run."""
    places = {"source": summary.source, "backup": summary.backup, "out": summary.out}
    anew = {"run_id": None, "only_failed_from": summary.run_id}
    return to_command_line(load(ReconcileConfig, None, summary.settings | places | anew), "reconcile")


def hint_option(hint: Hint) -> str:
    """Returns the option of a hint as it is typed.

    >>> hint_option(Hint("", "min_age", "1h")), hint_option(Hint("", "ignore", "$.at"))
    ('--min-age 1h', "--ignore '$.at'")
    """
    return f"--{hint.option.replace('_', '-')} {shlex.quote(hint.value)}"


def _unsaid(totals: Totals) -> str:
    return counted(totals.files_error, "file") if totals.files_error else "the rest"
