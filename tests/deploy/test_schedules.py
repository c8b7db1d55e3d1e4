"""State machines, schedules, DAGs and manifests: what they name exists, and each exit code leads where the guide says.

The requests that they make are checked against Amazon's own models of its services, which botocore brings.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore.validate import ParamValidator

from conftest import ROOT
from tallymark import errors
from tallymark.config.loading import option
from test_readme import JOBS, options_of

DEPLOY = ROOT / "conf/deploy"
MACHINES = {name: json.loads((DEPLOY / f"aws/{name}.asl.json").read_text()) for name in ("emr-serverless", "emr-ec2")}
CODES = {value for name, value in vars(errors).items() if name.startswith("EXIT_")} - {errors.EXIT_INTERRUPTED}
END_OF = {0: "AllAccountedFor", 1: "Different", 2: "WrongConfiguration", 3: "Incomplete", 4: "AnotherRunWorks"}


def problems(service: str, operation: str, request: dict[str, Any]) -> str:
    """Returns what Amazon's model of the service says against a request."""
    model = botocore.session.get_session().get_service_model(service).operation_model(operation)
    assert model.input_shape is not None
    report: str = ParamValidator().validate(request, model.input_shape).generate_report()
    return report


def sent(parameters: object) -> Any:
    """Returns the parameters of a state as the service gets them: ``x.$`` filled in, names as in its API."""
    if isinstance(parameters, dict):
        filled = {
            name.removesuffix(".$"): _filled(value) if name.endswith(".$") else value
            for name, value in parameters.items()
        }
        return {name: sent(value) for name, value in filled.items()}
    return parameters


def _filled(expression: str) -> object:
    """Returns some value that the expression may become; a name in quotes is as it is."""
    found = re.match(r"States.Format\('([^']*)'", expression)
    return ["x"] if expression.startswith("States.Array") else found[1].replace("{}", "x") if found else "x"


def lower(request: object) -> Any:
    """Step Functions writes the names of EMR Serverless with a capital, its API without."""
    if isinstance(request, dict):
        return {name[0].lower() + name[1:]: lower(value) for name, value in request.items()}
    return request


def next_of(state: dict[str, Any]) -> Iterator[str]:
    for holder in (state, *state.get("Catch", []), *state.get("Choices", [])):
        yield from (holder[name] for name in ("Next", "Default") if name in holder)


@pytest.mark.parametrize("name", MACHINES)
def test_every_state_of_a_machine_is_reached_and_leads_on_or_ends(name: str) -> None:
    machine = MACHINES[name]
    states, reached, todo = machine["States"], set[str](), [machine["StartAt"]]
    while todo:
        if (state := todo.pop()) not in reached:
            reached.add(state)
            todo += next_of(states[state])

    assert reached == set(states)
    assert [
        one for one, state in states.items() if not list(next_of(state)) and state["Type"] not in {"Succeed", "Fail"}
    ] == []


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("code", sorted(CODES))
def test_each_exit_code_leads_to_its_end(name: str, code: int) -> None:
    """3 is tried twice more; so is a job that did not start, which leaves no code at all."""
    said = f"Job failed, please check complete logs in configured logging destination. ExitCode: {code}. Last few ..."
    known = {"$.failure.Cause": json.dumps({"StateDetails": said}), "$.exit.code": str(code)}

    assert walk(MACHINES[name], code == 0, known) == (END_OF[code], 3 if code == 3 else 1)


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize(
    "said", ["", "ExitCode: 137. Killed", "ExitCode: 12.", "ExitCode: 22.", "ExitCode: 45.", "Spark could not start"]
)
def test_a_code_that_is_none_of_ours_is_incomplete_and_never_an_answer(name: str, said: str) -> None:
    known = {"$.failure.Cause": said, "$.exit.code": said}

    assert walk(MACHINES[name], False, known) == ("Incomplete", 3)


def walk(machine: dict[str, Any], succeeds: bool, known: dict[str, Any]) -> tuple[str, int]:
    """Returns the last state, and how often the job ran."""
    states, state, runs = machine["States"], machine["StartAt"], 0
    while states[state]["Type"] not in {"Succeed", "Fail"}:
        found = states[state]
        runs += state == "RunJob"
        if found["Type"] == "Choice":
            known["$.attempt"] = runs
            state = next((rule["Next"] for rule in found["Choices"] if _holds(rule, known)), found["Default"])
        elif state == "RunJob" and not succeeds:
            state = found["Catch"][0]["Next"]
        else:
            state = found["Next"]
    return state, runs


def _holds(rule: dict[str, Any], known: dict[str, Any]) -> bool:
    value = known[rule["Variable"]]
    if "NumericLessThan" in rule:
        return bool(value < rule["NumericLessThan"])
    if "StringMatches" in rule:
        return fnmatchcase(value, rule["StringMatches"])
    return bool(value == rule["StringEquals"])


