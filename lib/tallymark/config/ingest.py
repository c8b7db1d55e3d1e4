"""The options of `ingest`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from tallymark.config.fields import (
    Count,
    LogLevel,
    Names,
    Percentage,
    Quality,
    Rules,
    RunId,
    Structure,
    Text,
)
from tallymark.config.loading import JobConfig
from tallymark.config.notify import Notify

_ISO_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z")


def _utc(value: str) -> str:
    with suppress(ValueError):
        if _ISO_UTC.fullmatch(value) and datetime.fromisoformat(value[:-1]):
            return value
    raise ValueError("a moment is written in UTC, such as 2026-03-17T14:00:00Z")


Numbers = Annotated[Mapping[str, Count], Structure]
Moment = Annotated[str, AfterValidator(_utc)]


class IngestConfig(JobConfig):
    """The options of ``ingest``."""

    headings: ClassVar[Mapping[str, str]] = {
        "api": "where the records come from (one of --api, --input, --replay)",
        "out": "where they go",
        "keys_from": "what a record is",
        "quality": "the run",
    }

    api: Text | None = Field(default=None, description="URL of the log API; {from} and {to} stand for the window")
    input: Text | None = Field(default=None, description="folder or prefix of files of items, instead of the API")
    replay: bool = Field(default=False, description="take the quarantined records again, once a key is back")
    pagination: Literal["none", "next", "page"] = Field(
        default="none", description="one list a call, a cursor or URL in the answer, or page numbers"
    )
    calls: Count = Field(default=1, description="calls a run, without pagination")
    page_param: Text = Field(default="page", description="query parameter of the page number")
    cursor_param: Text = Field(default="cursor", description="query parameter of the cursor")
    header_from: Text | None = Field(
        default=None, description="where the Authorization header is: env:NAME, file:PATH or aws:SECRET"
    )
    since: Moment | None = Field(default=None, description="start of the window, else where the last one ended")
    until: Moment | None = Field(default=None, description="end of the window, else now")
    overlap: Annotated[int, Field(ge=0, le=525_600)] = Field(
        default=60, description="minutes that the window reaches back before the last one's end, for late records"
    )

    out: Text = Field(description="folder for tables and published objects")
    layout: Literal["hive", "folders"] = Field(
        default="hive", description="dt=2026-03-17/hour=14, or data/2026_y/03_m/17_d/14_h"
    )
    publish: Literal["compact", "plain"] = Field(default="compact", description="form of the published records")
    records_per_object: Count = Field(default=250_000, description="an hour with more is split into several objects")
    methods: Numbers = Field(
        default={"GET": 1, "POST": 2, "PUT": 3, "PATCH": 4, "DELETE": 5, "HEAD": 6, "OPTIONS": 7},
        description="method -> its number in the compact form",
    )
    urls: Numbers = Field(default={"/api/products/product/": 1}, description="url -> its number in the compact form")

    keys_from: Text = Field(
        default="env:TALLYMARK_FERNET_KEYS",
        description="where the Fernet keys are, newest first: env:NAME, file:PATH or aws:SECRET",
    )
    optional: Names = Field(default=(), description="fields among user_id, method, url that a record may lack")
    budget: Percentage = Field(
        default=Decimal(5), description="percent of records that may be bad; with more nothing is written"
    )

    quality: Quality = "off"
    rules: Rules = None
    run_id: RunId | None = Field(default=None, description="name of the run, 1 to 64 of A-Z a-z 0-9 _ - . (not first)")
    every: Text | None = Field(default=None, description="run again and again: 30s, 5m, 1h, or five cron fields")
    lock_seconds: Annotated[int, Field(ge=5, le=86_400)] = Field(
        default=120, description="seconds after which the lock of a process that died is taken over"
    )
    sizes: bool = Field(default=False, description="only report what the compact form saves, on up to 10000 records")
    notify: Notify = None
    log_level: LogLevel = Field(default="INFO", description="how much is logged")

    @model_validator(mode="after")
    def _has_one_source(self) -> Any:
        given = [name for name, value in (("--api", self.api), ("--input", self.input)) if value]
        given += ["--replay"] if self.replay else []
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"one source is needed, --api, --input or --replay; given: {found}")
        if self.every and (self.run_id or self.since or self.until):
            raise ValueError("--every makes many runs: --run-id, --since and --until are for one")
        if self.sizes and self.replay:
            raise ValueError("--sizes reads from --api or --input")
        unknown = sorted(set(self.optional) - {"user_id", "method", "url"})
        if unknown:
            raise ValueError(f"optional: {', '.join(unknown)} cannot be optional; only user_id, method and url can")
        return self
