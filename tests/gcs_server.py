"""A real GCS emulator (fake-gcs-server) behind a front that adds what it lacks of the XML API, and that breaks things.

The front is the proxy of the S3 tests, so it takes the same faults. What it adds, because delta-rs speaks XML and the
emulator only reads by it: PUT of an object, also on a condition, and uploads in parts, both handed on as uploads of the
JSON API. Beyond that it does what Google's server does and the emulator does not: an object can be read on the
condition of its generation, and a listing begins at `start-after`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree as ET

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

from s3_server import PAGE, QUICK, Answer, FaultProxy, ProxyHandler, start_fault_proxy
from tallymark.io.objects import ObjectStore
from tallymark.io.stored import GcsSettings, StoredObject
from tallymark.retry import RetryPolicy, call

BINARY = Path(__file__).parents[1] / ".jars/bin/fake-gcs-server"


@dataclass(frozen=True)
class GcsBucket:
    """A fresh bucket, a plain client to prepare it, and the store under test; all speak to the front."""

    name: str
    client: Client
    front: FaultProxy

    @property
    def store(self) -> ObjectStore:
        return ObjectStore(gcs=GcsSettings(self.front.endpoint_url, QUICK))

    @property
    def uri(self) -> str:
        return f"gs://{self.name}"

    def put(self, key: str, body: bytes = b"{}") -> None:
        self.client.bucket(self.name).blob(key).upload_from_string(body)

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
def start_gcs_server(port: int) -> Iterator[FaultProxy]:
    """Start the emulator on this port and the front before it; stop both at the end."""
    command = [
        str(BINARY), "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port),
        "-log-level", "error",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with start_fault_proxy(f"http://127.0.0.1:{port}", _Front) as front:
                _make_known(front)
                yield front
        finally:
            process.terminate()


def _make_known(front: FaultProxy) -> None:
    """Tell the emulator, as soon as it answers, by which name it is called."""
    host = urlsplit(front.endpoint_url).netloc
    upstream = urlsplit(front.upstream).netloc

    def tell() -> None:
        connection = HTTPConnection(upstream)
        connection.request("PUT", "/_internal/config", json.dumps({"publicHost": host}))
        connection.getresponse().read()
        connection.close()

    call(tell, RetryPolicy(attempts=100, base_seconds=0.1, cap_seconds=0.1), lambda error: isinstance(error, OSError))


def gcs_client(endpoint_url: str) -> Client:
    """Return a plain client, independent of the code under test."""
    options = ClientOptions(api_endpoint=endpoint_url)
    return Client(project="test", credentials=AnonymousCredentials(), client_options=options)


class _Front(ProxyHandler):
    """Answers by the XML API what the emulator knows by the JSON API only."""

    uploads: ClassVar[dict[str, dict[int, bytes]]] = {}
    numbers: ClassVar[Iterator[int]] = count(1)

    def forward(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        bucket, _, key = parts.path.removeprefix("/").partition("/")
        if bucket in {"storage", "upload", "download", "batch", "resumable"}:
            if path.partition("?")[0].endswith("/o") and method == "GET" and "maxResults" not in query:
                path += f"&maxResults={PAGE}"
            if "/moveTo/o/" in parts.path:
                return self._move(*parts.path.split("/moveTo/o/"))
            answer = super().forward(method, path, body, headers)
            return _on_condition(answer, query.get("ifGenerationMatch")) if method == "GET" else answer
        if "uploads" in query or "uploadId" in query:
            return self._in_parts(method, bucket, key, query, body)
        if method == "PUT":
            return self._put(bucket, key, body, headers.get("x-goog-if-generation-match"))
        answer = super().forward(method, path, body, headers)
        return _from(answer, query["start-after"]) if "start-after" in query else answer

    def _put(self, bucket: str, key: str, body: bytes, generation: str | None = None) -> Answer:
        condition = f"&ifGenerationMatch={generation}" if generation else ""
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(unquote(key), safe='')}{condition}"
        status, _, content = super().forward("POST", path, body, {"Host": self.headers["Host"]})
        if status != 200:
            return status, {}, b""
        made = json.loads(content)
        return 200, {"ETag": f'"{made["etag"]}"', "x-goog-generation": made["generation"]}, b""

    def _move(self, source: str, target: str) -> Answer:
        """Rename an object; the one test that does it needs no conditions."""
        bucket = source.split("/")[4]
        host = {"Host": self.headers["Host"]}
        answer = super().forward("POST", f"{source}/copyTo/b/{bucket}/o/{target}", b"", host)
        super().forward("DELETE", source, b"", host)
        return answer

    def _in_parts(self, method: str, bucket: str, key: str, query: dict[str, str], body: bytes) -> Answer:
        if method == "POST" and "uploads" in query:
            name = f"upload-{next(self.numbers)}"
            self.uploads[name] = {}
            made = f"<UploadId>{name}</UploadId>"
            return 200, {}, f"<InitiateMultipartUploadResult>{made}</InitiateMultipartUploadResult>".encode()
        if method == "PUT":
            self.uploads[query["uploadId"]][int(query["partNumber"])] = body
            return 200, {"ETag": f'"part-{query["partNumber"]}"'}, b""
        content = self.uploads.pop(query["uploadId"])
        if method == "DELETE":
            return 204, {}, b""
        status, headers, _ = self._put(bucket, key, b"".join(content[number] for number in sorted(content)))
        told = f"<ETag>{headers.get('ETag', '')}</ETag>"
        return status, headers, f"<CompleteMultipartUploadResult>{told}</CompleteMultipartUploadResult>".encode()


def _on_condition(answer: Answer, generation: str | None) -> Answer:
    """Refuse the content of another generation than the one asked for."""
    told = {name.lower(): value for name, value in answer[1].items()}.get("x-goog-generation")
    if generation is None or told is None or told == generation:
        return answer
    error = {"code": 412, "message": "At least one of the pre-conditions you specified did not hold."}
    return 412, {"Content-Type": "application/json"}, json.dumps({"error": error}).encode()


def _from(answer: Answer, after: str) -> Answer:
    """Leave out of a listing what comes before."""
    root = ET.fromstring(answer[2])
    for item in root.findall("Contents"):
        if item.findtext("Key", "") <= after:
            root.remove(item)
    return answer[0], answer[1], ET.tostring(root)
