"""The options of `reconcile`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tallymark.config.fields import (
    Age,
    ChunkSize,
    JsonPaths,
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
from tallymark.config.notify import ReconcileNotifyOptions

ANY_PLACE = "*"
"""Stands for source and backup where --history is to show the runs of all places."""

Most = Annotated[int, Field(ge=0)]


class Limits(BaseModel):
    """What the files below one path may show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match_rate: Percentage | None = None
    missing_files: Most | None = None
    mismatches: Most | None = None

    @model_validator(mode="after")
    def _limits_something(self) -> Limits:
        if self.match_rate is None and self.missing_files is None and self.mismatches is None:
            raise ValueError("it limits nothing: give match_rate, missing_files or mismatches")
        return self


class ReconcileConfig(JobConfig):
    """The options of ``reconcile``."""

    has_dialogue: ClassVar[bool] = True
    headings: ClassVar[Mapping[str, str]] = {
        "source": "places",
        "format": "what counts as the same record",
        "threshold": "proof and verdict",
        "only_failed_from": "a part, a plan, the past",
        "chunk_size": "the run",
    }

    source: Text = Field(description="folder or prefix where the records come from")
    backup: Text = Field(description="folder or prefix where they must have arrived")
    out: Text = Field(description="folder for the result tables and reports")
    report: Text | None = Field(default=None, description="path of the cumulative CSV, else OUT/detailed_report.csv")
    exclude: Names = Field(
        default=("_SUCCESS", "*.crc", "_committed_*", "_started_*", ".DS_Store"),
        description="globs of objects never compared: of the name, or of the relative path if the glob has a slash",
    )
    format: Literal["auto", "jsonl", "array", "csv"] = Field(default="auto", description="auto looks at each object")
    key: Names = Field(default=(), description="fields that tie a changed record to its original: a,b or $.a.b")
    ignore: JsonPaths = Field(default=(), description="JSONPaths left out of the comparison")
    unordered: JsonPaths = Field(default=(), description="JSONPaths of arrays whose order does not matter")
    unicode: Literal["exact", "nfc"] = Field(default="exact", description="texts as they are, or in normal form C")
    numbers: Literal["exact", "lexical"] = Field(default="exact", description="by value (1 = 1.0), or as written")
    mask: JsonPaths = Field(default=(), description="JSONPaths whose values reports and tables show as ***")
    threshold: Percentage = Field(default=Decimal(100), description="lowest match rate that passes, 0 to 100 percent")
    limits: Annotated[Mapping[Text, Limits], Structure] = Field(
        default={}, description="path below source -> match_rate, missing_files, mismatches that its files must keep"
    )
    proof: Literal["fast", "full"] = Field(default="fast", description="cheapest sound proof, or read every record")
    ledger: bool = Field(default=True, description="do not read again what an earlier run compared, unchanged")
    fail_on_empty: bool = Field(default=False, description="count a source without any record as a difference")
    quality: Quality = "off"
    rules: Rules = None
    only_failed_from: RunId | None = Field(default=None, description="compare only what did not match in that run")
    min_age: Age | None = Field(default=None, description="leave objects younger than this alone: 90s, 30m, 1h, 2d")
    dry_run: bool = Field(default=False, description="only print the plan: pairs by proof, bytes, estimated time")
    history: bool = Field(default=False, description="only print the trend of the runs into --out, and end")
    chunk_size: ChunkSize = Field(default=20_000, description="records held per side while comparing, 1 to 1000000")
    run_id: RunId | None = Field(default=None, description="name of the run, 1 to 64 of A-Z a-z 0-9 _ - . (not first)")
    notify: Annotated[ReconcileNotifyOptions, Structure] | None = Field(
        default=None, description="webhooks and e-mail that are told of a failure and of a recovery"
    )
    log_level: LogLevel = Field(default="INFO", description="how much is logged")

    @model_validator(mode="before")
    @classmethod
    def _history_needs_only_out(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("history") is True:
            return {"source": ANY_PLACE, "backup": ANY_PLACE, **given}
        return given

    @model_validator(mode="after")
    def _asks_for_one_thing(self) -> ReconcileConfig:
        if self.history and self.dry_run:
            raise ValueError("--history and --dry-run: each only prints something, give one of them")
        return self

    @property
    def report_path(self) -> str:
        """Where the cumulative CSV goes."""
        return self.report or f"{self.out.rstrip('/')}/detailed_report.csv"

    def excludes(self, relative_path: str) -> bool:
        """Tell whether an object, named by its path below source or backup, is never compared."""
        name = relative_path.rpartition("/")[2]
        return any(fnmatchcase(relative_path if "/" in glob else name, glob) for glob in self.exclude)
