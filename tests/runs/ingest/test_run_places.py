"""Runs from an API and on S3: windows, the spool, what another process may not overwrite."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.fernet import Fernet
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from conftest import ROOT
from gcs_server import GcsBucket
from s3_server import Bucket
from tallymark.errors import ConfigError, LockedError
from tallymark.ingest.tables import LOGS, PARTITION
from tallymark.io.delta_commit import Table
from tallymark.io.lock import check_fence, hold_lock
from tallymark.io.objects import ObjectStore
from tallymark.runs.ingest.result import IngestResult
from tallymark.runs.ingest.run import ingest

KEY = Fernet.generate_key().decode()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The log API of the demo, without faults of its own that would take time."""
    monkeypatch.setenv("TALLYMARK_FERNET_KEYS", KEY)
    command = [sys.executable, str(ROOT / "demo/log_api.py"), "--port", "0", "--faults", "0.05", "--bad", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


def item(number: int, hour: str = "10") -> bytes:
    time = f"2026-03-17T{hour}:00:00.000000"
    text = str({"user_id": "u", "record_id": f"r{number}", "method": "GET", "url": "/", "inDate": time})
    return json.dumps({"data": Fernet(KEY).encrypt(text.encode()).decode()}).encode()


def test_windows_of_an_api_follow_each_other_and_miss_nothing(api: str, spark: SparkSession, tmp_path: Path) -> None:
    """T1, T4, T25: the watermark goes on, the overlap brings what is late, what comes twice is a duplicate."""
    options: dict[str, Any] = {"pagination": "page", "out": str(tmp_path), "overlap": 30}

    def run(**window: Any) -> IngestResult:
        return ingest(spark, api=f"{api}/page?from={{from}}&to={{to}}", **options, **window)

    first = run(since="2026-10-01T06:00:00Z", until="2026-10-01T07:00:00Z")
    second = run(until="2026-10-01T08:00:00Z")
    empty = run(since="2026-10-01T07:59:59Z", until="2026-10-01T08:00:00Z")
    truth = requests.get(f"{api[:-5]}/truth?from=2026-10-01T06:00:00Z&to=2026-10-01T08:00:00Z", timeout=60).json()

    assert [result.watermark for result in (first, second, empty)] == [
        "2026-10-01T07:00:00Z",
        "2026-10-01T08:00:00Z",
        "2026-10-01T08:00:00Z",
    ]
    assert second.account.duplicates > 100
    assert first.account.written + second.account.written == sum(truth.values())
    rows = DeltaTable(tmp_path / "delta/runs").to_pyarrow_table().to_pylist()
    assert {(row["since"], row["until"]) for row in rows} >= {("2026-10-01T06:30:00Z", "2026-10-01T08:00:00Z")}
    assert list((tmp_path / "spool").iterdir()) == []

    # As after a month of rest: somebody's commit, a checkpoint, and the commits with the accounts are cleaned away.
    logs = DeltaTable(tmp_path / "delta/logs")
    logs.alter.set_table_description("hours")
    logs.create_checkpoint()
    for commit in sorted((tmp_path / "delta/logs/_delta_log").glob("*.json"))[:-1]:
        commit.unlink()
    rested = run(until="2026-10-01T09:00:00Z")

    rows = DeltaTable(tmp_path / "delta/runs").to_pyarrow_table().to_pylist()
    assert [(row["since"], row["until"]) for row in rows if row["run_id"] == rested.run_id] == [
        ("2026-10-01T07:30:00Z", "2026-10-01T09:00:00Z")
    ]


def test_a_watermark_that_a_wrong_clock_has_set_is_not_gone_on_from(
    api: str, spark: SparkSession, tmp_path: Path
) -> None:
    """What the API gets to know until that moment would be asked for by nobody."""
    options: dict[str, Any] = {"pagination": "page", "out": str(tmp_path), "overlap": 0}
    place = f"{api}/page?from={{from}}&to={{to}}"
    ingest(spark, api=place, since="2026-10-01T06:00:00Z", until="2026-10-01T06:00:01Z", **options)
    ahead = ingest(spark, api=place, since="2098-12-31T23:59:59Z", until="2099-01-01T00:00:00Z", **options)

    result = ingest(spark, api=place, until="2026-10-01T06:00:02Z", **options)

    assert (ahead.watermark, result.watermark) == ("2099-01-01T00:00:00Z", "2026-10-01T06:00:02Z")
    rows = DeltaTable(tmp_path / "delta/runs").to_pyarrow_table().to_pylist()
    assert ("2026-10-01T06:00:01Z", "2026-10-01T06:00:02Z") in {(row["since"], row["until"]) for row in rows}


def test_pages_of_a_run_that_failed_are_taken_in_by_the_next(api: str, spark: SparkSession, tmp_path: Path) -> None:
    """The API need not give them twice."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool/killed-000001.json").write_bytes(b"[%s]" % item(1))
    window: dict[str, Any] = {"since": "2026-10-01T06:00:00Z", "until": "2026-10-01T06:00:01Z"}

    with pytest.raises(ConfigError, match="404"):
        ingest(spark, api=f"{api}/page/none", pagination="page", out=str(tmp_path), **window)
    assert [path.name for path in (tmp_path / "spool").iterdir() if "killed" in path.name] == ["killed-000001.json"]
    result = ingest(spark, api=f"{api}/page?from={{from}}&to={{to}}", pagination="page", out=str(tmp_path), **window)

    assert "dt=2026-03-17/hour=10" in result.account.hours
    assert list((tmp_path / "spool").iterdir()) == []


def test_everything_on_s3(bucket: Bucket, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Input, tables and published objects; a run twice; a commit over another one is refused by S3 itself."""
    monkeypatch.setenv("TALLYMARK_FERNET_KEYS", KEY)
    out = f"s3://{bucket.name}/out"
    body = gzip.compress(b"\n".join(item(n, f"{n % 3:02}") for n in range(30)))
    bucket.client.put_object(Bucket=bucket.name, Key="in/a b.jsonl.gz", Body=body)

    first = ingest(spark, input=f"s3://{bucket.name}/in", out=out)
    objects = published(bucket)
    again = ingest(spark, input=f"s3://{bucket.name}/in", out=out)

    assert (first.account.written, again.account.duplicates, again.account.written) == (30, 30, 0)
    assert sorted(objects) == [f"out/published/dt=2026-03-17/hour={hour:02}/logs.json.gz" for hour in range(3)]
    assert published(bucket) == objects
    ddl = bucket.client.get_object(Bucket=bucket.name, Key="out/ddl/athena.sql")["Body"].read().decode()
    assert f"LOCATION 's3://{bucket.name}/out/published/'" in ddl
    tables = [Table(bucket.store, f"{out}/delta/logs", LOGS, PARTITION, "ingest") for _ in range(2)]
    tables[0].commit([], {})
    with pytest.raises(LockedError, match="another process has written"):
        tables[1].commit([], {})


def test_everything_on_gs(gcs: GcsBucket, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYMARK_FERNET_KEYS", KEY)
    gcs.put("in/a b.jsonl.gz", gzip.compress(b"\n".join(item(n, f"{n % 3:02}") for n in range(30))))

    first, again = (ingest(spark, input=f"{gcs.uri}/in", out=f"{gcs.uri}/out") for _ in range(2))

    assert (first.account.written, again.account.duplicates, again.account.written) == (30, 30, 0)
    places = [path for path in gcs.paths("out/published") if path.startswith("dt=")]
    assert len(places) == 3
    assert sum(gzip.decompress(gcs.content(f"out/published/{path}")).count(b"\n") for path in places) == 30


def published(bucket: Bucket) -> dict[str, str]:
    listed = bucket.client.list_objects_v2(Bucket=bucket.name, Prefix="out/published/dt=")
    return {item["Key"]: item["ETag"] for item in listed["Contents"]}


def test_a_task_of_a_run_that_was_overtaken_knows_it(tmp_path: Path) -> None:
    """T20: the driver was paused beyond its expiry; its tasks look at the lock before they replace an object."""
    store, now = ObjectStore(), 1000.0
    with hold_lock(store, str(tmp_path), "paused", ttl_seconds=60, clock=lambda: now) as lock:
        check_fence(store, str(tmp_path), lock.fence)
        with hold_lock(store, str(tmp_path), "next", ttl_seconds=60, clock=lambda: now + 100) as later:
            check_fence(store, str(tmp_path), later.fence)
            with pytest.raises(LockedError, match="no longer held"):
                check_fence(store, str(tmp_path), lock.fence)
