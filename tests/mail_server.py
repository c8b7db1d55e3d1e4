"""A mail server of a few lines, on a real socket: STARTTLS, AUTH PLAIN, one message after the other (RFC 5321)."""

from __future__ import annotations

import base64
import ipaddress
import socket
import ssl
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 that signs itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return path


@dataclass
class MailServer:
    """Listens while entered.

    Attributes:
        pem: its certificate; None for a server without TLS.
        greetings: what it answers first to each connection to come; afterwards ``220``.
        messages: what was handed in, with whether it came through TLS and the login that was given.
    """

    pem: Path | None = None
    greetings: list[str] = field(default_factory=list)
    messages: list[tuple[str, bool, str | None]] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> MailServer:  # noqa: PYI034 - typing.Self is Python 3.11
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            try:
                self._talk(connection)
            except OSError:  # the client has left, or did not trust us
                pass
            finally:
                connection.close()

    def _talk(self, connection: socket.socket) -> None:
        is_secret, login = False, None
        greeting = self.greetings.pop(0) if self.greetings else "220 here"
        connection.sendall(f"{greeting}\r\n".encode())
        lines = connection.makefile("rb")
        while line := lines.readline().decode().strip():
            verb = line.split(" ")[0].upper()
            if verb in ("EHLO", "HELO"):
                offers = ["250-here", *(["250-STARTTLS"] if self.pem and not is_secret else []), "250 AUTH PLAIN"]
                answer = "\r\n".join(offers)
            elif verb == "STARTTLS" and self.pem:
                connection.sendall(b"220 go on\r\n")
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self.pem)
                lines.close()
                connection = context.wrap_socket(connection, server_side=True)
                lines, is_secret = connection.makefile("rb"), True
                continue
            elif verb == "AUTH":
                login = base64.b64decode(line.split(" ")[2]).decode().replace("\0", " ").strip()
                answer = "235 welcome" if login.endswith("s3cret") else "535 no"
            elif verb == "DATA":
                connection.sendall(b"354 go on\r\n")
                text = b"".join(iter(lines.readline, b".\r\n")).decode()
                self.messages.append((text, is_secret, login))
                answer = "250 taken"
            else:
                answer = "221 bye" if verb == "QUIT" else "250 fine"
            connection.sendall(f"{answer}\r\n".encode())
        lines.close()
        connection.close()
