"""Finds what somebody meant by a misspelt name. Called by whoever refuses one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggestion(wrong: str, names: Iterable[str]) -> str:
    """Name the nearest right spelling, as a sentence; empty if nothing is near."""
    spelt = {name.lower(): name for name in names}
    nearest = difflib.get_close_matches(wrong.lower(), spelt, n=1)
    return f" Did you mean {spelt[nearest[0]]}?" if nearest else ""
