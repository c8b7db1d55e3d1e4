"""What `export` tells people: that a table cannot be exported, and that it can again. Called by `jobs/export.py`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tallymark.config.export_options import ExportOptions
from tallymark.runs.export.run import ExportResult


@contextmanager
def told(options: ExportOptions) -> Iterator[Callable[[ExportResult], None]]:
    """Gives what tells of a finished export; an error that ends it is told too, and goes on."""
    if options.notify is None or options.out is None:  # the models below cost memory
        yield lambda _result: None
        return
    from tallymark.config.notify import NotifyOptions
    from tallymark.io.objects import ObjectStore
    from tallymark.io.uris import normalise_uri
    from tallymark.runs.telling import Outcome, Watched, telling

    server = "/".join(part for part in (options.host, options.dbname) if part) or "of the environment"
    thing = {"table": options.table, "database": server}
    store, notify = ObjectStore.from_environment(os.environ), NotifyOptions.model_validate(options.notify)
    with telling(Watched("export", thing, options.run_id, normalise_uri(options.out), store, notify)) as tell:

        def finished(result: ExportResult) -> None:
            sentence = f"{result.rows:,} rows are in {result.place}"
            run = () if options.run_id else (("run", str(result.manifest["run_id"])),)
            tell(Outcome(True, "COMPLETE", sentence, run))

        yield finished
