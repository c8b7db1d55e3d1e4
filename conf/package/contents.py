"""Lists the Python packages of the environment that runs it: a CycloneDX bill of materials, and the licences as CSV.

Called by `package.sh` with the Python of the packaged environment: contents.py BOM.json LICENCES.csv
"""

from __future__ import annotations

import csv
import json
import re
import sys
from email.message import Message
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import cast

_LONGEST = 100  # some put the whole text of their licence into the field for its name


def main(bom: str, licences: str) -> int:
    packages = sorted(distributions(), key=name_of)
    without = [name_of(package) for package in packages if not licence_of(package)]
    if without:
        print(f"no licence is stated by: {', '.join(without)}", file=sys.stderr)
        return 1
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "tallymark", "name": "tallymark"}},
        "components": [component(package) for package in packages],
    }
    Path(bom).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    with Path(licences).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("package", "version", "licence"))
        table.writerows((name_of(package), package.version, licence_of(package)) for package in packages)
    return 0


def name_of(package: Distribution) -> str:
    """Returns the name as package indexes write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()


def licence_of(package: Distribution) -> str:
    """Returns the SPDX expression where there is one, else the name, else what the classifiers say."""
    stated = fields_of(package)
    expression, name = stated.get("License-Expression"), stated.get("License") or ""
    classified = [
        line.rpartition(" :: ")[2] for line in stated.get_all("Classifier", []) if line.startswith("License ::")
    ]
    is_name = 0 < len(name) <= _LONGEST and "\n" not in name
    return expression or (name if is_name else "") or "; ".join(classified)


def fields_of(package: Distribution) -> Message:
    """Returns the metadata as what it is; its declared type knows no optional fields."""
    return cast("Message", package.metadata)


def component(package: Distribution) -> dict[str, object]:
    name, version = name_of(package), package.version
    expression = fields_of(package).get("License-Expression")
    licence = {"expression": expression} if expression else {"license": {"name": licence_of(package)}}
    purl = f"pkg:pypi/{name}@{version}"
    return {
        "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "licenses": [licence],
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
