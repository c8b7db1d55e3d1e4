"""The name of a run that its user has not named. Called by the runs of all jobs."""

from __future__ import annotations

import uuid
from datetime import datetime


def new_run_id(started: datetime) -> str:
    """Returns a name that sorts by the time, in UTC, and that no other run has."""
    return f"{started:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
