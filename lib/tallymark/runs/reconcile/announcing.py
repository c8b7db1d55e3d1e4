"""What `reconcile` tells people of a run: its verdict, and records only where the user asked for them.

A re-check (`only_failed_from`) speaks of a part, so it tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from tallymark.config.reconcile import ReconcileConfig
from tallymark.io.objects import ObjectStore
from tallymark.reconcile.evidence import Example
from tallymark.reconcile.result import RunSummary
from tallymark.report.wording import verdict_sentence, verdict_word
from tallymark.runs.reconcile.begun import Run
from tallymark.runs.telling import Outcome, Watched

_RECORD = 500


def watched(config: ReconcileConfig, store: ObjectStore, run: Run) -> Watched:
    """Returns what is watched: the two places."""
    notify = config.notify if config.only_failed_from is None else None
    return Watched("reconcile", {"source": run.source, "backup": run.backup}, run.run_id, run.out, store, notify)


def outcome(
    config: ReconcileConfig, summary: RunSummary, examples: Sequence[Example], reports: dict[str, str]
) -> Outcome:
    """Returns how a finished run is told."""
    may_show = config.notify is not None and config.notify.include_records
    return Outcome(
        summary.exit_code == 0,
        verdict_word(summary.verdict.value),
        verdict_sentence(summary),
        (("report", reports["report (HTML)"]),),
        tuple(map(_text, examples)) if may_show else (),
    )


def _text(example: Example) -> str:
    versions = (("source", example.source), ("backup", example.backup))
    told = ", ".join(f"{side} {text[:_RECORD]}" for side, text in versions if text is not None)
    return f"{example.bucket_type} in {example.file_path}: {told}"
