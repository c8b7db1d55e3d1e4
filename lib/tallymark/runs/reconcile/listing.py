"""The first steps of `reconcile`: lists both prefixes, pairs the objects, and takes those that the options name."""

from __future__ import annotations

from dataclasses import dataclass

from tallymark.config.fields import age_seconds
from tallymark.config.reconcile import ReconcileConfig
from tallymark.errors import ConfigError
from tallymark.io import delta
from tallymark.io.objects import ObjectStore
from tallymark.io.stored import StoredObject
from tallymark.reconcile.plan import Pair, pair_objects
from tallymark.reconcile.scope import Scope, failed_pairs, is_young
from tallymark.reconcile.tables import STATUS_MATCH
from tallymark.runs.reconcile.begun import Run
from tallymark.runs.reconcile.shipping import ObjectPair


@dataclass(frozen=True)
class Listing:
    """What is to be compared (numbered anew), what is too young for it, and how much of the whole that is."""

    pairs: list[ObjectPair]
    young: list[ObjectPair]
    scope: Scope
    warnings: list[str]


def list_objects(store: ObjectStore, config: ReconcileConfig, run: Run) -> Listing:
    """Returns the pairs of a run.

    Raises:
        ConfigError: a place does not exist, or the run of ``only_failed_from`` is none of these places.
        IncompleteError: a prefix could not be listed.
    """
    warnings: list[str] = []
    sides = [_list_side(store, config, *side, warnings) for side in (("source", run.source), ("backup", run.backup))]
    listed = pair_objects(*sides)
    chosen = listed if config.only_failed_from is None else _failed(store, config.only_failed_from, run, listed)
    if config.only_failed_from is not None and not chosen:
        warnings.append(f"NOTHING FAILED: no file that is there now failed in run {config.only_failed_from}")
    before_ns = int(run.run_time.timestamp() * 1e9)
    before_ns -= 0 if config.min_age is None else age_seconds(config.min_age) * 1_000_000_000
    young = [pair for pair in chosen if config.min_age is not None and is_young(pair, before_ns)]
    too_young = {pair.number for pair in young}
    old = [pair for pair in chosen if pair.number not in too_young]
    return Listing(
        [Pair(number, pair.source, pair.backup) for number, pair in enumerate(old)],
        young,
        Scope(len(listed), len(young), len(listed) - len(chosen), config.min_age, config.only_failed_from),
        warnings,
    )


def _list_side(
    store: ObjectStore, config: ReconcileConfig, name: str, place: str, warnings: list[str]
) -> list[StoredObject]:
    listed = list(store.list_objects(place))
    compared = [item for item in listed if not config.excludes(item.path)]
    if not compared:
        warnings.append(f"EMPTY: no object under the {name} {place}; check the prefix")
    if len(compared) < len(listed):
        warnings.append(f"{len(listed) - len(compared)} objects under the {name} are left out by --exclude")
    return compared


def _failed(store: ObjectStore, run_id: str, run: Run, pairs: list[ObjectPair]) -> list[ObjectPair]:
    """Returns the pairs that did not match in a run, and those among which it found moved records.

    A record may have been found in another file; without that file it would now be missing.
    """
    rows = delta.read_rows(store, run.table("runs"), {"run_id": run_id})
    found = [row for batch in rows for row in batch.to_pylist()]
    here = [row for row in found if (row["source"], row["backup"]) == (run.source, run.backup) and row["verdict"]]
    if not here:
        cause = "is one of other places, or has no verdict" if found else "is not in the table runs"
        raise ConfigError(
            f"--only-failed-from {run_id}: this run {cause}; name a finished run of {run.source} and {run.backup} "
            f"into {run.out} (--history lists them)"
        )
    if run.run_id == run_id:
        raise ConfigError(f"--run-id {run_id} would replace the run of --only-failed-from: give this one another name")
    columns = ["status", "moved_out", "moved_in", "source_path", "backup_path"]
    sources, backups = set[str](), set[str]()
    for batch in delta.read_rows(store, run.table("files"), {"run_id": run_id}, columns):
        for row in batch.to_pylist():
            if row["status"] != STATUS_MATCH or row["moved_out"] or row["moved_in"]:
                sources.add(row["source_path"])
                backups.add(row["backup_path"])
    return failed_pairs(pairs, sources, backups)
