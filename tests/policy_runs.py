"""One run of each job on S3 for the tests of the policies, and which rights its requests needed.

Each place has a bucket of its own, so that a right at the wrong place shows.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
from cryptography.fernet import Fernet
from pyspark.sql import SparkSession

import tallymark
from bulkload_loads import PEOPLE
from conftest import PYTHON, ROOT
from iam_policies import Call, calls_of
from s3_server import QUICK, S3Server
from tallymark.config.maintain import MaintainConfig
from tallymark.io.delta import append_rows
from tallymark.io.objects import ObjectStore
from tallymark.io.postgres import Server
from tallymark.io.stored import S3Settings
from tallymark.runs.job import read_text
from tallymark.runs.maintain.run import maintain

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
