"""A read-only S3 server over local folders that is as slow as a network: for benchmarks, on one machine.

    .venv/bin/python benchmarks/slow_s3.py FOLDER [--port 0] [--delay-ms 20] [--megabytes 50] [--synthetic-keys N]

Each folder in FOLDER is a bucket. Every request waits for the delay before its first byte, and every connection
gets at most so many megabytes a second; the cores are left to the reader: bodies go from file to socket inside the
kernel, paced by TCP. Knows GET with Range and If-Match, HEAD, and ListObjectsV2; takes every signature. An ETag is
no MD5, as of an upload in parts. With --synthetic-keys the bucket `synthetic` lists N keys in 31 folders of days, and
the bucket `flat` lists N keys in one folder, without objects behind them. Prints its address.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import socket
import threading
import time
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

_PACING_RATE = 47  # SO_MAX_PACING_RATE of Linux, which Python does not name
_LAST = chr(0x10FFFF)
_HTTP = {200: "OK", 206: "Partial Content", 404: "Not Found", 412: "Precondition Failed", 416: "Range Not Satisfiable"}


@dataclass
class Served:
    """What is served how slowly."""

    root: Path
    delay: float
    rate: float
    listings: dict[str, list[tuple[str, int, str]]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def listing(self, bucket: str) -> list[tuple[str, int, str]]:
        """Returns key, size and ETag of every object, by key; what is there at the first question stays."""
        with self.lock:
            if bucket not in self.listings:
                base = self.root / bucket
                paths = (path for path in base.rglob("*") if path.is_file())
                self.listings[bucket] = sorted((path.relative_to(base).as_posix(), *state(path)) for path in paths)
            return self.listings[bucket]


def state(path: Path) -> tuple[int, str]:
    status = path.stat()
    text = f"{path.parent.parent.name}{path.name}{status.st_size}{status.st_mtime_ns}"
    return status.st_size, hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + "-1"


def synthetic(count: int, *, flat: bool) -> list[tuple[str, int, str]]:
    etag = "0" * 32 + "-1"
    return sorted(
        (
            f"month/part-{number:08}.jsonl.gz"
            if flat
            else f"month/2026/10/{1 + number % 31:02}/part-{number:08}.jsonl.gz",
            1,
            etag,
        )
        for number in range(count)
    )


def serve_connection(served: Served, connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as lines:
        while first := lines.readline():
            due = time.perf_counter() + served.delay
            method, target, _ = first.decode().split()
            headers = {}
            while line := lines.readline().strip():
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            lines.read(int(headers.get("content-length", 0)))
            answer(served, connection, method, urlsplit(target), headers, due)


def answer(served: Served, connection: socket.socket, method: str, target, headers: dict[str, str], due: float) -> None:
    bucket, _, key = unquote(target.path)[1:].partition("/")
    if not key:
        page = list_page(served.listing(bucket), parse_qs(target.query, keep_blank_values=True))
        send(connection, 200, {"Content-Type": "application/xml"}, due, page.encode())
        return
    path = served.root / bucket / key
    if not path.is_file():
        send(connection, 404, {}, due, b"<Error><Code>NoSuchKey</Code></Error>")
        return
    size, etag = state(path)
    if headers.get("if-match", f'"{etag}"') != f'"{etag}"':
        send(connection, 412, {}, due, b"<Error><Code>PreconditionFailed</Code></Error>")
        return
    start, end, status = 0, size, 200
    common = {"ETag": f'"{etag}"', "Last-Modified": formatdate(path.stat().st_mtime, usegmt=True)}
    if span := headers.get("range"):
        low, _, high = span.removeprefix("bytes=").partition("-")
        start, end, status = int(low), min(size, int(high) + 1) if high else size, 206
        common["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    send(connection, status, {**common, "Content-Length": str(end - start)}, due, b"")
    if method == "GET":
        with path.open("rb") as file:
            while start < end:
                start += os.sendfile(connection.fileno(), file.fileno(), start, end - start)


def send(connection: socket.socket, status: int, headers: dict[str, str], due: float, body: bytes) -> None:
    headers = {"Content-Length": str(len(body)), **headers}
    head = f"HTTP/1.1 {status} {_HTTP[status]}\r\n" + "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    time.sleep(max(0.0, due - time.perf_counter()))
    connection.sendall(head.encode() + b"\r\n" + body)


def list_page(keys: list[tuple[str, int, str]], query: dict[str, list[str]]) -> str:
    """Returns a page of ListObjectsV2; keys and common prefixes count alike."""
    asked = {name: values[0] for name, values in query.items()}
    prefix, delimiter, most = asked.get("prefix", ""), asked.get("delimiter", ""), int(asked.get("max-keys", 1000))
    after = asked.get("continuation-token", asked.get("start-after", ""))
    position = max(bisect_left(keys, (prefix,)), bisect_right(keys, (after, 1 << 62)))
    found, last = [], ""
    while position < len(keys) and keys[position][0].startswith(prefix) and len(found) < most:
        key, size, etag = keys[position]
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        if cut >= 0:
            last = key[: cut + len(delimiter)]
            found.append(f"<CommonPrefixes><Prefix>{escape(quote(last))}</Prefix></CommonPrefixes>")
            last += _LAST
            position = bisect_left(keys, (last,))
        else:
            last, position = key, position + 1
            found.append(
                f"<Contents><Key>{escape(quote(key))}</Key><LastModified>2026-10-01T00:00:00.000Z</LastModified>"
                f"<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            )
    more = position < len(keys) and keys[position][0].startswith(prefix)
    token = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if more else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<EncodingType>url</EncodingType><IsTruncated>{str(more).lower()}</IsTruncated>{token}"
        f"<KeyCount>{len(found)}</KeyCount>{''.join(found)}</ListBucketResult>"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay-ms", type=float, default=20)
    parser.add_argument("--megabytes", type=float, default=50)
    parser.add_argument("--synthetic-keys", type=int, default=0)
    options = parser.parse_args()
    served = Served(options.folder, options.delay_ms / 1000, options.megabytes * 1e6)
    if options.synthetic_keys:
        served.listings["synthetic"] = synthetic(options.synthetic_keys, flat=False)
        served.listings["flat"] = synthetic(options.synthetic_keys, flat=True)
    with socket.create_server(("127.0.0.1", options.port), backlog=128) as server:
        print(f"http://127.0.0.1:{server.getsockname()[1]}", flush=True)
        while True:
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, _PACING_RATE, int(served.rate))
            threading.Thread(target=serve_connection, args=(served, connection), daemon=True).start()


if __name__ == "__main__":
    main()
