"""Fixtures: one GCS emulator per run, a fresh bucket per test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from gcs_server import GcsBucket, GcsServer, gcs_client, start_gcs_server
from postgres_server import free_port

_numbers = count(1)


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[GcsServer]:
    with start_gcs_server(free_port()) as server:
        yield server


@pytest.fixture
def gcs(gcs_server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> GcsBucket:
    """A bucket, and the environment in which the tools of Google find it; no fault and no request of earlier tests."""
    gcs_server.proxy.faults.clear()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server.endpoint_url)
    name = f"bucket-{next(_numbers)}"
    client = gcs_client(gcs_server.endpoint_url)
    client.create_bucket(name)
    gcs_server.proxy.requests.clear()
    return GcsBucket(name, client, gcs_server)
