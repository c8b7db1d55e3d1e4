"""A real PostgreSQL for tests, older ones with TLS, and a TCP proxy in front of it that delays, drops and cuts."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

# What Debian ships, 15 in its release 12; empty where there is none.
OLD_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def make_certificate(folder: Path) -> Path:
    """Writes server.key and server.crt for the name `localhost`; returns the latter, which is its own root."""
    subprocess.run(
        ["openssl", "req", "-new", "-x509", "-days", "2", "-nodes", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", "server.key", "-out", "server.crt"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder / "server.crt"


@dataclass
class TcpProxy:
    """Forwards connections to ``upstream``, until it is told to break them.

    ``delay``: seconds before each piece of an answer. ``cut_after``: how many bytes of answers pass before the
    connection ends, ``cuts`` times. ``cut_reply_to``: a request with these bytes passes, and its answer never comes.
    ``dead``: whether new connections are refused.
    """

    upstream: tuple[str, int]
    port: int = 0
    delay: float = 0.0
    cut_after: int | None = None
    cuts: int = 1
    cut_reply_to: bytes | None = None
    dead: bool = False
    connections: int = 0
    _open: list[socket.socket] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def heal(self) -> None:
        self.delay, self.cut_after, self.cuts, self.cut_reply_to, self.dead = 0.0, None, 1, None, False

    def drop_all(self) -> None:
        """Ends every connection now, as a network does."""
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def take_cut(self) -> bool:
        with self._lock:
            self.cuts -= 1
            return self.cuts >= 0

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.dead:
                client.close()
                continue
            try:
                server = socket.create_connection(self.upstream)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open += [client, server]
            lost = threading.Event()
            for source, target, answers in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, target, answers, lost), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, answers: bool, lost: threading.Event) -> None:
        passed = 0
        with suppress(OSError):
            while piece := source.recv(65536):
                if answers:
                    time.sleep(self.delay)
                    if lost.is_set():
                        break
                    limit = self.cut_after
                    if limit is not None and passed + len(piece) > limit and self.take_cut():
                        target.sendall(piece[: max(0, limit - passed)])
                        break
                    passed += len(piece)
                elif self.cut_reply_to and self.cut_reply_to in piece and self.take_cut():
                    lost.set()
                target.sendall(piece)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@contextmanager
def start_tcp_proxy(upstream: tuple[str, int]) -> Iterator[TcpProxy]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = TcpProxy(upstream, listener.getsockname()[1])
        threading.Thread(target=proxy.serve, args=(listener,), daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.drop_all()
