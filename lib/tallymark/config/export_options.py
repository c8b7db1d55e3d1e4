"""The options of one export as a plain value: what `tallymark.config.export` has validated, without what validates.

The same names as there, which a test holds. The models cost 10 MB of memory, a fifth of what an export to CSV may take,
so the run knows this value only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ExportOptions:
    """One export; see `tallymark.config.export.ExportConfig` for what each option means."""

    table: str
    to: str
    host: str | None = None
    port: int | None = None
    user: str | None = None
    dbname: str | None = None
    sslmode: str | None = None
    sslrootcert: str | None = None
    password_from: str | None = None
    out: str | None = None
    format: str = "csv"
    merge: bool = False
    columns: tuple[str, ...] = ()
    where: str | None = None
    order_by: tuple[str, ...] = ()
    batch_size: int = 10_000
    adapt: bool = True
    chunk_mode: bool = True
    workers: int = 2
    consistency: str = "snapshot"
    on_lost_snapshot: str = "recheck"
    snapshot_linger: int = 600
    checkpoint: bool = True
    resume: bool = False
    overwrite: bool = False
    verify: bool = False
    quality: str = "off"
    rules: str | None = None
    max_retries: int = 3
    refresh_every: int = 50
    statement_timeout: int = 50
    run_id: str | None = None
    notify: Mapping[str, Any] | None = None
    log_level: str = "INFO"
