"""./spark-submit.sh: which job and which Spark it starts, what reaches the job, and what comes back from it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from conftest import ROOT, Submit, make_executable

# A job that starts no Spark: it tells what it was given and ends as it is told.
PROBE = """
import json, os, sys
import tallymark
names = ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "PYSPARK_SUBMIT_ARGS")
print(json.dumps({"argv": sys.argv[1:], "folder": os.getcwd(), "package": tallymark.__file__,
                  **{name: os.environ.get(name) for name in names}}))
sys.exit(int(os.environ.get("PROBE_EXIT", "0")))
"""

# A job whose work is done by executors: it tells from where they import the package, and commits to Delta.
SHIPPED = """
import sys
from tallymark.io.session import spark_session

def imported(_):
    import tallymark.errors
    return tallymark.errors.__file__

spark = spark_session("shipped")
print(spark.sparkContext.master, *spark.sparkContext.parallelize([0], 1).map(imported).collect())
spark.range(3).write.format("delta").save(sys.argv[1])
print(spark.read.format("delta").load(sys.argv[1]).count(), "rows")
spark.stop()
sys.exit(1)
"""

# A job that waits in a call to Java for a task that does not end.
SLEEPY = """
import sys, time
from tallymark.io.session import spark_session

spark = spark_session("sleepy")
print("up", flush=True)
try:
    spark.sparkContext.parallelize([0], 1).map(lambda _: time.sleep(300)).collect()
except KeyboardInterrupt:
    spark.stop()
    print("in order")
    sys.exit(130)
"""

# Stands for the spark-submit of a cluster: tells how it was called.
CLUSTER_SUBMIT = """#!/bin/sh
printf '%s\\n' "$@"
exit 3
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    folder = tmp_path / "jobs"
    folder.mkdir()
    (folder / "probe.py").write_text(PROBE)
    (folder / "shipped.py").write_text(SHIPPED)
    (folder / "sleepy.py").write_text(SLEEPY)
    return folder


@pytest.mark.parametrize("job", sorted(path.stem for path in (ROOT / "jobs").glob("*.py")))
def test_help_of_every_job_needs_no_java(submit: Submit, job: str) -> None:
    done = submit(job, "--help", JAVA_HOME="/nonexistent")

    assert done.code == 0, done.err
    assert f"usage: {job}" in done.out.lower().replace("./spark-submit.sh ", "")


def test_a_wrong_option_of_a_job_exits_two_and_needs_no_java(submit: Submit) -> None:
    done = submit("reconcile", "--sorce", "x", JAVA_HOME="/nonexistent")

    assert done.code == 2
    assert "--sorce" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "arguments", [("reconcil",), ("../jobs/reconcile",), (), ("--master",), ("--master", "local[2]")]
)
def test_an_unknown_job_or_none_exits_two_and_names_the_jobs(submit: Submit, arguments: tuple[str, ...]) -> None:
    done = submit(*arguments)

    assert done.code == 2
    assert "JOB is one of: " in done.err
    assert " reconcile" in done.err


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 130])
def test_the_exit_code_is_the_job_s(submit: Submit, jobs: Path, code: int) -> None:
    assert submit("probe", TALLYMARK_JOBS=str(jobs), PROBE_EXIT=str(code)).code == code


def test_the_job_gets_its_options_unchanged_in_the_folder_of_the_caller(submit: Submit, jobs: Path) -> None:
    given = ["--source", "./a b", "--key", 'it\'s "x"', "$HOME", "", "--master", "mine", "é*"]

    seen = json.loads(submit("probe", *given, TALLYMARK_JOBS=str(jobs)).out)

    assert seen["argv"] == given
    assert seen["folder"] == str(submit.folder)
    assert seen["package"] == str(ROOT / "lib/tallymark/__init__.py")


def test_options_of_spark_submit_are_read_up_to_the_job_and_reach_spark(submit: Submit, jobs: Path) -> None:
    """The value of an option may be the name of a job, and quotes survive."""
    options = ["--name", "reconcile", "--verbose", "--conf", "spark.x=it's 1", "--jars=/extra.jar"]

    seen = json.loads(submit(*options, "probe", TALLYMARK_JOBS=str(jobs)).out)

    submitted = seen["PYSPARK_SUBMIT_ARGS"]
    assert "'--name' 'reconcile' '--verbose' '--conf' 'spark.x=it'\\''s 1'" in submitted
    assert "'--jars' '/extra.jar'" in submitted
    assert "delta-spark" in submitted
    assert submitted.endswith(" pyspark-shell")


def test_the_local_line_sets_python_and_keeps_what_the_user_set(submit: Submit, jobs: Path) -> None:
    own = json.loads(submit("probe", TALLYMARK_JOBS=str(jobs)).out)
    users = json.loads(submit("probe", TALLYMARK_JOBS=str(jobs), PYSPARK_PYTHON="./environment/bin/python").out)

    assert own["PYSPARK_PYTHON"] == own["PYSPARK_DRIVER_PYTHON"] == str(ROOT / ".venv/bin/python")
    assert users["PYSPARK_PYTHON"] == "./environment/bin/python"


