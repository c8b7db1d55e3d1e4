"""A real GCS emulator (fake-gcs-server) behind a front that adds what it lacks; started by `gcs_server` as a process.

A process of its own, because delta-rs holds up all threads of the one that it works in. The front adds:
- the XML API for writing, by which delta-rs speaks: PUT of an object, also on a condition, and uploads in parts, handed
  on as uploads of the JSON API; a listing that begins at `start-after`;
- what Google's server does and the emulator does not: reading on the condition of a generation, and no MD5
  of a composite object; and pages of few objects, so that small tests turn pages.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree as ET

from s3_server import PAGE, Answer, ProxyHandler, start_fault_proxy

BINARY = Path(__file__).parents[1] / ".jars/bin/fake-gcs-server"


def main(port: str) -> None:
    """Start the emulator on this port, say where it and its front are, and end when the caller does."""
    upstream = f"http://127.0.0.1:{port}"
    command = [str(BINARY), "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", port]
    with subprocess.Popen([*command, "-log-level", "error"], stdout=subprocess.DEVNULL) as emulator:
        try:
            with start_fault_proxy(upstream, Front) as front:
                _name(upstream, urlsplit(front.endpoint_url).netloc)
                print(front.endpoint_url, upstream, flush=True)
                sys.stdin.read()
        finally:
            emulator.terminate()


def _name(upstream: str, host: str) -> None:
    """Tell the emulator, as soon as it answers, by which name it is called."""
    end = time.monotonic() + 10
    while True:
        connection = HTTPConnection(urlsplit(upstream).netloc)
        try:
            connection.request("PUT", "/_internal/config", json.dumps({"publicHost": host}))
            connection.getresponse().read()
        except ConnectionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()


class Front(ProxyHandler):
    """Answers by the XML API what the emulator knows by the JSON API only."""

    uploads: ClassVar[dict[str, dict[int, bytes]]] = {}
    numbers: ClassVar[Iterator[int]] = count(1)
    composed: ClassVar[set[tuple[str, str]]] = set()

    def forward(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        bucket, _, key = parts.path.removeprefix("/").partition("/")
        if bucket in {"storage", "upload", "download", "batch", "resumable"}:
            if path.partition("?")[0].endswith("/o") and method == "GET" and "maxResults" not in query:
                path += f"&maxResults={PAGE}"
            if parts.path.endswith("/compose"):
                _, _, _, _, name, _, key, _ = parts.path.split("/")
                self.composed.add((name, unquote(key)))
            answer = super().forward(method, path, body, headers)
            if bucket == "storage" and method == "GET":
                answer = answer[0], answer[1], self._without_md5(answer[2])
            return _on_condition(answer, query.get("ifGenerationMatch")) if method == "GET" else answer
        if "uploads" in query or "uploadId" in query:
            return self._in_parts(method, bucket, key, query, body)
        if method == "PUT":
            return self._put(bucket, key, body, headers.get("x-goog-if-generation-match"))
        answer = super().forward(method, path, body, headers)
        return _from(answer, query["start-after"]) if "start-after" in query else answer

    def _without_md5(self, told: bytes) -> bytes:
        """Leave out the MD5 of composite objects."""
        try:
            found = json.loads(told)
        except ValueError:  # of what is not there
            return told
        for item in found.get("items", [found]):
            if (item.get("bucket"), item.get("name")) in self.composed:
                item.pop("md5Hash", None)
        return json.dumps(found).encode()

    def _put(self, bucket: str, key: str, body: bytes, generation: str | None = None) -> Answer:
        condition = f"&ifGenerationMatch={generation}" if generation else ""
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(unquote(key), safe='')}{condition}"
        status, _, content = super().forward("POST", path, body, {"Host": self.headers["Host"]})
        if status != 200:
            return status, {}, b""
        made = json.loads(content)
        return 200, {"ETag": f'"{made["etag"]}"', "x-goog-generation": made["generation"]}, b""

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


if __name__ == "__main__":
    main(sys.argv[1])
