"""What is known of a run before it reads anything."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from tallymark.config.reconcile import ReconcileConfig
from tallymark.errors import ConfigError
from tallymark.io import delta
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import is_within, normalise_uri
from tallymark.reconcile.canonical import CanonicalForm
from tallymark.reconcile.json_path import parse_path
from tallymark.records.json_tree import step_text
from tallymark.runs.reconcile.shipping import ObjectPair, Settings
from tallymark.runs.run_id import new_run_id

_LONELY_BYTES = 16 << 20
"""Lonely objects of more bytes than this meet as digests first: below, one pass less is faster."""
_BYTES_A_PART = 16 << 20
"""Compressed bytes of records whose digests make one part of about 250,000."""


@dataclass(frozen=True)
class Run:
    """One run; one with a name of the user's may have run before."""

    run_id: str
    is_named: bool
    run_time: datetime
    source: str
    backup: str
    out: str
    settings: dict[str, Any]
    nonce: str

    @property
    def run_time_text(self) -> str:
        return self.run_time.isoformat(timespec="seconds")

    @property
    def recording(self) -> str:
        """The name under which the ledger keeps what this run compared; unlike a run's, nobody gives it twice."""
        return f"{self.run_id}.{self.nonce}" if self.is_named else self.run_id

    def table(self, name: str) -> str:
        return delta.table_uri(self.out, name)


def begin(config: ReconcileConfig) -> Run:
    """Returns the run that begins now; raises ConfigError where its places overlap."""
    source, backup, out = map(normalise_uri, (config.source, config.backup, config.out))
    if is_within(source, backup) or is_within(backup, source):
        raise ConfigError(f"source {source} and backup {backup} overlap: name two places that do not hold each other")
    for name, place in (("source", source), ("backup", backup)):
        if is_within(out, place):
            raise ConfigError(
                f"out {out} lies inside the {name} {place}: its files would be compared; name another place"
            )
    now = datetime.now(timezone.utc)
    run_id = config.run_id or new_run_id(now)
    settings = json.loads(config.model_dump_json(exclude={"notify"}))  # it says nothing of the result, and names people
    return Run(run_id, config.run_id is not None, now, source, backup, out, settings, uuid.uuid4().hex[:6])


def settings_of(config: ReconcileConfig, store: ObjectStore, pairs: list[ObjectPair]) -> Settings:
    """Returns what the options and the listing say to the tasks; raises ConfigError where a path is malformed."""
    try:
        ignore, unordered, masked = (
            tuple(map(parse_path, paths)) for paths in (config.ignore, config.unordered, config.mask)
        )
        key = tuple(str(parse_path(name if name.startswith("$") else f"${step_text(name)}")) for name in config.key)
    except ValueError as broken:
        raise ConfigError(str(broken)) from None
    form = CanonicalForm(ignore=ignore, unordered=unordered, unicode=config.unicode, numbers=config.numbers)
    size = sum(pair.bytes for pair in pairs)
    lonely = sum(pair.bytes for pair in pairs if pair.is_lonely)
    return Settings(
        store=store,
        form=form,
        format=config.format,
        window=config.chunk_size,
        full=config.proof == "full",
        key=key,
        mask=masked,
        lonely_as_digests=lonely > _LONELY_BYTES,
        digest_parts=1 + size // _BYTES_A_PART,
    )
