"""Sends one e-mail through a mail server, with TLS and a login where they are wanted. Knows no text of its own."""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Literal

from tallymark.errors import IncompleteError
from tallymark.retry import RetryPolicy, call

RETRY = RetryPolicy(attempts=3, base_seconds=1.0, cap_seconds=5.0)


@dataclass(frozen=True)
class MailServer:
    """Where mail is handed in; ``timeout`` is the seconds of silence."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str | None = None
    timeout: float = 10.0


def send_mail(
    server: MailServer,
    password: str | None,
    message: EmailMessage,
    retry: RetryPolicy = RETRY,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Hands the message in; what the server refuses for now (4xx) and a lost connection are tried again.

    Raises:
        IncompleteError: the server refused it or could not be reached; the message says nothing of the password.
    """
    try:
        call(lambda: _send(server, password, message), retry, _may_pass, sleep)
    except smtplib.SMTPResponseException as error:
        raise IncompleteError(f"{server.host} answered {error.smtp_code} ({type(error).__name__})") from None
    except (smtplib.SMTPException, OSError) as error:
        raise IncompleteError(f"{server.host}:{server.port} did not take it ({type(error).__name__})") from None


def _send(server: MailServer, password: str | None, message: EmailMessage) -> None:
    trusted = ssl.create_default_context()
    with (
        smtplib.SMTP_SSL(server.host, server.port, timeout=server.timeout, context=trusted)
        if server.security == "tls"
        else smtplib.SMTP(server.host, server.port, timeout=server.timeout)
    ) as session:
        if server.security == "starttls":
            session.starttls(context=trusted)
        if server.user is not None and password is not None:
            session.login(server.user, password)
        session.send_message(message)


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, smtplib.SMTPResponseException):
        return 400 <= error.smtp_code < 500
    if isinstance(error, ssl.SSLCertVerificationError | smtplib.SMTPNotSupportedError | smtplib.SMTPRecipientsRefused):
        return False
    return isinstance(error, smtplib.SMTPServerDisconnected | OSError)
