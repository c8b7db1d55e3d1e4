"""Fixtures: one S3 server per run, a fresh bucket per test, and a proxy in front of it that breaks things."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from s3_server import QUICK, Bucket, FaultProxy, S3Server, start_fault_proxy, start_s3_server
from tallymark.io.objects import ObjectStore
from tallymark.io.stored import S3Settings

_numbers = count(1)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with start_s3_server() as server:
        yield server


@pytest.fixture
def bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{next(_numbers)}"
    s3_server.client.create_bucket(Bucket=name)
    return Bucket(name, s3_server.client, ObjectStore(S3Settings(s3_server.endpoint_url, "us-east-1", QUICK)))


@pytest.fixture(scope="session")
def running_proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    with start_fault_proxy(s3_server.endpoint_url) as running:
        yield running


@pytest.fixture
def proxy(running_proxy: FaultProxy) -> FaultProxy:
    """The proxy, without the faults and requests of earlier tests."""
    running_proxy.faults.clear()
    running_proxy.requests.clear()
    running_proxy.draw = None
    return running_proxy
