"""What `make package` makes: pinned by hashes, listed with licences, and running wherever it is unpacked."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conftest import ROOT
from test_house import requirements_of_setup

SPARK = {"pyspark", "delta-spark", "py4j"}


def locked(path: Path) -> dict[str, str]:
    """Returns name and version of every requirement of a lock file that is for this machine, all with hashes."""
    found: dict[str, str] = {}
    for entry in re.findall(r"^(\S.*(?:\\\n.*)+)", path.read_text(), re.MULTILINE):
        head, *hashes = (line.strip().rstrip(" \\") for line in entry.splitlines())
        requirement = Requirement(head)
        assert re.match(r"--hash=sha256:[0-9a-f]{64}$", hashes[0]), head
        if requirement.marker is None or requirement.marker.evaluate():
            found[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    return found


WHOLE, CLUSTER = locked(ROOT / "requirements.lock"), locked(ROOT / "conf/package/environment.lock")


def test_every_line_of_a_lock_is_a_pin_with_hashes() -> None:
    for path in (ROOT / "requirements.lock", ROOT / "conf/package/environment.lock"):
        heads = [line for line in path.read_text().splitlines() if line and line[0] not in "# "]
        assert all(re.match(r"[a-z0-9.-]+(\[[a-z,]+\])?==\S+( ; .*)? \\$", line) for line in heads)


def test_the_lock_says_what_requirements_txt_says_and_what_is_installed() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and line[0] != "#"]

    assert {canonicalize_name(pin.name): str(pin.specifier)[2:] for pin in pins}.items() <= WHOLE.items()
    assert {name: version(name) for name in WHOLE} == WHOLE


def test_a_cluster_gets_what_setup_asks_for_in_the_tested_versions_and_no_spark() -> None:
    wanted = {canonicalize_name(Requirement(text).name) for text in requirements_of_setup("install_requires")}

    assert (wanted | {"pandas"}) - CLUSTER.keys() == set()
    assert CLUSTER.items() <= WHOLE.items()
    assert not SPARK & CLUSTER.keys()


def test_the_bill_of_materials_and_the_licences_list_what_is_in_the_archive(package: Path) -> None:
    bom = json.loads((package / "environment.cdx.json").read_text())
    with (package / "environment.licences.csv").open(newline="") as file:
        licences = list(csv.DictReader(file))
    parts = bom["components"]

    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert {part["name"]: part["version"] for part in parts} == CLUSTER
    assert {part["purl"] for part in parts} == {f"pkg:pypi/{name}@{version}" for name, version in CLUSTER.items()}
    assert all(part["licenses"] for part in parts)
    assert {line["package"]: line["version"] for line in licences} == CLUSTER
    known = {line["package"]: line["licence"] for line in licences}
    assert (known["boto3"], known["pandas"], known["psycopg"]) == ("Apache-2.0", "BSD License", "LGPL-3.0-only")


def test_the_archive_runs_where_it_is_unpacked(package: Path, tmp_path: Path) -> None:
    """Beside the code as a zip it is all that a job needs but Spark; it knows no folder of the machine that made it."""
    place = tmp_path / "another place"
    place.mkdir()
    subprocess.run(["tar", "-C", str(place), "-xf", str(package / "environment.tar.gz")], check=True)
    python = place / "bin/python"

    done = subprocess.run(
        [str(python), "-c", "import deltalake, pandas, psycopg, tallymark.runs.job as job; print(pandas.__file__)"],
        env={"PYTHONPATH": str(package / "tallymark.zip"), "PATH": "/nonexistent"},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith(f"{place}/lib/python3.")
    for text in ("bin", "pyvenv.cfg"):
        found = [place / text] if (place / text).is_file() else list((place / text).iterdir())
        assert not [file for file in found if not file.is_symlink() and str(ROOT) in file.read_text()]
    assert os.path.isabs(os.readlink(place / "bin" / os.readlink(place / "bin/python")))


# From the service's own guide, "Using Python libraries with EMR Serverless".
EMR_SERVERLESS = {
    "spark.archives": "s3://BUCKET/tallymark/environment.tar.gz#environment",
    "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": "./environment/bin/python",
    "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": "./environment/bin/python",
    "spark.executorEnv.PYSPARK_PYTHON": "./environment/bin/python",
}


@pytest.fixture
def page() -> str:
    return (ROOT / "docs/clusters.md").read_text()


def test_the_page_names_the_settings_of_emr_serverless_as_the_service_does(page: str) -> None:
    driver = json.loads(re.findall(r"--job-driver '(\{.*?\n\})'", page, re.DOTALL)[0])
    parameters = driver["sparkSubmit"]["sparkSubmitParameters"]
    given = dict(setting.split("=", 1) for setting in re.findall(r"--conf (\S+)", parameters))

    assert {name: given[name] for name in EMR_SERVERLESS} == EMR_SERVERLESS
    assert "--py-files s3://BUCKET/tallymark/tallymark.zip" in parameters
    assert driver["sparkSubmit"]["entryPoint"].endswith("/jobs/reconcile.py")


def test_the_page_s_settings_for_dataproc_fit_what_is_packed(page: str) -> None:
    command = page[page.index("gcloud dataproc") :]

    assert "--archives dist/environment.tar.gz#environment" in command
    assert "spark.pyspark.python=./environment/bin/python" in command
