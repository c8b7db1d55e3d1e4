"""The deploy guides: commands that a shell reads, options and files that exist, arithmetic that adds up."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT
from test_readme import JOBS, options_of

GUIDES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("deploy*.md"))}
FILES = sorted(path for path in (ROOT / "conf/deploy").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
NOT_OURS = {"--conf", "--help", "--interactive"}


def commands(page: str) -> list[list[str]]:
    """Returns the words of each command of a page."""
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)).replace("\\\n", " ")
    found, kept = [], ""
    for line in blocks.splitlines():
        kept += line
        try:
            words = shlex.split(kept, comments=True)
        except ValueError:  # a quoted text goes on in the next line
            continue
        found += [words] if words else []
        kept = ""
    return found


def options_of_jobs(page: str) -> list[tuple[str, str]]:
    """Returns the options that the commands of a page give to our jobs, with the job."""
    found = []
    for words in commands(page):
        names = [Path(word).name.removesuffix(".py") for word in words]
        started = any(name in {"spark-submit.sh", "pyspark"} for name in names)
        at = next((at for at, name in enumerate(names) if name in JOBS), None) if started else None
        given = [] if at is None else words[words.index("--") :] if "--" in words else words[at + 1 :]
        found += [
            (names[at], word.partition("=")[0]) for word in given if at is not None and re.match(r"--[a-z]", word)
        ]
    return found


@pytest.mark.parametrize("page", GUIDES)
def test_the_commands_of_a_guide_are_shell(page: str) -> None:
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```$", GUIDES[page], re.DOTALL | re.MULTILINE))
    read = subprocess.run(["bash", "-n"], input=blocks, capture_output=True, text=True, check=False)

    assert blocks
    assert (read.returncode, read.stderr) == (0, "")


def test_every_option_that_a_command_gives_to_a_job_is_one_of_its_options() -> None:
    given = [pair for page in GUIDES.values() for pair in options_of_jobs(page)]

    assert {job for job, _ in given} >= {"reconcile"}
    assert [(job, name) for job, name in given if name not in options_of(JOBS[job]) | NOT_OURS] == []


def test_every_file_for_deploying_is_named_in_a_guide_and_every_named_one_exists() -> None:
    """The guides name them below build/deploy, where the placeholders are filled in, or where they are."""
    text = "\n".join(GUIDES.values())
    named = {name.rstrip(".") for name in re.findall(r"(?:conf|build)/deploy/([\w./-]+\w)", text)}

    assert sorted(name for name in named if not (ROOT / "conf/deploy" / name).exists()) == []
    alike = {f"{job}.policy.json" for job in JOBS}  # the guide says: likewise
    assert [
        path.name
        for path in FILES
        if str(path.relative_to(ROOT / "conf/deploy")) not in named and path.name not in alike
    ] == []


def test_every_placeholder_is_one_that_the_guide_fills_in_or_a_name_of_the_platform() -> None:
    filled = set(re.findall(r"s/([A-Z_]+)/", GUIDES["deploy.md"]))
    by_hand = {
        "APPLICATION_ID", "CLUSTER_ID", "CLUSTER_NAME", "JOB_RUN_ID", "PRIMARY_NODE", "PROJECT_ID", "REGISTRY",
        "SECRET_ARN", "SECRET_ID", "VERSION",
    }  # fmt: skip
    of_the_platforms = {"CONTINUE", "ENABLED", "POD_IP", "POD_NAME", "PYSPARK_DRIVER_PYTHON", "PYSPARK_PYTHON"}
    words = {
        word
        for path in FILES
        if path.suffix in {".json", ".yaml"}
        for word in re.findall(r"\b[A-Z]{4,}(?:_[A-Z]+)*\b", re.sub(r"(?m)#.*$", "", path.read_text(encoding="utf-8")))
    }

    assert words - filled - by_hand - of_the_platforms == set()


@pytest.mark.parametrize("script", [path for path in FILES if path.suffix == ".sh"], ids=lambda path: path.name)
def test_a_script_is_executable_and_passes_shellcheck(script: Path) -> None:
    checked = subprocess.run(
        [str(ROOT / ".venv/bin/shellcheck"), str(script)], capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stdout) == (0, "")
    assert script.stat().st_mode & 0o111


def test_the_estimates_of_costs_are_what_their_terms_give() -> None:
    """A figure that was rounded may be off in its last place by half."""
    sums = re.findall(r":\s+([\d.*/+() -]+) = ([\d.]+)(?: USD)?$", GUIDES["deploy.md"], re.MULTILINE)

    assert len(sums) >= 12
    for terms, figure in sums:
        places = len(figure.partition(".")[2])
        assert eval(terms) == pytest.approx(float(figure), abs=0.51 * 10**-places), terms
