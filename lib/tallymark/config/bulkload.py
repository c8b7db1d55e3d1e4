"""The options of `bulkload`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tallymark.config.fields import (
    Count,
    Counts,
    LogLevel,
    Names,
    Percentage,
    Quality,
    Rules,
    RunId,
    Structure,
    Text,
    split_list,
)
from tallymark.config.notify import Notify
from tallymark.config.postgres import PostgresConfig

Provider = Literal["local", "gcp", "aws", "azure"]
Method = Literal["spark_jdbc", "spark_jdbc_rewrite", "insert_multi", "copy_text", "copy_binary"]
EXACTLY_ONCE = ("insert_multi", "copy_text", "copy_binary")
"""What --load may use: Spark's own writer can insert rows twice when a task is repeated."""


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("no such time zone; write one such as Asia/Seoul") from None
    return name


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnOptions(_Part):
    """One column of a table: ``field`` of the record fills it, by default the one with its name."""

    name: Text
    type: Text
    field: Text | None = None
    required: bool = False
    empty_is_null: bool = False


class TableOptions(_Part):
    """The files that one table is loaded from, its columns and its primary key."""

    pattern: Text
    table: Text
    columns: Annotated[tuple[ColumnOptions, ...], Field(min_length=1)]
    key: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _names_fit(self) -> TableOptions:
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the column {twice[0]} of {self.table} is given twice")
        missing = [name for name in self.key if name not in names]
        if missing:
            raise ValueError(f"the key of {self.table} names {missing[0]}, which is none of its columns")
        return self


class Emulation(_Part):
    """A slower network, made on this machine: what is measured through it is never a cloud's figure."""

    round_trip_ms: Annotated[float, Field(ge=0, le=10_000)]
    megabits: Annotated[float, Field(gt=0)] | None = None


_split = BeforeValidator(lambda value: split_list(value) if isinstance(value, str) else value)


class BulkloadConfig(PostgresConfig):
    """The options of ``bulkload``."""

    headings: ClassVar[Mapping[str, str]] = {
        "host": "the server",
        "input": "places and tables",
        "load": "what is done",
        "method": "the matrix",
        "provider": "provider and prices",
        "max_rejected": "the run",
    }

    input: Text = Field(default="build/demo-bulkload/input", description="folder or prefix with the JSON record files")
    output_dir: Text = Field(
        default="migration_outputs", description="folder or prefix for results and tables; a local one also for the log"
    )
    tables: Annotated[tuple[TableOptions, ...], Structure] = Field(
        default=(), description="which files go to which table, with its columns and key"
    )
    exclude: Names = Field(default=("_SUCCESS", "*.crc", ".DS_Store"), description="globs of names of files not loaded")
    nul: Literal["reject", "strip", "replace"] = Field(
        default="reject", description="what becomes of U+0000, which PostgreSQL cannot store"
    )
    time_zone: Annotated[str, AfterValidator(_known_zone)] = Field(
        default="UTC", description="of times for timestamptz columns that name no zone"
    )
    load: bool = Field(default=False, description="load into the tables, exactly once, with one cell of the matrix")
    replay: bool = Field(default=False, description="try the rejected records of --run-id again")
    recommend: bool = Field(default=False, description="say which measured cell to take; nothing is measured")
    method: Annotated[tuple[Method, ...], Field(min_length=1), _split] = Field(
        default=("spark_jdbc", "spark_jdbc_rewrite", "insert_multi", "copy_text", "copy_binary"),
        description="how rows are sent",
    )
    batch_size: Counts = Field(default=(100, 500, 1000, 2000, 5000), description="rows sent at once")
    connections: Annotated[tuple[Annotated[int, Field(ge=1, le=50)], ...], _split] = Field(
        default=(1, 2, 5, 10), description="connections at once, 1 to 50"
    )
    scenario: Literal["baseline", "small-batch", "multi-connection", "combined"] | None = Field(
        default=None, description="1000x1, 100x1, 1000x10 or 100x10 instead of batch_size and connections"
    )
    repeat: Count = Field(default=3, description="how often each cell is measured")
    roofline: bool = Field(default=True, description="also measure what no method can pass on this server")
    seed: int = Field(default=0, description="of the order in which cells are measured")
    provider: Provider | None = Field(
        default=None, description="whose server it is; gcp, aws and azure read GCP_DB_HOST and so on (or from .env)"
    )
    instance_type: Text | None = Field(default=None, description="what the provider calls the server's machine")
    prices: Annotated[Mapping[str, Annotated[Decimal, Field(gt=0)]], Structure] = Field(
        default={}, description="price of an hour of provider or provider/instance_type"
    )
    emulate: Annotated[Emulation, Structure] | None = Field(
        default=None, description="round_trip_ms and megabits of a slower network to emulate"
    )
    max_rejected: Percentage = Field(default=Decimal(0), description="highest share of rejected records that passes")
    quality: Quality = "off"
    rules: Rules = None
    run_id: RunId | None = Field(default=None, description="name of the run; a load of the same name goes on")
    notify: Notify = None
    log_level: LogLevel = Field(default="INFO", description="how much is logged")

    def table_of(self, path: str) -> TableOptions | None:
        """Returns the first table whose pattern the name of the file meets."""
        name = path.rpartition("/")[2]
        return next((table for table in self.tables if fnmatchcase(name, table.pattern)), None)

    def excludes(self, path: str) -> bool:
        """Tell whether a file is none of the input's records."""
        name = path.rpartition("/")[2]
        return any(fnmatchcase(name, glob) for glob in self.exclude)
