"""A log API to try `ingest` with: encrypted records, and the faults of a real one. All of it follows from the seed.

    python demo/log_api.py --port 0 --seed 7 --keys-file build/keys        serves, and prints its URL
    python demo/log_api.py --write-files FOLDER --records 1000000 --files 20 --keys-file build/keys

    /logs?from=&to=            a list of about 100 items, the next ones at each call, then all over again
    /logs/next?from=&to=       the same as an object with a cursor for `cursor=`; /logs/page: with `page=` from 1 on
    /truth?from=&to=           how many different good records of which event hour were logged in the window

from and to are ISO times in UTC (without them: the hour that just ended). 1,000 to 2,000 records are logged an hour,
some of them late. Keys are taken from TALLYMARK_FERNET_KEYS; only where that is not set, two are made from the seed,
for this demo and nothing else, and written to --keys-file: newest first, with a comma between them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import threading
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from log_records import HOUR, Item, Logs, array, new_key

PAGE = 100
KEYS = "TALLYMARK_FERNET_KEYS"


@dataclass
class Server:
    """Hands the logs out, with faults; remembers how far each window was read."""

    logs: Logs
    faults: float
    requests: int = 0
    positions: Counter[tuple[datetime, datetime]] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, target: str) -> tuple[int, bytes, bool]:
        """Return status and body of a request, and whether only half of the body is sent."""
        path = urlsplit(target).path
        asked = {name: values[-1] for name, values in parse_qs(urlsplit(target).query).items()}
        now = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)
        window = moment(asked.get("from") or f"{now - HOUR}"), moment(asked.get("to") or f"{now}")
        with self.lock:
            self.requests += 1
            rng = Random(f"{self.logs.seed} request {self.requests}")
            items = self.logs.window(*window)
            if path == "/truth":
                return 200, json.dumps(Counter(item.hour for item in items if item.hour)).encode(), False
            if rng.random() < self.faults:
                cut = (200, array(items[:PAGE]), True)
                return rng.choice(
                    [(502, b"<html>Bad Gateway</html>", False), (504, b"", False), (200, b"", False), cut]
                )
            if path == "/logs":
                return 200, array(self._next_call(rng, items, window)), False
            if path == "/logs/next":
                return 200, linked(items, int(asked.get("cursor", "0"), 16)), False
            if path == "/logs/page":
                return 200, numbered(items, int(asked.get("page", "1"))), False
            return 404, b'{"error": "no such path"}', False

    def _next_call(self, rng: Random, items: list[Item], window: tuple[datetime, datetime]) -> list[Item]:
        """Return the items after those of the last call, and some of earlier calls once more."""
        if not items:
            return []
        at, count = self.positions[window] % len(items), rng.randint(90, 110)
        self.positions[window] = at + count
        again = rng.sample(items[:at], min(at, rng.choice([0, 0, 0, 10])))
        return again + (items + items)[at : at + count]


def linked(items: list[Item], at: int) -> bytes:
    cursor = f"{at + PAGE:x}" if at + PAGE < len(items) else None
    return b'{"items": %s, "next": %s}' % (array(items[at : at + PAGE]), json.dumps(cursor).encode())


def numbered(items: list[Item], page: int) -> bytes:
    """Return a page; it begins with the last items of the one before, as if records had come in meanwhile."""
    at = (page - 1) * PAGE
    return b'{"results": %s}' % array(items[max(at - 3, 0) : at + PAGE] if at < len(items) else [])


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


class Handler(BaseHTTPRequestHandler):
    server_of: ClassVar[Server]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        try:
            status, body, cut = self.server_of.answer(self.path)
        except ValueError:
            status, body, cut = 400, b'{"error": "from, to, cursor or page is none"}', False
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = cut

    def log_message(self, *args: object) -> None:
        """Stay silent: the job says what it saw."""


def write_file(logs: Logs, options: argparse.Namespace, number: int) -> Counter[str]:
    """Write the file of that number; returns what is in it."""
    count = (number + 1) * options.records // options.files - number * options.records // options.files
    rng = Random(f"{logs.seed} file {number}")
    span = options.hours * HOUR / options.files
    items = list(logs.items(rng, options.start + number * span, span, count))
    repeated = rng.sample(items, round(count * options.repeats))
    lines = options.format == "lines"
    body = "".join(f"{item.text}\n" for item in items + repeated).encode() if lines else array(items + repeated)
    path = options.write_files / f"part-{number:05}.{'jsonl' if lines else 'json'}.gz"
    path.write_bytes(gzip.compress(body, 1, mtime=0))
    bad = sum(item.hour is None for item in items)
    return Counter(items=count + len(repeated), different_records=count - bad, bad=bad, repeated=len(repeated))


def write_files(logs: Logs, options: argparse.Namespace) -> None:
    options.write_files.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(options.processes) as pool:
        print(json.dumps(sum(pool.map(partial(write_file, logs, options), range(options.files)), Counter[str]())))


def serve(logs: Logs, options: argparse.Namespace) -> None:
    Handler.server_of = Server(logs, options.faults)
    with ThreadingHTTPServer(("127.0.0.1", options.port), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/logs", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def find_keys(options: argparse.Namespace) -> tuple[str, ...]:
    if given := os.environ.get(KEYS):
        return tuple(given.split(","))
    if options.keys_file is None:
        sys.exit(f"set {KEYS}, or say with --keys-file where to write the keys that are made")
    rng = Random(f"keys {options.seed}")
    keys = (new_key(rng), new_key(rng))
    options.keys_file.parent.mkdir(parents=True, exist_ok=True)
    options.keys_file.touch(0o600)
    options.keys_file.write_text(",".join(keys) + "\n")
    return keys


def main() -> None:
    parser = argparse.ArgumentParser(description="a log API to try `ingest` with, or files of its items")
    parser.add_argument("--port", type=int, default=8765, help="0: any that is free")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keys-file", type=Path, help=f"where to write the keys, if {KEYS} is not set")
    parser.add_argument("--bad", type=float, default=0.01, help="share of items that cannot be decrypted or read")
    parser.add_argument(
        "--faults", type=float, default=0.1, help="share of calls answered by 502, 504, nothing or a part"
    )
    parser.add_argument("--write-files", type=Path, metavar="FOLDER", help="write files of items and end")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--format", choices=["array", "lines"], default="array")
    parser.add_argument("--start", type=moment, default="2026-10-01T00:00:00Z")
    parser.add_argument("--hours", type=float, default=24, help="the records are spread over so many")
    parser.add_argument("--repeats", type=float, default=0.01, help="share of items that stand in their file twice")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    logs = Logs(options.seed, find_keys(options), options.bad)
    (write_files if options.write_files else serve)(logs, options)


if __name__ == "__main__":
    main()
