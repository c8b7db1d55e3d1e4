"""Writes a run's summary as `report.json`, for programs. Rows are not in it: they are in the Delta tables."""

from __future__ import annotations

import json
from pathlib import Path

from tallymark.reconcile.result import RunSummary
from tallymark.report.wording import equations, verdict_sentence


def write_json(summary: RunSummary, target: Path) -> None:
    """Writes the summary with sorted keys, so that equal runs give equal bytes.

    ``equations`` holds for each side the equation spelled with its numbers, and whether it is true; ``sentence`` is the
    verdict as people read it.
    """
    report = summary.to_dict()
    report["equations"] = {
        equation.side: {"spelled": str(equation), "holds": equation.holds} for equation in equations(summary.totals)
    }
    report["sentence"] = verdict_sentence(summary)
    text = json.dumps(report, ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True) + "\n"
    # A lone surrogate (of an undecodable path) has no UTF-8 form; backslashreplace leaves its JSON escape.
    target.write_bytes(text.encode("utf-8", "backslashreplace"))
