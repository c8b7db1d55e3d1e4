"""The policies of the jobs give each right that a run needs, at the place where it needs it, and no other.

What a run needs is what it asks of a real S3 server, by boto3, S3A and delta-rs alike. Two kinds of requests come
rarely and are provoked: the end of an upload that broke, and the cleaning of a Delta log.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pytest
import yaml
from cryptography.fernet import Fernet
from deltalake import DeltaTable
from pyspark.sql import SparkSession

import tallymark
from bulkload_loads import PEOPLE
from conftest import PYTHON, ROOT
from iam_policies import Call, Policy, call_of, calls_of
from postgres_fixtures import make_database
from s3_server import KEYS, QUICK, Fault, FaultProxy, S3Server
from tallymark.config.maintain import MaintainConfig
from tallymark.errors import IncompleteError
from tallymark.io.delta import append_rows
from tallymark.io.delta_rs import storage_options
from tallymark.io.objects import ObjectStore
from tallymark.io.postgres import Server
from tallymark.io.secrets import read_secret
from tallymark.io.stored import S3Settings
from tallymark.runs.job import read_text
from tallymark.runs.maintain.run import maintain
from test_readme import JOBS

POLICIES = ROOT / "conf/deploy/aws"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db"
PLACES = {
    "SOURCE_BUCKET": "policy-source", "SOURCE_PREFIX": "a/month",
    "BACKUP_BUCKET": "policy-backup", "BACKUP_PREFIX": "b/month",
    "INPUT_BUCKET": "policy-input", "INPUT_PREFIX": "items/2026",
    "OUT_BUCKET": "policy-out",
    "CONF_BUCKET": "policy-conf", "CONF_PREFIX": "tallymark",
    "SECRET_ARN": SECRET,
}  # fmt: skip
CONF = f"s3://{PLACES['CONF_BUCKET']}/{PLACES['CONF_PREFIX']}/job.yaml"
KEY = Fernet.generate_key().decode()


def policy_of(job: str) -> Policy:
    return Policy.read(POLICIES / f"{job}.policy.json", {**PLACES, "OUT_PREFIX": f"results/{job}"})


def out_of(job: str) -> str:
    return f"s3://{PLACES['OUT_BUCKET']}/results/{job}"


class Runs:
    """One run of each job on S3, and what the server was asked in it."""

    def __init__(self, spark: SparkSession, server: S3Server, database: Server) -> None:
        self.spark, self.server, self.database = spark, server, database
        self.needed: dict[str, set[Call]] = {}
        self.store = ObjectStore(S3Settings(server.endpoint_url, "us-east-1", QUICK))

    def put(self, kind: str, name: str, lines: list[object]) -> None:
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        key = f"{PLACES[f'{kind}_PREFIX']}/{name}"
        self.server.client.put_object(Bucket=PLACES[f"{kind}_BUCKET"], Key=key, Body=body)

    def needs(self, job: str) -> set[Call]:
        """Run the job, once for all tests; return the rights that its requests needed."""
        if job not in self.needed:
            self.needed[job] = self._run(job)
        return self.needed[job]

    def _run(self, job: str) -> set[Call]:
        getattr(self, f"prepare_{job}")()
        first = len(self.flushed_log())
        read_text(CONF)
        getattr(self, f"run_{job}")()
        return calls_of(self.flushed_log()[first:])

    def flushed_log(self) -> list[str]:
        """Return the log when it has the last request."""
        name = f"policy-log-{time.monotonic_ns()}"
        self.server.client.list_objects_v2(Bucket="policy-conf", Prefix=name)
        while not any(name in line for line in self.server.log[-20:]):
            time.sleep(0.02)
        return [line for line in self.server.log if "policy-log-" not in line]

    def prepare_reconcile(self) -> None:
        self.put("SOURCE", "x/a.json", [{"id": 1, "v": 1, "w": 1}, {"id": 2}])
        self.put("SOURCE", "b.json", [{"id": 3}])
        self.put("BACKUP", "x/a.json", [{"id": 1, "v": 1, "w": 2}])

    def run_reconcile(self) -> None:
        source, backup = (f"s3://{PLACES[f'{n}_BUCKET']}/{PLACES[f'{n}_PREFIX']}" for n in ("SOURCE", "BACKUP"))
        tallymark.reconcile(self.spark, source=source, backup=backup, out=out_of("reconcile"))

    def prepare_ingest(self) -> None:
        self.put("INPUT", "1.jsonl", [item(0), {"data": "no token"}])
        self.put("INPUT", "later/2.jsonl", [item(number) for number in range(1, 4)])

    def run_ingest(self) -> None:
        """The second time the hour has become too large for one object, which is removed."""
        place = f"s3://{PLACES['INPUT_BUCKET']}/{PLACES['INPUT_PREFIX']}"
        options: dict[str, Any] = {"out": out_of("ingest"), "budget": 100, "records_per_object": 2}
        for files in ("1.jsonl", "later"):
            tallymark.ingest(self.spark, input=f"{place}/{files}", **options)

    def prepare_bulkload(self) -> None:
        self.put("INPUT", "people-1.json", [{"id": number, "name": "x"} for number in range(50)])

    def run_bulkload(self) -> None:
        tallymark.bulkload(
            self.spark, input=f"s3://{PLACES['INPUT_BUCKET']}/{PLACES['INPUT_PREFIX']}", output_dir=out_of("bulkload"),
            tables=(PEOPLE,), load=True, method=("copy_text",), batch_size=(10,), connections=(2,), **self.place,
        )  # fmt: skip

    def prepare_export(self) -> None:
        with self.database.connect("tests") as connection:
            connection.execute("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 25) i")
            connection.execute("ALTER TABLE t ADD PRIMARY KEY (id)")

    def run_export(self) -> None:
        """As the process that it is: it needs no Spark, and forks."""
        out = out_of("export")
        for form, times in (("csv", 2), ("delta", 1)):
            options = {
                "--conf": CONF, "--table": "t", "--format": form, "--to": f"{out}/{form}", "--out": f"{out}/reports",
                "--batch-size": "10", "--snapshot-linger": "1",
            }  # fmt: skip
            options |= {f"--{name}": str(at) for name, at in self.place.items()}
            words = [word for option in options.items() for word in option]
            for _ in range(times):
                command = [str(PYTHON), str(ROOT / "jobs/export.py"), *words, "--no-adapt", "--overwrite", "--verify"]
                subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT / "lib")}, check=True, timeout=300)

    def prepare_quality(self) -> None:
        rules = {
            "table": "people",
            "expectations": [
                {"name": "has_id", "type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}}
            ],
        }
        place = f"{PLACES['CONF_PREFIX']}/rules.yaml"
        self.server.client.put_object(Bucket=PLACES["CONF_BUCKET"], Key=place, Body=json.dumps(rules).encode())
        self.make_table(f"s3://{PLACES['INPUT_BUCKET']}/{PLACES['INPUT_PREFIX']}/people", pa.table({"id": [1, None]}))

    def run_quality(self) -> None:
        table = f"s3://{PLACES['INPUT_BUCKET']}/{PLACES['INPUT_PREFIX']}/people"
        rules = f"s3://{PLACES['CONF_BUCKET']}/{PLACES['CONF_PREFIX']}/rules.yaml"
        tallymark.quality(self.spark, table=table, rules=rules, out=out_of("quality"))

    def prepare_maintain(self) -> None:
        for _ in range(2):
            self.make_table(f"{out_of('maintain')}/delta/runs", pa.table({"run_id": ["x"]}))

    def run_maintain(self) -> None:
        maintain(MaintainConfig(out=out_of("maintain")), os.environ, datetime.now(timezone.utc))

    def make_table(self, uri: str, rows: pa.Table) -> None:
        append_rows(self.store, uri, rows, partition_by=())

    @property
    def place(self) -> dict[str, Any]:
        return {name: getattr(self.database, name) for name in ("host", "port", "user", "dbname")}


def item(number: int) -> dict[str, str]:
    minute = f"2026-03-17T10:{number:02}:00.000000"
    text = str({"user_id": "u", "record_id": f"r{number}", "method": "GET", "url": "/", "inDate": minute})
    return {"data": Fernet(KEY).encrypt(text.encode()).decode()}


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
