"""Stops a job with one line where this Python is too old or lacks packages. Imported first of all, by `jobs/`.

Without it such a job would end with Python's own exit code 1, which says "different". Imports nothing of the package,
and must itself run on any Python 3.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

# What setup.py asks for, as it is imported.
PACKAGES = (
    "apscheduler", "boto3", "cryptography", "deltalake", "isal", "jinja2", "msgspec", "numpy", "orjson", "psycopg",
    "pyarrow", "pydantic", "requests", "rich", "xlsxwriter", "yaml",
)  # fmt: skip
_ADVICE = "run `make package` and submit again, or name a fitting Python by PYSPARK_PYTHON (docs/clusters.md)"
_USAGE = 2


def lack(version: tuple[int, ...]) -> str | None:
    """Returns what is wrong with a Python of this version, or None."""
    if version < (3, 10):
        return f"needs Python 3.10 or newer, and {sys.executable} is {version[0]}.{version[1]}"
    missing = [name for name in PACKAGES if find_spec(name) is None]
    return f"{sys.executable} lacks {', '.join(missing)}" if missing else None


found = lack(sys.version_info[:3])
if found:
    sys.stderr.write(f"tallymark: {found}: {_ADVICE}\n")
    sys.exit(_USAGE)
