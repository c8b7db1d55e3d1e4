"""Tallymark: moves records between S3, Delta Lake and PostgreSQL with Spark, and proves that every record arrived.

Each job is a room of the package and is called like a function: ``tallymark.reconcile(spark, source=...)``,
``tallymark.ingest(spark, input=..., out=...)``, ``tallymark.bulkload(spark, input=..., tables=...)``,
``tallymark.quality(spark, table=..., rules=..., out=...)``.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tallymark import bulkload as _bulkload
from tallymark import ingest as _ingest
from tallymark import quality as _quality
from tallymark import reconcile as _reconcile

if TYPE_CHECKING:
    from tallymark.runs.bulkload.run import bulkload as bulkload  # noqa: TC004 - what a type checker sees
    from tallymark.runs.ingest.run import ingest as ingest  # noqa: TC004 - what a type checker sees
    from tallymark.runs.quality.run import quality as quality  # noqa: TC004 - what a type checker sees
    from tallymark.runs.reconcile.run import reconcile as reconcile  # noqa: TC004 - what a type checker sees

__all__ = ["bulkload", "ingest", "quality", "reconcile"]


class _Job(ModuleType):
    """A room that is called to run its job; the run is imported only then, so executors never load it."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(importlib.import_module(f"tallymark.runs.{name}.run"), name)(*args, **options)


_bulkload.__class__ = _Job
_ingest.__class__ = _Job
_quality.__class__ = _Job
_reconcile.__class__ = _Job
