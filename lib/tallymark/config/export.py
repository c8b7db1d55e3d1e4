"""The options of `export`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from tallymark.config.export_options import ExportOptions
from tallymark.config.fields import Count, LogLevel, Names, Quality, Rules, RunId, Text
from tallymark.config.notify import Notify
from tallymark.config.postgres import PostgresConfig

Seconds = Annotated[int, Field(ge=1, le=7 * 86_400)]


class ExportConfig(PostgresConfig):
    """The options of ``export``."""

    headings: ClassVar[Mapping[str, str]] = {
        "host": "the database",
        "table": "what and where to",
        "order_by": "chunks",
        "consistency": "proof and going on",
        "max_retries": "the run",
    }

    table: Text = Field(description="table, as schema.name; parts in double quotes are taken literally")
    to: Text = Field(description="folder of the parts and manifest.json, local, on S3 or GCS; with --merge the file")
    out: Text | None = Field(default=None, description="folder for the tables export_runs and export_chunks, if wanted")
    format: Literal["csv", "jsonl", "parquet", "delta"] = Field(default="csv", description="form of the parts")
    merge: bool = Field(default=False, description="one ordered file instead of parts (csv, jsonl)")
    columns: Names = Field(default=(), description="columns to export, else all")
    where: Text | None = Field(default=None, description="condition in SQL that the rows must meet")

    order_by: Names = Field(
        default=(), description="columns to go by, NULLs last; else the primary key, else pages; ctid: pages"
    )
    batch_size: Count = Field(default=10_000, description="rows of the first chunk")
    adapt: bool = Field(default=True, description="let the batch size follow bytes, latency and memory")
    chunk_mode: bool = Field(default=True, description="chunks; else one COPY, which a lost connection starts again")
    workers: Annotated[int, Field(ge=1, le=64)] = Field(default=2, description="chunks copied at the same time")

    consistency: Literal["snapshot", "per-chunk"] = Field(
        default="snapshot", description="all chunks of one moment, or short transactions, each of its own moment"
    )
    on_lost_snapshot: Literal["recheck", "refuse", "mix"] = Field(
        default="recheck",
        description="if nobody holds the snapshot any more: compare finished chunks in a new one and make again what "
        "differs, stop, or go on and say so",
    )
    snapshot_linger: Seconds = Field(default=600, description="seconds for which the snapshot outlives a killed run")
    checkpoint: bool = Field(default=True, description="keep what a killed run needs to go on")
    resume: bool = Field(default=False, description="go on with an unfinished export where there is one")
    overwrite: bool = Field(default=False, description="replace what an earlier export left there")
    verify: bool = Field(default=False, description="read each chunk again from the source and from the file")
    quality: Quality = "off"
    rules: Rules = None

    max_retries: Annotated[int, Field(ge=0, le=100)] = Field(default=3, description="attempts after a failed one")
    refresh_every: Count = Field(default=50, description="chunks after which a connection is made anew")
    statement_timeout: Seconds = Field(default=50, description="seconds that a statement may take")
    run_id: RunId | None = Field(default=None, description="name of the run, 1 to 64 of A-Z a-z 0-9 _ - . (not first)")
    notify: Notify = None
    log_level: LogLevel = Field(default="INFO", description="how much is logged")

    @model_validator(mode="after")
    def _can_keep_what_was_told(self) -> ExportConfig:
        if self.notify is not None and self.out is None:
            raise ValueError("--notify needs --out: what was told is kept there, so that it is told once")
        return self

    @property
    def options(self) -> ExportOptions:
        """The same without what validates it."""
        plain = {name: getattr(self, name) for name in ExportOptions.__dataclass_fields__}
        return ExportOptions(**plain | {"notify": self.notify and self.notify.model_dump(mode="json")})
