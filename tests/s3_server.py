"""A real S3 server (moto over HTTP, in a process of its own) and a proxy that breaks what passes through.

``start_s3_server`` is a context manager; the fixtures around it live in the conftest files. The
process gets an environment of its own, so nothing of the developer's AWS account can leak into it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

import boto3

from tallymark.io.objects import ObjectStore
from tallymark.io.stored import S3Settings, StoredObject
from tallymark.retry import RetryPolicy

KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "a-secret-that-no-message-may-show",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

PAGE = 10  # keys per page of a listing, so that small tests turn pages
QUICK = RetryPolicy(attempts=3, base_seconds=0.01)


@dataclass(frozen=True)
class S3Server:
    """Where the server listens, the environment in which the AWS tools find it, and its log: a line a request."""

    endpoint_url: str
    log: list[str] = field(default_factory=list, compare=False, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        return {**KEYS, "AWS_ENDPOINT_URL": self.endpoint_url}

    @cached_property
    def client(self) -> Any:
        """A plain boto3 client, independent of the code under test."""
        session = boto3.Session(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1")
        return session.client("s3", endpoint_url=self.endpoint_url)


@dataclass(frozen=True)
class Bucket:
    """A fresh bucket, a plain client to prepare it, and the store under test."""

    name: str
    client: Any
    store: ObjectStore

    @property
    def uri(self) -> str:
        return f"s3://{self.name}"

    def put(self, key: str, body: bytes = b"{}", **options: Any) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body, **options)

    def get(self, key: str) -> bytes:
        body: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return body

    def stored(self, key: str, body: bytes = b"{}") -> StoredObject:
        """Put an object and return it as the store under test lists it."""
        self.put(key, body)
        (obj,) = self.store.list_objects(f"{self.uri}/{key}")
        return obj

    def paths(self, prefix: str = "") -> list[str]:
        return [obj.path for obj in self.store.list_objects(f"{self.uri}/{prefix}")]


def s3_threads() -> list[str]:
    """Return the names of the threads in which the store under test still reads or lists."""
    return [
        thread.name for thread in threading.enumerate() if thread.name.startswith(("tallymark-s3", "tallymark-reading"))
    ]


@contextmanager
def start_s3_server() -> Iterator[S3Server]:
    """Start ``moto_server`` on a free port and stop it at the end."""
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": os.devnull, "PYTHONUNBUFFERED": "1", **KEYS}
    environment["MOTO_S3_DEFAULT_MAX_KEYS"] = str(PAGE)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            url = _announced_url(iter(process.stderr.readline, ""))
            server = S3Server(url)
            # It logs every request: a full pipe would stop it in the middle of the tests.
            threading.Thread(target=server.log.extend, args=(process.stderr,), daemon=True).start()
            yield server
        finally:
            process.terminate()


def _announced_url(lines: Iterator[str]) -> str:
    seen = []
    for line in lines:
        seen.append(line)
        if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", line):
            return found[1]
    raise RuntimeError("moto_server did not start:\n" + "".join(seen))


@dataclass
class Fault:
    """What the proxy does, ``times`` times, to requests of ``method`` with ``path`` in their path.

    With ``range``, only to those whose range starts with it.
    Either it answers ``status`` with an S3 error ``code``, or it forwards the request and hangs up
    after ``cut_after`` bytes of the body, or it sends the body that ``change`` makes of the real one,
    or it drops a header of the request, or adds or replaces headers of the answer, or hangs up in its place.
    ``delay``: seconds before it does anything; ``refuse``: it hangs up and forwards nothing.
    """

    method: str = "GET"
    path: str = ""
    range: str = ""
    times: int = 1_000_000
    status: int = 0
    code: str = ""
    cut_after: int | None = None
    change: Callable[[bytes], bytes] | None = None
    drop_header: str = ""
    lose_answer: bool = False
    add_headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0
    refuse: bool = False


@dataclass
class FaultProxy:
    """A proxy in front of an S3 server: hand it faults, or a function that draws them; read what was asked through it.

    ``draw`` gets the method and path of each request for which there is no fault; it may do something else besides.
    """

    upstream: str
    endpoint_url: str = ""
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    draw: Callable[[str, str], Fault] | None = None
    lock: Any = field(default_factory=threading.Lock)
    writing: Any = field(default_factory=threading.Lock)  # S3 compares and writes in one step, moto in two

    @property
    def store(self) -> ObjectStore:
        """The store under test, as it reaches S3 through the proxy."""
        return ObjectStore(S3Settings(self.endpoint_url, "us-east-1", QUICK))

    @property
    def asked(self) -> list[str]:
        """The keys that were asked for."""
        return [path.split("/", 2)[2] for method, path, _ in self.requests if method == "GET"]

    @property
    def ranges(self) -> set[str | None]:
        return {headers.get("Range") for *_, headers in self.requests}

    def take_fault(self, method: str, path: str, span: str) -> Fault:
        with self.lock:
            for fault in self.faults:
                meant = fault.method == method and fault.path in path and span.startswith(fault.range)
                if fault.times and meant:
                    fault.times -= 1
                    return fault
        return self.draw(method, path) if self.draw else Fault()


@contextmanager
def start_fault_proxy(upstream: str, kind: type[ProxyHandler] | None = None) -> Iterator[FaultProxy]:
    """Start a proxy on a free port; it forwards everything until it is given faults."""
    proxy = FaultProxy(upstream)
    handler = type("Handler", (kind or ProxyHandler,), {"proxy": proxy})
    with _ProxyServer(("127.0.0.1", 0), handler) as server:
        proxy.endpoint_url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield proxy
        finally:
            server.shutdown()


class _ProxyServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent when a client hangs up first, as it does after a cut body."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body of what the server said."""


class ProxyHandler(BaseHTTPRequestHandler):
    proxy: ClassVar[FaultProxy]
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        body = self._body()
        self.proxy.requests.append((self.command, self.path, dict(self.headers)))
        fault = self.proxy.take_fault(self.command, self.path, self.headers.get("Range", ""))
        time.sleep(fault.delay)
        if fault.refuse:
            self.close_connection = True
            return
        if fault.status:
            text = f"<Error><Code>{fault.code}</Code><Message>said the proxy</Message></Error>".encode()
            self._answer(fault.status, {"Content-Type": "application/xml"}, text, fault)
            return
        dropped = {fault.drop_header.lower(), "transfer-encoding"}  # the body goes on in one piece
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        with self.proxy.writing if self.command == "PUT" else nullcontext():
            status, told, content = self.forward(self.command, self.path, body, headers)
        if fault.lose_answer:
            self.close_connection = True
            return
        self._answer(status, told, fault.change(content) if fault.change else content, fault)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def forward(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Hand a request on to the server."""
        connection = HTTPConnection(urlsplit(self.proxy.upstream).netloc)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), content

    def _answer(self, status: int, headers: dict[str, str], body: bytes, fault: Fault) -> None:
        self.send_response_only(status)
        added = {name.lower(): value for name, value in fault.add_headers.items()}
        for name, value in {**{name.lower(): value for name, value in headers.items()}, **added}.items():
            if name not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        length = (
            headers.get("Content-Length", headers.get("content-length", "0"))
            if self.command == "HEAD"
            else str(len(body))
        )
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: fault.cut_after])
        self.close_connection = fault.cut_after is not None

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # the names that http.server calls

    def log_message(self, *args: object) -> None:
        """Stay silent: pytest shows what matters."""
