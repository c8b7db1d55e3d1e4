"""Pure domain of the job `export`: keys, spans, batch size, checkpoint, manifest, and the engine that orders them.

``from tallymark.export import export_to_csv`` is the job as one Python call: see `tallymark.runs.export.call`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tallymark.runs.export.call import export_to_csv as export_to_csv

__all__ = ["export_to_csv"]


def __getattr__(name: str) -> Any:
    """The run is imported only when it is called: the domain itself knows neither files nor a database."""
    if name != "export_to_csv":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return importlib.import_module("tallymark.runs.export.call").export_to_csv
