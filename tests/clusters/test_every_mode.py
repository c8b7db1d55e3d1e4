"""Each job on a standalone cluster and on YARN, in both deploy modes: exit code, output, log, and what it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster_fixtures import Cluster
from cluster_jobs import KEY, Job, bulkload_job, export_job, ingest_job, reconcile_job
from s3_server import Bucket, S3Server
from tallymark.io.postgres import Server

# The farthest way is a part of `make test`, the others are for `make test-clusters`.
STARTS = [
    pytest.param(job, kind, marks=() if (job, kind) == ("reconcile", "yarn cluster") else pytest.mark.clusters)
    for kind in ("standalone client", "yarn client", "yarn cluster")
    for job in ("reconcile", "ingest", "bulkload", "export")
]


@pytest.fixture
def job(
    request: pytest.FixtureRequest, bucket: Bucket, s3_server: S3Server, fresh_database: Server, tmp_path: Path
) -> Job:
    jobs = {
        "reconcile": lambda: reconcile_job(bucket, s3_server, tmp_path),
        "ingest": lambda: ingest_job(bucket, s3_server),
        "bulkload": lambda: bulkload_job(bucket, fresh_database, tmp_path),
        "export": lambda: export_job(bucket, fresh_database),
    }
    return jobs[request.param]()


@pytest.mark.parametrize(("job", "kind"), STARTS, indirect=["job"])
def test_a_job_does_the_same_wherever_its_driver_and_executors_run(
    request: pytest.FixtureRequest, kind: str, job: Job
) -> None:
    manager, mode = kind.split()
    cluster: Cluster = request.getfixturevalue({"standalone": "standalone_pair", "yarn": "yarn_cluster"}[manager])

    ended = cluster(job.name, *job.arguments, mode=mode, **job.environment)

    assert ended.code == job.code, ended.err[-5000:]
    assert job.line in ended.out
    assert job.left() == job.expected
    assert "Traceback" not in ended.err
    assert KEY not in ended.out + ended.err
    # What the driver logs reaches whoever submitted, from the cluster too.
    assert job.name != "ingest" or "cut.json.gz" in ended.out + ended.err