@pytest.mark.parametrize("found_by", ["SPARK_HOME", "PATH"])
def test_the_spark_of_a_cluster_gets_the_zip_and_none_of_our_jars(
    submit: Submit, jobs: Path, tmp_path: Path, found_by: str
) -> None:
    make_executable(tmp_path / "spark/bin/spark-submit", CLUSTER_SUBMIT)
    binaries = str(tmp_path / "spark/bin")
    there = {"SPARK_HOME": str(tmp_path / "spark")} if found_by == "SPARK_HOME" else {}
    there = there or {"PATH": f"{binaries}:{submit.environment['PATH']}"}

    done = submit(
        "--master", "yarn", "--py-files", "more.zip", "--jars", "x.jar", "probe", "-x", "1",
        TALLYMARK_JOBS=str(jobs), PYSPARK_PYTHON="python3", **there,
    )  # fmt: skip

    assert done.code == 3, done.err
    assert done.out.splitlines() == [
        "--master", "yarn", "--py-files", f"{ROOT}/dist/tallymark.zip,more.zip", "--jars", "x.jar",
        f"{jobs}/probe.py", "-x", "1",
    ]  # fmt: skip
    with zipfile.ZipFile(ROOT / "dist/tallymark.zip") as shipped:
        pages = [name for name in shipped.namelist() if not name.endswith((".py", "py.typed"))]
    assert pages == [f"tallymark/report/page/page.{kind}" for kind in ("css", "html", "js")]


def test_a_spark_submit_that_pip_installed_is_not_taken_for_a_cluster(
    submit: Submit, jobs: Path, tmp_path: Path
) -> None:
    make_executable(tmp_path / "bin/spark-submit", CLUSTER_SUBMIT)
    make_executable(tmp_path / "bin/find_spark_home.py", "")

    done = submit("probe", TALLYMARK_JOBS=str(jobs), PATH=f"{tmp_path}/bin:{submit.environment['PATH']}")

    assert done.code == 0, done.err
    assert json.loads(done.out)["argv"] == []


@pytest.mark.parametrize(
    ("arguments", "missing", "packages"),
    [
        (["--help"], "Python 3.11, 3.12 or 3.13 with its venv (found Python 3.9.2)", "python3-venv"),
        (
            ["--source", "a", "--backup", "b"],
            "Python 3.11, 3.12 or 3.13 with its venv (found Python 3.9.2) and Java 17 or 21 (found 16)",
            "python3-venv default-jre-headless",
        ),
    ],
)
def test_what_the_machine_lacks_is_told_before_anything_is_made_with_one_command(
    submit: Submit, tmp_path: Path, arguments: list[str], missing: str, packages: str
) -> None:
    copy = tmp_path / "copy"
    for name in ("spark-submit.sh", "requirements.txt", "requirements.lock", "conf", "jobs", "lib"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        source = ROOT / name
        shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy / name)
    for name in ("python", "python3", "python3.10", "python3.11", "python3.12", "python3.13"):
        make_executable(tmp_path / f"old/{name}", '#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.2 && exit\nexit 1\n')
    make_executable(tmp_path / "old/java", "#!/bin/sh\necho 'openjdk version \"16.0.2\" 2021-07-20' >&2\n")

    done = Submit(copy / "spark-submit.sh", submit.folder, submit.environment)(
        "reconcile", *arguments, PATH=f"{tmp_path}/old:/usr/bin:/bin", JAVA_HOME="", CI=""
    )

    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"tallymark: needs {missing}. On Debian and Ubuntu: apt-get install -y {packages}. "
        "Another than the default is named by PYTHON=/path/to/python3.11 or by JAVA_HOME\n"
    )
    assert not (copy / ".venv").exists()


def test_a_local_job_commits_to_delta_and_stays_silent(submit: Submit, jobs: Path, tmp_path: Path) -> None:
    done = submit("--master", "local[2]", "shipped", str(tmp_path / "table"), TALLYMARK_JOBS=str(jobs))

    assert done.code == 1, done.err
    assert done.out == f"local[2] {ROOT}/lib/tallymark/errors.py\n3 rows\n"
    assert done.err == ""
    assert list(submit.folder.iterdir()) == []


def test_ctrl_c_in_the_middle_of_a_spark_call_lets_the_job_end_in_order(submit: Submit, jobs: Path) -> None:
    """A terminal sends the signal to the whole group of processes, Java among them."""
    with subprocess.Popen(
        # Started in the background of a script, the tests ignore the signal, and so would their children.
        ["env", "--default-signal=INT", str(submit.script), "sleepy"],
        cwd=submit.folder,
        env={**submit.environment, "TALLYMARK_JOBS": str(jobs)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        time.sleep(3)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (130, "in order\n"), err
    assert "Traceback" not in err
