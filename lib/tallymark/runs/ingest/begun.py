"""A run that has begun: what its steps must know of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tallymark.config.ingest import IngestConfig
from tallymark.ingest.compact import Dictionary
from tallymark.ingest.tokens import Keys
from tallymark.io.objects import ObjectStore, join


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
