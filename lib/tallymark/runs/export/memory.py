"""The memory of this process, as Linux tells it; 0 where it does not."""

from __future__ import annotations

import os
from pathlib import Path


def resident_bytes() -> int:
    """Returns what the process holds in memory now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def peak_bytes() -> int:
    """Returns the most that the process ever held."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)
