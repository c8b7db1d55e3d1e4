"""`ingest --sizes`: reads some records on the driver and reports what each form of them takes. Writes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from itertools import chain, islice

from tallymark.config.ingest import IngestConfig
from tallymark.errors import ConfigError
from tallymark.ingest.compact import Dictionary
from tallymark.ingest.plaintext import read_fields
from tallymark.ingest.record import LogRecord, to_record
from tallymark.ingest.sizes import Size, measure
from tallymark.ingest.tables import Rejected
from tallymark.ingest.tokens import Keys, read_keys
from tallymark.io.log_api import read_pages
from tallymark.io.objects import ObjectStore
from tallymark.io.secrets import read_secret
from tallymark.records import json_array
from tallymark.runs.ingest.decode_items import raw_items, token_of
from tallymark.runs.ingest.inbox import api_of, input_objects, window_of

_MOST = 10_000


def report_sizes(config: IngestConfig, environ: Mapping[str, str] = os.environ) -> tuple[int, list[Size]]:
    """Return the number of records, at most 10,000, and their sizes.

    Raises:
        ConfigError: no record of the source could be read.
    """
    keys = read_keys(read_secret(config.keys_from, environ))
    optional = frozenset(config.optional)
    found = list(islice(_records(_items(config, environ), keys, optional), _MOST))
    if not found:
        raise ConfigError("no record could be read: check the source and the keys")
    return len(found), measure(found, Dictionary(config.methods, config.urls))


def _items(config: IngestConfig, environ: Mapping[str, str]) -> Iterator[bytes]:
    store = ObjectStore.from_environment(environ)
    if config.api:
        since, until = window_of(config, None, datetime.now(timezone.utc))
        for page in read_pages(api_of(config), since, until, environ):
            yield from chain.from_iterable(block.records for block in json_array.split([page], "a page of the API"))
    elif config.input:
        for obj in input_objects(store, config.input):
            yield from raw_items(store, obj)


def _records(items: Iterator[bytes], keys: Keys, optional: frozenset[str]) -> Iterator[tuple[bytes, LogRecord]]:
    for raw in items:
        token = token_of(raw)
        with suppress(Rejected):
            plaintext = keys.decrypt(token or "")
            yield plaintext, to_record(read_fields(plaintext), optional)
