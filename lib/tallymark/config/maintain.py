"""The options of `maintain`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from tallymark.config.fields import LogLevel, Text
from tallymark.config.loading import JobConfig

_LEAST_DAYS = 7


def _long_enough(days: int) -> int:
    if days < _LEAST_DAYS:
        raise ValueError(f"readers of older versions need the files for {_LEAST_DAYS} days at least")
    return days


class MaintainConfig(JobConfig):
    """The options of ``maintain``."""

    out: Text = Field(description="output folder of a job, local, on S3 or GCS")
    retention_days: Annotated[int, Field(le=3650), AfterValidator(_long_enough)] = Field(
        default=_LEAST_DAYS, description="days for which files that no version needs any more are kept, at least 7"
    )
    dry_run: bool = Field(default=False, description="only say what would be done")
    log_level: LogLevel = Field(default="INFO", description="how much is logged")
