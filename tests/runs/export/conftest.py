"""The fixtures of whole exports."""

from __future__ import annotations

from export_runs import database, no_variables, run

__all__ = ["database", "no_variables", "run"]
