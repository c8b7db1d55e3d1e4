"""./spark-submit.sh for a cluster: what it sends along, what it hears of a driver elsewhere, what it refuses to start.

The cluster is a script that tells how it was called; real ones are in test_clusters.py and tests/clusters.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from conftest import ROOT, Submit, make_executable

# Tells its arguments, what the file for the driver holds, and what YARN's client says at the end of an application.
YARN_SUBMIT = """#!/bin/sh
printf '%s\\n' "$@"
for argument; do case "$argument" in *tallymark-environment.json*) shipped="${argument##*,}" ;; esac; done
stat -c 'rights %a' "$shipped"
cat "$shipped"
echo
echo "INFO Client: Submitted application application_17_0001" >&2
echo "ERROR Client: Application diagnostics message: User application exited with status 4" >&2
exit 1
"""
YARN = """#!/bin/sh
for last; do :; done
if [ "$last" = -show_application_log_info ]; then
  printf '%s\\n' "Container: container_e1_17_0001_01_000002 on a" "Container: container_e1_17_0001_01_000001 on b"
  exit
fi
case "$*" in *"-applicationId application_17_0001 -containerId container_e1_17_0001_01_000001 "*) ;; *) exit 1 ;; esac
printf '%s\\n' "Container: c on b" "LogType:$last" LogContents: "the $last of the driver" "End of LogType:$last" "****"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what ./spark-submit.sh needs, with an environment as `make package` leaves it."""
    copy = tmp_path / "checkout"
    for name in ("spark-submit.sh", "conf", "jobs", "lib"):
        source = ROOT / name
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy / name)
    (copy / "dist").mkdir()
    (copy / "dist/environment.tar.gz").touch()
    return copy


@pytest.fixture
def cluster(submit: Submit, checkout: Path, tmp_path: Path) -> Submit:
    make_executable(tmp_path / "spark/bin/spark-submit", YARN_SUBMIT)
    make_executable(tmp_path / "bin/yarn", YARN)
    path = f"{tmp_path}/bin:{submit.environment['PATH']}"
    environment = {**submit.environment, "SPARK_HOME": str(tmp_path / "spark"), "PATH": path}
    return Submit(checkout / "spark-submit.sh", submit.folder, environment)


YARN_CLUSTER = ("--master", "yarn", "--deploy-mode", "cluster")


def test_a_driver_elsewhere_gets_code_packages_conf_and_variables_and_its_caller_gets_its_exit_code(
    cluster: Submit, checkout: Path
) -> None:
    (cluster.folder / "sub").mkdir()
    (cluster.folder / "sub/my month.yaml").write_text("out: s3://a/b\n")

    done = cluster(
        *YARN_CLUSTER, "--files", "x.txt", "--archives", "y.zip", "ingest", "--conf", "sub/my month.yaml", "--out", "o",
        TALLYMARK_FERNET_KEYS="hidden-key", PGPASSWORD="hidden too", HISTFILE="x",
    )  # fmt: skip

    said = done.out.splitlines()
    files = said.index("--files") + 1
    mine, conf, shipped = said[files].split(",")
    script = said.index(f"{checkout}/jobs/ingest.py")
    told = dict(pairwise(said[:script]))
    assert done.code == 4
    assert (mine, conf) == ("x.txt", "sub/my month.yaml")
    assert said[script + 1 : script + 5] == ["--conf", "my month.yaml", "--out", "o"]
    assert told["--conf"] == "spark.yarn.maxAppAttempts=1"
    assert told["--archives"] == f"{checkout}/dist/environment.tar.gz#environment,y.zip"
    assert told["--py-files"] == f"{checkout}/dist/tallymark.zip"
    assert not [line for line in said[: said.index("rights 600")] if "hidden" in line]
    variables = json.loads(next(line for line in said if line.startswith("{")))
    assert (variables["TALLYMARK_FERNET_KEYS"], variables["PGPASSWORD"]) == ("hidden-key", "hidden too")
    assert not [name for name in variables if not name.startswith(("TALLYMARK_", "PG", "GCP_DB_", "AWS_DB_"))]
    assert not Path(shipped).exists()
    assert said[-1] == "the stdout of the driver"
    assert "the stderr of the driver\n" in done.err
    assert "End of LogType" not in done.out + done.err


@pytest.mark.parametrize(
    ("settings", "is_local"),
    [
        (None, True),
        ("spark.executor.cores 2\n", True),
        ("spark.master  local[4]\n", True),
        ("spark.master yarn\n", False),
        ("spark.master=spark://a:7077\n", False),
    ],
)
def test_without_a_master_spark_s_own_settings_say_whether_an_environment_goes_along(
    cluster: Submit, tmp_path: Path, settings: str | None, is_local: bool
) -> None:
    """A Spark that was only unpacked works here, with the Python that is here."""
    (tmp_path / "spark/conf").mkdir()
    if settings is not None:
        (tmp_path / "spark/conf/spark-defaults.conf").write_text(settings)

    done = cluster("--deploy-mode", "cluster", "reconcile", SPARK_CONF_DIR="", MASTER="")

    assert ("#environment" in done.out) == (not is_local)


@pytest.mark.parametrize(
    ("told", "ended", "code"),
    [
        ("exited with status 4", 0, 0),
        ("exited with status 1", 1, 1),
        ("exited with status 3", 1, 3),
        ("exited with status 137", 1, 3),
        ("AM Container exited with exitCode: 137", 1, 3),
    ],
)
def test_the_exit_code_is_what_the_job_said_or_incomplete(
    cluster: Submit, tmp_path: Path, told: str, ended: int, code: int
) -> None:
    make_executable(
        tmp_path / "spark/bin/spark-submit", f"#!/bin/sh\necho 'User application {told}' >&2\nexit {ended}\n"
    )

    assert cluster(*YARN_CLUSTER, "reconcile").code == code


def test_a_log_that_cannot_be_had_is_named(cluster: Submit, tmp_path: Path) -> None:
    (tmp_path / "bin/yarn").unlink()

    done = cluster(*YARN_CLUSTER, "export")

    assert done.code == 4
    assert done.err.endswith(
        "tallymark: what the job said is in its log: yarn logs -applicationId application_17_0001\n"
    )


def test_a_file_of_conf_on_s3_is_the_driver_s_to_read(cluster: Submit) -> None:
    done = cluster(*YARN_CLUSTER, "export", "--conf=s3://conf/export.yaml")

    assert "--conf=s3://conf/export.yaml" in done.out.splitlines()


def test_it_starts_from_any_folder_and_through_a_link(cluster: Submit, checkout: Path, tmp_path: Path) -> None:
    link = tmp_path / "links/reconcile-it"
    link.parent.mkdir()
    link.symlink_to(checkout / "spark-submit.sh")

    for start in (replace(cluster, folder=Path("/")), replace(cluster, script=link)):
        assert f"{checkout}/jobs/reconcile.py" in start(*YARN_CLUSTER, "reconcile").out.splitlines()


def spark_of(folder: Path, version: str) -> None:
    (folder / "jars").mkdir()
    (folder / f"jars/spark-core_2.12-{version}.jar").touch()


def test_a_spark_that_is_too_old_is_one_line(cluster: Submit, tmp_path: Path) -> None:
    spark_of(tmp_path / "spark", "3.3.4")

    done = cluster("--master", "yarn", "reconcile")

    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"tallymark: needs Spark 3.5 or newer, found 3.3 in {tmp_path}/spark: name another by SPARK_HOME, or unset it\n"
    )


@pytest.mark.parametrize(("spark", "needed"), [("3.5.6-amzn-1", "8, 11 or 17"), ("4.1.1", "17 or 21")])
@pytest.mark.parametrize(("said", "found"), [('java version "1.7.0_80"', "7"), ("", "none")])
def test_a_java_that_is_too_old_or_missing_is_one_line(
    cluster: Submit, tmp_path: Path, spark: str, needed: str, said: str, found: str
) -> None:
    spark_of(tmp_path / "spark", spark)
    if said:
        make_executable(tmp_path / "java/bin/java", f"#!/bin/sh\necho '{said}' >&2\n")

    done = cluster("--master", "yarn", "reconcile", JAVA_HOME=str(tmp_path / "java"), CI="")

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(
        f"tallymark: needs Java {needed} (found {found}). On Debian and Ubuntu: apt-get install -y "
    )
    assert done.err.count("\n") == 1


def test_java_8_is_enough_for_spark_3_5(cluster: Submit, tmp_path: Path) -> None:
    spark_of(tmp_path / "spark", "3.5.6")
    make_executable(tmp_path / "java/bin/java", "#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")

    assert cluster(*YARN_CLUSTER, "reconcile", JAVA_HOME=str(tmp_path / "java")).code == 4


def test_the_local_line_names_a_java_that_is_too_old_before_it_starts_it(submit: Submit, tmp_path: Path) -> None:
    make_executable(tmp_path / "java/bin/java", "#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\nexit 0\n")
    places = [f"--{name}={tmp_path}/{name}" for name in ("source", "backup", "out")]
    for side in ("source", "backup"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "a.json").write_text("{}\n")

    done = submit("reconcile", *places, JAVA_HOME=str(tmp_path / "java"))

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("reconcile: Spark needs Java 17 or newer, found Java 8 (")
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
