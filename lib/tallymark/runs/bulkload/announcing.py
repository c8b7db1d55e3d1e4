"""What `bulkload` tells people of a run: counts, never a reason that could quote a record."""

from __future__ import annotations

from tallymark.bulkload.result import BenchmarkResult, LoadResult
from tallymark.bulkload.statistics import OK
from tallymark.config.bulkload import BulkloadConfig
from tallymark.errors import EXIT_MATCH
from tallymark.io.objects import ObjectStore
from tallymark.runs.telling import Outcome, Watched


def watched(config: BulkloadConfig, store: ObjectStore, out: str, run_id: str) -> Watched:
    """Returns what is watched: an input on its way into a database. A replay mends what a load has left."""
    server = (config.provider, config.host, config.dbname)
    thing = {
        "input": config.input,
        "database": "/".join(part for part in server if part) or "of the environment",
        "kind": "load" if config.load or config.replay else "benchmark",
    }
    return Watched("bulkload", thing, run_id, out, store, config.notify)


def outcome(result: LoadResult | BenchmarkResult) -> Outcome:
    """Returns how a finished run is told."""
    passed = result.exit_code == EXIT_MATCH
    if isinstance(result, LoadResult):
        not_whole = f"; {len(result.incomplete):,} files are not loaded whole" if result.incomplete else ""
        return Outcome(passed, result.verdict, f"{result.records.equation}{not_whole}")
    failed = sum(cell.status != OK for cell in result.cells)
    sentence = f"{failed:,} of {len(result.cells):,} cells failed, {len(result.errors):,} files could not be read"
    return Outcome(passed, "COMPLETE" if passed else "INCOMPLETE", sentence)
