"""The options of `quality`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from tallymark.config.fields import LogLevel, RunId, Text
from tallymark.config.loading import JobConfig
from tallymark.config.notify import Notify


def _version(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a truth value is not a version")  # noqa: TRY004 - pydantic collects ValueError only
    return value


class QualityConfig(JobConfig):
    """The options of ``quality``."""

    table: Text = Field(description="folder of the Delta table to judge, local, on S3 or GCS")
    version: Annotated[int, BeforeValidator(_version), Field(ge=0)] | None = Field(
        default=None, description="version of it, else the newest"
    )
    rules: Text = Field(description="rule file")
    out: Text = Field(description="folder for the tables good and quarantined, the pages and the verdict")
    run_id: RunId | None = Field(default=None, description="name of the run, 1 to 64 of A-Z a-z 0-9 _ - . (not first)")
    notify: Notify = None
    log_level: LogLevel = Field(default="INFO", description="how much is logged")
