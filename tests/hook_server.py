"""A webhook on a real socket: answers what it is told to, and keeps what it was sent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import pytest

NOTIFY: dict[str, Any] = {"webhooks": [{"url_from": "env:HOOK", "shape": "json"}]}
"""The option `notify` that tells the fixture `hook`."""


class HookServer:
    """Listens while entered; ``statuses`` are its next answers, then 200. ``None`` answers after a minute only."""

    def __init__(self, *statuses: int | None) -> None:
        self.statuses = list(statuses)
        self.received: list[tuple[str, Any]] = []
        received, answers = self.received, self.statuses

        class Hook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append((self.path, json.loads(body)))
                status = answers.pop(0) if answers else 200
                if status is None:
                    time.sleep(60)
                    return
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}/services/T0/s3cret"

    def __enter__(self) -> HookServer:  # noqa: PYI034 - typing.Self is Python 3.11
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[HookServer]:
    """A webhook that takes everything, its url in the variable HOOK."""
    with HookServer() as server:
        monkeypatch.setenv("HOOK", server.url)
        yield server