def test_the_jobs_are_started_as_the_services_want_it() -> None:
    serverless, step, read = (
        MACHINES[name]["States"][state]["Parameters"]
        for name, state in (("emr-serverless", "RunJob"), ("emr-ec2", "RunJob"), ("emr-ec2", "ReadExitCode"))
    )
    schedule = json.loads((DEPLOY / "aws/schedule.json").read_text())
    added = sent(step)

    assert problems("emr-serverless", "StartJobRun", {"clientToken": "x", **lower(sent(serverless))}) == ""
    assert problems("emr", "AddJobFlowSteps", {"JobFlowId": added["ClusterId"], "Steps": [sent(added["Step"])]}) == ""
    assert problems("s3", "GetObject", sent(read)) == ""
    assert problems("scheduler", "CreateSchedule", schedule) == ""
    assert set(json.loads(schedule["Target"]["Input"])) == {"job", "conf"}


def test_emr_serverless_gets_the_files_that_the_package_has() -> None:
    spark = MACHINES["emr-serverless"]["States"]["RunJob"]["Parameters"]["JobDriver"]["SparkSubmit"]
    settings = dict(re.findall(r"--conf (\S+?)=(\S+)", spark["SparkSubmitParameters"]))

    assert "/jobs/{}.py" in spark["EntryPoint.$"]
    assert spark["SparkSubmitParameters"].startswith("--py-files s3://CODE_BUCKET/CODE_PREFIX/tallymark.zip ")
    assert settings["spark.archives"].endswith("/environment.tar.gz#environment")
    for name in (
        "emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON",
        "emr-serverless.driverEnv.PYSPARK_PYTHON",
        "executorEnv.PYSPARK_PYTHON",
    ):
        assert settings[f"spark.{name}"] == "./environment/bin/python"


def test_the_dags_name_jobs_options_and_exit_codes_that_exist() -> None:
    """Airflow is not installed here: the file is read, not imported. The guide says how Airflow itself ran it."""
    tree = ast.parse((DEPLOY / "airflow/tallymark_dags.py").read_text(encoding="utf-8"))
    values = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    schedules, options = (ast.literal_eval(values[name]) for name in ("SCHEDULES", "OPTIONS"))
    endings = values["ENDINGS"]
    assert isinstance(endings, ast.Dict)
    meant = {
        ast.literal_eval(code): ending.elts[0].id  # type: ignore[attr-defined]
        for code, ending in zip(endings.keys, endings.values, strict=True)
        if code is not None and isinstance(ending, ast.Tuple)
    }

    assert set(schedules) == set(options) == set(JOBS)
    for job, words in options.items():
        assert {word for word in words if word.startswith("--")} <= options_of(JOBS[job])
    assert meant == {
        1: "AirflowFailException", 2: "AirflowFailException", 3: "AirflowException", 4: "AirflowSkipException",
    }  # fmt: skip
    assert {0, *meant} == CODES


def test_the_job_of_kubernetes_tries_again_only_what_may_change() -> None:
    (cron,) = yaml.safe_load_all((DEPLOY / "kubernetes/reconcile.yaml").read_text(encoding="utf-8"))
    job = cron["spec"]["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    fails = next(rule["onExitCodes"] for rule in job["podFailurePolicy"]["rules"] if rule["action"] == "FailJob")
    at = container["args"].index("reconcile")

    assert (fails["containerName"], fails["operator"], fails["values"]) == (container["name"], "In", [1, 2, 4])
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # podFailurePolicy asks for it
    assert [word for word in container["args"][at + 1 :] if not word.startswith("--conf=")] == []
    assert all(word.startswith(("--master", "k8s://", "--conf=spark.")) for word in container["args"][:at])


def test_the_rights_of_the_driver_are_of_pods_in_its_namespace_alone() -> None:
    account, role, binding = yaml.safe_load_all((DEPLOY / "kubernetes/rights.yaml").read_text(encoding="utf-8"))

    assert (account["kind"], role["kind"], binding["kind"]) == ("ServiceAccount", "Role", "RoleBinding")
    assert [rule["resources"] for rule in role["rules"]] == [["pods", "configmaps"]]
    assert "*" not in json.dumps(role)


def test_the_request_of_dataproc_names_a_job_and_its_options() -> None:
    job = json.loads((DEPLOY / "gcp/submit.json").read_text())["job"]["pysparkJob"]
    name = Path(job["mainPythonFileUri"]).stem

    assert {word for word in job["args"] if word.startswith("--")} <= options_of(JOBS[name])
    assert option("source") in job["args"]


STEP = """#!/bin/sh
printf '%s\\n' "$@" >"$TOLD"
exit 3
"""
AWS = """#!/bin/sh
cat >"$OBJECT"
test "$*" = "s3 cp - s3://b/exit/1"
"""


def test_a_step_of_emr_leaves_the_exit_code_of_its_job_and_ends_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "conf/deploy"
    folder.mkdir(parents=True)
    (folder / "emr-step.sh").write_bytes((DEPLOY / "emr-step.sh").read_bytes())
    for place, text in ((tmp_path / "spark-submit.sh", STEP), (tmp_path / "bin/aws", AWS)):
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
        place.chmod(0o755)
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "TOLD": f"{tmp_path}/told", "OBJECT": f"{tmp_path}/object"}
    command = ["bash", str(folder / "emr-step.sh"), "s3://b/exit/1", "reconcile", "--conf", "s3://b/a b.yaml"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (3, "")
    assert (tmp_path / "object").read_text() == "3"
    assert (tmp_path / "told").read_text().splitlines()[-3:] == ["reconcile", "--conf", "s3://b/a b.yaml"]
