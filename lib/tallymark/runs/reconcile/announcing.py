"""What `reconcile` tells people: that the state of two places has changed since the run before, and how.

A re-check (`only_failed_from`) speaks of a part: it tells nothing, and the next whole run compares itself with the last
whole one.
"""

from __future__ import annotations

from collections.abc import Sequence

from tallymark.config.reconcile import ReconcileConfig
from tallymark.errors import ConfigError, LockedError, TallymarkError
from tallymark.io.objects import ObjectStore
from tallymark.reconcile.evidence import Example
from tallymark.reconcile.history import RunPoint
from tallymark.reconcile.result import RunSummary
from tallymark.report.notice import Notice
from tallymark.report.wording import verdict_sentence, verdict_word
from tallymark.runs.announce import announce
from tallymark.runs.reconcile.begun import Run
from tallymark.runs.reconcile.publish import earlier_runs

_RECORD = 500


def tell_result(
    config: ReconcileConfig, summary: RunSummary, examples: Sequence[Example], reports: dict[str, str]
) -> None:
    """Tells of a finished run whose state is another one than that of the run before; never raises."""
    passed = summary.exit_code == 0
    if config.notify is None or config.only_failed_from is not None or passed == _was_well(summary.trend[:-1]):
        return
    word = verdict_word(summary.verdict.value)
    title = f"reconcile is well again: {word}" if passed else f"reconcile failed: {word}"
    facts = (*_facts(summary.run_id, summary.source, summary.backup), ("report", reports["report (HTML)"]))
    records = tuple(map(_text, examples)) if config.notify.include_records else ()
    announce(Notice("reconcile", passed, title, verdict_sentence(summary), facts, records), config.notify)


def tell_failure(config: ReconcileConfig, store: ObjectStore, run: Run, error: Exception) -> None:
    """Tells of a run that an error has ended, unless the run before had failed already; never raises."""
    if config.notify is None or config.only_failed_from is not None or isinstance(error, ConfigError | LockedError):
        return
    try:
        was_well = _was_well(earlier_runs(store, run))
    except TallymarkError:  # the place that failed may be the one that would know
        was_well = True
    if was_well:
        # Only our own errors are known to quote no record.
        cause = str(error) if isinstance(error, TallymarkError) else f"stopped by an unexpected {type(error).__name__}"
        facts = _facts(run.run_id, run.source, run.backup)
        announce(Notice("reconcile", False, "reconcile failed: it did not finish", cause, facts), config.notify)


def _was_well(earlier: Sequence[RunPoint]) -> bool:
    """Tells whether the last whole run passed; before the first one all is taken to be well."""
    whole = [run for run in earlier if not run.is_recheck]
    return not whole or whole[-1].exit_code == 0


def _facts(run_id: str, source: str, backup: str) -> tuple[tuple[str, str], ...]:
    return ("run", run_id), ("source", source), ("backup", backup)


def _text(example: Example) -> str:
    versions = (("source", example.source), ("backup", example.backup))
    told = ", ".join(f"{side} {text[:_RECORD]}" for side, text in versions if text is not None)
    return f"{example.bucket_type} in {example.file_path}: {told}"
