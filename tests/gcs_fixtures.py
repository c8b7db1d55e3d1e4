"""Fixtures: one GCS emulator per run, a fresh bucket per test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from conftest import free_port
from gcs_server import GcsBucket, gcs_client, start_gcs_server
from s3_server import FaultProxy

_numbers = count(1)


@pytest.fixture(scope="session")
def running_gcs() -> Iterator[FaultProxy]:
    with start_gcs_server(free_port()) as front:
        yield front


@pytest.fixture
def gcs(running_gcs: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> GcsBucket:
    """A bucket, and the environment in which the tools of Google find it; no fault and no request of earlier tests."""
    running_gcs.faults.clear()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", running_gcs.endpoint_url)
    name = f"bucket-{next(_numbers)}"
    client = gcs_client(running_gcs.endpoint_url)
    client.create_bucket(name)
    running_gcs.requests.clear()
    return GcsBucket(name, client, running_gcs)
