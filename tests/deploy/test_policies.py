"""The policies of the jobs give each right that a run needs, at the place where it needs it, and no other.

What a run needs is what it asks of a real S3 server, by boto3, S3A and delta-rs alike. Two kinds of requests come
rarely and are provoked: the end of an upload that broke, and the cleaning of a Delta log.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import boto3
import pyarrow as pa
import pytest
import yaml
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from conftest import ROOT
from iam_policies import Call, Policy, call_of
from policy_runs import KEY, PLACES, SECRET, Runs, out_of
from postgres_fixtures import make_database
from s3_server import KEYS, Fault, FaultProxy, S3Server
from tallymark.errors import IncompleteError
from tallymark.io.delta import append_rows
from tallymark.io.delta_rs import storage_options
from tallymark.io.postgres import Server
from tallymark.io.secrets import read_secret
from test_readme import JOBS

POLICIES = ROOT / "conf/deploy/aws"


def policy_of(job: str) -> Policy:
    return Policy.read(POLICIES / f"{job}.policy.json", {**PLACES, "OUT_PREFIX": f"results/{job}"})


@pytest.fixture(scope="module")
def runs(spark: SparkSession, s3_server: S3Server, postgres: Server) -> Iterator[Runs]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**s3_server.environment, "TALLYMARK_FERNET_KEYS": KEY}.items():
            patch.setenv(name, value)
        for kind in ("SOURCE", "BACKUP", "INPUT", "OUT", "CONF"):
            s3_server.client.create_bucket(Bucket=PLACES[f"{kind}_BUCKET"])
        made = Runs(spark, s3_server, make_database(postgres))
        made.put("CONF", "job.yaml", [{}])
        yield made


def rare_calls(runs: Runs, proxy: FaultProxy, job: str, large: Path) -> set[Call]:
    """What a run asks of its output folder only when an upload breaks, or when a Delta log has grown old."""
    large.write_bytes(bytes(9 << 20))
    proxy.faults.append(Fault("PUT", "partNumber=2", status=400, code="BadDigest"))
    with pytest.raises(IncompleteError):
        proxy.store.put_file(large, f"{out_of(job)}/large")
    broken = {call_of(method, path) for method, path, _ in proxy.requests}

    table, rows = f"{out_of(job)}/old", pa.table({"run_id": ["x"]})
    settings = {"delta.logRetentionDuration": "interval 0 seconds", "delta.checkpointInterval": "2"}
    options = storage_options(runs.store, table)
    DeltaTable.create(table, rows.schema, storage_options=options, configuration=settings)
    entries = set[str]()
    for _ in range(5):
        entries |= {obj.uri for obj in runs.store.list_objects(table)}
        append_rows(runs.store, table, rows, partition_by=())
    cleaned = entries - {obj.uri for obj in runs.store.list_objects(table)}
    assert cleaned
    return broken | {Call("s3:DeleteObject", f"arn:aws:s3:::{uri.removeprefix('s3://')}") for uri in cleaned}


@pytest.mark.parametrize("job", JOBS)
def test_a_policy_allows_what_a_run_asks_for_and_nothing_else(
    job: str, runs: Runs, proxy: FaultProxy, tmp_path: Path
) -> None:
    """Whoever takes a grant away, or gives one more, is told which."""
    policy = policy_of(job)
    calls = runs.needs(job) | secret_calls(job)
    if any(call.action == "s3:PutObject" for call in calls):
        calls |= rare_calls(runs, proxy, job, tmp_path / "large")

    assert policy.refused(calls) == set()
    assert policy.unused(calls) == set()
    for sid, action in policy.grants:
        assert policy.without(sid, action).refused(calls), f"{sid} {action} could go"


@pytest.mark.parametrize("job", JOBS)
def test_no_secret_is_in_what_a_run_leaves(job: str, runs: Runs) -> None:
    """T12, S3: objects by their bytes, unpacked where they are packed; nor in what Spark was set to."""
    runs.needs(job)
    secrets = [secret.encode() for secret in (KEYS["AWS_SECRET_ACCESS_KEY"], KEY)]
    left = {obj.uri: b"".join(runs.store.read_chunks(obj)) for obj in runs.store.list_objects(out_of(job))}
    left |= {name: gzip.decompress(body) for name, body in left.items() if name.endswith(".gz")}
    left["settings of Spark"] = str(runs.spark.sparkContext.getConf().getAll()).encode()

    assert len(left) > 4
    assert [name for name, body in left.items() for secret in secrets if secret in body] == []


def secret_calls(job: str) -> set[Call]:
    """The right to read secrets, of a job that takes a reference to one."""
    takes = '_from"' in json.dumps(JOBS[job].model_json_schema())  # also one inside of another option
    return {Call("secretsmanager:GetSecretValue", SECRET)} if takes else set()


def test_a_superfluous_action_is_found() -> None:
    policy = Policy(({"Sid": "Read", "Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"],
                      "Resource": ["arn:aws:s3:::b/p/*"]},))  # fmt: skip
    needed = {call_of("GET", "/b/p/x")}

    assert policy.unused(needed) == {("Read", "s3:GetObjectVersion")}
    assert policy.refused({*needed, call_of("GET", "/b/other/x")}) == {call_of("GET", "/b/other/x")}
    assert policy.without("Read", "s3:GetObject").refused(needed) == needed


@pytest.mark.usefixtures("runs")
def test_a_secret_of_aws_is_one_request_that_the_policies_name(proxy: FaultProxy, s3_server: S3Server) -> None:
    session = boto3.Session("testing", "testing", region_name="us-east-1")
    session.client("secretsmanager", endpoint_url=s3_server.endpoint_url).create_secret(Name="db", SecretString="x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", proxy.endpoint_url)
        read_secret("aws:db", {"AWS_REGION": "us-east-1"})

    asked = {headers.get("X-Amz-Target") for *_, headers in proxy.requests}
    assert asked == {"secretsmanager.GetSecretValue"}


def test_the_code_asks_no_other_service_of_aws() -> None:
    """CloudWatch, KMS, STS and Glue stand in no policy, because nothing calls them."""
    code = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "lib").rglob("*.py")))
    clients = set(re.findall(r"""\.client\(\s*["']([\w-]+)["']""", code))
    granted = {action.partition(":")[0] for job in JOBS for _, action in policy_of(job).grants}

    assert clients == {"s3", "secretsmanager"} == granted


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.policy.json")), ids=lambda path: path.name)
def test_a_policy_is_one_that_iam_takes_and_names_no_wildcard_for_actions(path: Path, s3_server: S3Server) -> None:
    text = path.read_text(encoding="utf-8")
    statements = json.loads(text)["Statement"]
    session = boto3.Session("testing", "testing", region_name="us-east-1")
    iam = session.client("iam", endpoint_url=s3_server.endpoint_url)
    iam.create_policy(PolicyName=path.name.replace(".", "-"), PolicyDocument=text.replace("SECRET_ARN", SECRET))

    assert [action for one in statements for action in one["Action"] if "*" in action] == []
    assert [one["Sid"] for one in statements if "*" in one["Resource"]] == []


S3_TO_GCS = {
    "s3:GetObject": {"storage.objects.get"},
    "s3:ListBucket": {"storage.objects.list"},
    "s3:PutObject": {"storage.objects.create", "storage.objects.delete"},  # to replace is to delete
    "s3:DeleteObject": {"storage.objects.delete"},
    "s3:AbortMultipartUpload": set[str](),  # an upload that broke ends by itself
}


@pytest.mark.parametrize(("role", "sids"), [("read", ("List", "Read")), ("write", ("List", "Write"))])
def test_a_role_of_google_cloud_gives_what_the_policies_of_aws_give(role: str, sids: tuple[str, ...]) -> None:
    found = yaml.safe_load((ROOT / f"conf/deploy/gcp/{role}.role.yaml").read_text(encoding="utf-8"))
    place = {"read": "Source", "write": "Out"}[role]
    actions = {action for sid, action in policy_of("reconcile").grants if sid in {f"{one}{place}" for one in sids}}

    assert found["includedPermissions"] == sorted(set[str]().union(*(S3_TO_GCS[action] for action in actions)))
