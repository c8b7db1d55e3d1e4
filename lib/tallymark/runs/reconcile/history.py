"""`reconcile --history`: the runs into an output folder, from the table `runs`. Needs no Spark and reads no object."""

from __future__ import annotations

import os
from itertools import chain

from tallymark.config.reconcile import ANY_PLACE, ReconcileConfig
from tallymark.errors import ConfigError
from tallymark.io import delta
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import normalise_uri
from tallymark.reconcile.history import RunPoint, points


def history(config: ReconcileConfig) -> list[RunPoint]:
    """Returns the runs of source and backup, or of all places, oldest first.

    Raises:
        ConfigError: there is none.
        IncompleteError: the table could not be read.
    """
    sides = {"source": config.source, "backup": config.backup}
    named = {name: normalise_uri(place) for name, place in sides.items() if place != ANY_PLACE}
    store = ObjectStore.from_environment(os.environ)
    batches = delta.read_rows(store, delta.table_uri(normalise_uri(config.out), "runs"), named)
    found = points(chain.from_iterable(batch.to_pylist() for batch in batches))
    if not found:
        of = f" of {' and '.join(named.values())}" if named else ""
        raise ConfigError(f"--history: {config.out} holds no run{of}; check --out, or run reconcile first")
    return found
