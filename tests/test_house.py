"""Rules of the house that no other tool holds."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "lib").rglob("*.py"))
FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base", "handler"}
LONGEST = 300


def test_git_tracks_the_package() -> None:
    """A `.gitignore` that says `lib/`, as many do, would leave the repository without its code."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")

    assert git("check-ignore", "--no-index", *map(str, MODULES)) == ""
    if git("rev-parse", "--verify", "--quiet", "HEAD"):
        assert "lib/tallymark/__init__.py" in git("ls-files", "lib").splitlines()


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "lib")))
def test_a_module_has_a_telling_name_a_docstring_and_an_end(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert not FORBIDDEN & set(re.split(r"[/_.]", str(path.relative_to(ROOT / "lib"))))
    assert ast.get_docstring(ast.parse(text)), "say what lives here, what does not, and who calls it"
    assert len(text.splitlines()) <= LONGEST


def test_only_one_module_asks_which_spark_it_is() -> None:
    """`session` hands the word of pyspark to it, and nothing else there depends on it."""
    asks = re.compile(
        r"pyspark\.(__)?version|\b(spark|session|context|sparkContext)\.version\b|VersionInfo|SPARK_VERSION"
    )
    found = [
        (path.stem, line.strip())
        for path in MODULES
        for line in path.read_text(encoding="utf-8").splitlines()
        if asks.search(line) and path.stem != "spark_lines"
    ]

    assert found == [("session", "line = spark_lines.line_of(pyspark.__version__)")]


def test_every_requirement_of_the_package_has_a_pin_that_it_accepts() -> None:
    wanted = [Requirement(text) for text in requirements_of_setup()]
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = {
        pin.name.lower(): pin.specifier for pin in map(Requirement, (line for line in lines if line and line[0] != "#"))
    }

    assert all(str(pin).startswith("==") for pin in pins.values())
    for requirement in wanted:
        pin = pins.get(requirement.name.lower())
        assert pin is not None, f"{requirement.name} has no pin"
        assert requirement.specifier.contains(str(pin)[2:]), f"{requirement} refuses its pin {pin}"
    assert sorted(pins) == sorted(requirement.name.lower() for requirement in wanted)


def requirements_of_setup(only: str = "") -> list[str]:
    """Return every string of the lists ``install_requires`` and ``extras_require``, or of one, without running it."""
    call = next(
        node
        for node in ast.walk(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"
    )
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg in EXPECTED}
    assert set(given) == EXPECTED
    if only:
        return list(given[only])
    return [*given["install_requires"], *(text for extra in given["extras_require"].values() for text in extra)]


EXPECTED = {"install_requires", "extras_require"}
