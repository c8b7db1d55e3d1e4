"""The GCS emulator as the tests know it: its process, a proxy before it that breaks things, buckets with their clients.

What the emulator is, and where it is not like Google's server: `gcs_emulator`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

from s3_server import QUICK, Fault, FaultProxy, start_fault_proxy
from tallymark.io.objects import ObjectStore
from tallymark.io.stored import GcsSettings, StoredObject


@dataclass(frozen=True)
class GcsServer:
    """Where Google's tools find the emulator, where it is without its front, and a proxy that takes faults."""

    endpoint_url: str
    bare_url: str
    proxy: FaultProxy


@dataclass(frozen=True)
class GcsBucket:
    """A fresh bucket, a plain client to prepare it, and the store under test.

    The store passes by the proxy; ``direct`` does not, for delta-rs, which holds up the threads of the proxy.
    """

    name: str
    client: Client
    server: GcsServer

    @property
    def proxy(self) -> FaultProxy:
        return self.server.proxy

    @property
    def store(self) -> ObjectStore:
        return ObjectStore(gcs=GcsSettings(self.proxy.endpoint_url, QUICK))

    @property
    def direct(self) -> ObjectStore:
        return ObjectStore(gcs=GcsSettings(self.server.endpoint_url, QUICK))

    @property
    def uri(self) -> str:
        return f"gs://{self.name}"

    def put(self, key: str, body: bytes = b"{}") -> None:
        self.client.bucket(self.name).blob(key).upload_from_string(body)

    def compose(self, key: str, *bodies: bytes) -> None:
        """Make an object of parts, which go again."""
        bucket = self.client.bucket(self.name)
        parts = [bucket.blob(f"{key}.{number}") for number in range(len(bodies))]
        for part, body in zip(parts, bodies, strict=True):
            part.upload_from_string(body)
        bucket.blob(key).compose(parts)
        for part in parts:
            part.delete()

    def stored(self, key: str, body: bytes = b"{}") -> StoredObject:
        """Put an object and return it as the store under test lists it."""
        self.put(key, body)
        (obj,) = self.store.list_objects(f"{self.uri}/{key}")
        return obj

    def content(self, key: str) -> bytes:
        content: bytes = self.client.bucket(self.name).blob(key).download_as_bytes(raw_download=True)
        return content

    def paths(self, prefix: str = "") -> list[str]:
        return [obj.path for obj in self.store.list_objects(f"{self.uri}/{prefix}")]


@contextmanager
def start_gcs_server(port: int) -> Iterator[GcsServer]:
    """Start the emulator on this port, and the proxy; stop both at the end."""
    tests = Path(__file__).parent
    command = [sys.executable, str(tests / "gcs_emulator.py"), str(port)]
    environment = {"PYTHONPATH": f"{tests.parent}/lib"}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        endpoint_url, bare_url = process.stdout.readline().split()
        with start_fault_proxy(endpoint_url) as proxy:
            yield GcsServer(endpoint_url, bare_url, proxy)
        process.communicate()  # the end of its input ends it


def gcs_client(endpoint_url: str) -> Client:
    """Return a plain client, independent of the code under test."""
    options = ClientOptions(api_endpoint=endpoint_url)
    return Client(project="test", credentials=AnonymousCredentials(), client_options=options)


def without(*names: str) -> Fault:
    """Let the answers of the JSON API lack some fields of objects."""

    def change(body: bytes) -> bytes:
        try:
            told = json.loads(body)
        except ValueError:  # the content of an object
            return body
        for item in told.get("items", [told]):
            for name in names:
                item.pop(name, None)
        return json.dumps(told).encode()

    return Fault(path="/storage/v1/b/", change=change)
