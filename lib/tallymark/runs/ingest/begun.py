"""A run that has begun: what its steps must know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from tallymark.config.ingest import IngestConfig
from tallymark.ingest.compact import Dictionary
from tallymark.ingest.tokens import Keys, read_keys
from tallymark.io.objects import ObjectStore
from tallymark.io.secrets import read_secret
from tallymark.io.uris import join, normalise_uri
from tallymark.runs.run_id import new_run_id


@dataclass(frozen=True)
class Run:
    """One run of `ingest`, with its places; ``out`` in the internal form."""

    run_id: str
    started: datetime
    out: str
    config: IngestConfig
    store: ObjectStore
    keys: Keys
    dictionary: Dictionary

    @property
    def source(self) -> str:
        """What the records come from, as the tables name it; without a query, which may hold a secret."""
        return "quarantine" if self.config.replay else (self.config.input or str(self.config.api).partition("?")[0])

    @property
    def run_time(self) -> str:
        return self.started.isoformat(timespec="seconds")

    @property
    def published(self) -> str:
        return join(self.out, "published")

    @property
    def spool(self) -> str:
        return join(self.out, "spool")

    def table(self, name: str) -> str:
        return join(self.out, f"delta/{name}")


def begin(config: IngestConfig, environ: Mapping[str, str]) -> Run:
    """Return a new run; raise ConfigError where a key, a number or the place is wrong. Nothing is read but the keys."""
    started = datetime.now(timezone.utc)
    return Run(
        run_id=config.run_id or new_run_id(started),
        started=started,
        out=normalise_uri(config.out),
        config=config,
        store=ObjectStore.from_environment(environ),
        keys=read_keys(read_secret(config.keys_from, environ)),
        dictionary=Dictionary(config.methods, config.urls),
    )
