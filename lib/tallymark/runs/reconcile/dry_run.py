"""`reconcile --dry-run`: lists, pairs and asks the ledger as a run does, and ends. Needs no Spark, writes nothing."""

from __future__ import annotations

import os

from tallymark.config.reconcile import ReconcileConfig
from tallymark.io.objects import ObjectStore, single_part_md5
from tallymark.io.uris import is_remote
from tallymark.reconcile.forecast import Forecast, Work, estimate
from tallymark.reconcile.ledger import REMEMBERED
from tallymark.reconcile.plan import COMPARE, IDENTICAL
from tallymark.runs.reconcile.begun import begin, settings_of
from tallymark.runs.reconcile.compare_objects import planned_proof
from tallymark.runs.reconcile.ledger import Ledger
from tallymark.runs.reconcile.listing import list_objects
from tallymark.runs.reconcile.publish import TREND, earlier_runs
from tallymark.runs.reconcile.shipping import ObjectPair, Settings


def plan(config: ReconcileConfig) -> Forecast:
    """Returns what a run with this config would do now.

    Raises:
        ConfigError: an option or a named place is wrong.
        IncompleteError: a prefix or the ledger could not be read.
    """
    run = begin(config)
    store = ObjectStore.from_environment(os.environ)
    listing = list_objects(store, config, run)
    settings = settings_of(config, store, listing.pairs)
    ledger = Ledger(store, run, settings, config.ledger)
    pairs = ledger.identified(listing.pairs)
    known = (
        {pair.number for pair in pairs} if ledger.repeated(pairs) else {pair.number for pair, _ in ledger.recall(pairs)}
    )
    work: dict[str, Work] = {}
    for pair in pairs:
        proof, to_read = (REMEMBERED, 0) if pair.number in known else _to_read(pair, settings)
        work[proof] = work.get(proof, Work()).plus(pair.bytes, to_read)
    to_read = sum(each.to_read for each in work.values())
    earlier = [point for point in earlier_runs(store, run) if point.verdict][-TREND:]
    return Forecast(run.source, run.backup, work, listing.scope, listing.warnings, estimate(to_read, earlier))


def _to_read(pair: ObjectPair, settings: Settings) -> tuple[str, int]:
    """Returns the proof of a pair and the most bytes that it reads, as far as the listing tells."""
    proof = planned_proof(pair, settings)
    if proof != IDENTICAL or pair.source is None or pair.backup is None:
        return proof, pair.bytes
    if not (is_remote(pair.source.uri) or is_remote(pair.backup.uri)):
        return proof, pair.bytes
    source, backup = single_part_md5(pair.source), single_part_md5(pair.backup)
    if source is not None and source == backup:
        return proof, pair.source.size
    return (COMPARE if source is not None and backup is not None else proof), pair.bytes
