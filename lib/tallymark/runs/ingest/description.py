"""What a reader of the published objects needs beside them: the dictionary of the compact form, and table definitions.

`published/_dictionary.json` (a name with _ is no data to Athena, Trino and Spark), `ddl/athena.sql`, `ddl/trino.sql`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tallymark.ingest.compact import Dictionary
from tallymark.ingest.ddl import athena_ddl, trino_ddl
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import join
from tallymark.runs.ingest.begun import Run

_DICTIONARY = "_dictionary.json"


def check_dictionary(run: Run) -> None:
    """Raise ConfigError where a number would mean something else than in the objects that are there."""
    published = _read(run.store, join(run.published, _DICTIONARY))
    if published is not None:
        run.dictionary.refuse_reuse(Dictionary(**json.loads(published)))


def describe(run: Run) -> None:
    """Write what has changed of the descriptions."""
    location, layout = run.published, run.config.layout
    texts = {
        join(run.out, "ddl/athena.sql"): athena_ddl(location, layout),
        join(run.out, "ddl/trino.sql"): trino_ddl(location, layout),
    }
    if run.config.publish == "compact":
        numbers = {name: dict(values) for name, values in vars(run.dictionary).items()}
        texts[join(run.published, _DICTIONARY)] = json.dumps(numbers, indent=2, ensure_ascii=False) + "\n"
    with tempfile.TemporaryDirectory(prefix="tallymark-") as scratch:
        local = Path(scratch) / "text"
        for uri, text in texts.items():
            if _read(run.store, uri) != text:
                local.write_text(text, encoding="utf-8")
                run.store.put_file(local, uri)


def _read(store: ObjectStore, uri: str) -> str | None:
    found = store.stat(uri)
    return None if found is None else b"".join(store.read_chunks(found)).decode("utf-8")
