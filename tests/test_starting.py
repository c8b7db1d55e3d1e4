"""A job on a Python that cannot run it says so in one line and ends with 2, never with 1, which says "different"."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conftest import ROOT
from tallymark.starting import PACKAGES, lack
from test_house import requirements_of_setup

JOBS = sorted(path.stem for path in (ROOT / "jobs").glob("*.py"))


@pytest.mark.parametrize("job", JOBS)
def test_a_python_without_the_packages_is_one_line_and_exit_code_2(job: str) -> None:
    # Without site-packages any Python is a bare one.
    bare = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]
    environment = {"PYTHONPATH": str(ROOT / "lib"), "PATH": "/usr/bin:/bin"}

    done = subprocess.run(
        [bare, "-S", str(ROOT / "jobs" / f"{job}.py")], env=environment, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"tallymark: {bare} lacks apscheduler, boto3, ")
    assert "run `make package`" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_python_that_is_too_old_is_named() -> None:
    assert lack((3, 9, 18)) == f"needs Python 3.10 or newer, and {sys.executable} is 3.9"
    assert lack((3, 10, 0)) is None


def test_what_is_looked_for_is_what_setup_asks_for() -> None:
    optional = {"pyspark", "delta-spark"}
    given = packages_distributions()
    looked_for = {canonicalize_name(given[name][0]) for name in PACKAGES}

    wanted = [canonicalize_name(Requirement(text).name) for text in requirements_of_setup("install_requires")]

    assert looked_for == set(wanted) - optional
    assert len(PACKAGES) == len(wanted)


@pytest.mark.parametrize("job", JOBS)
def test_nothing_that_may_be_missing_is_imported_before(job: str) -> None:
    text = (ROOT / f"jobs/{job}.py").read_text()
    before, found, _ = text.partition("import tallymark.starting")

    assert found
    assert {line.split()[1] for line in before.splitlines() if line.startswith(("import ", "from "))} <= {
        "__future__", "datetime", "logging", "os", "sys", "pathlib",
    }  # fmt: skip
