"""Tells people of a run: sends a message through all channels of the option `notify`, at once and in bounded time.

Nothing here fails or delays a job: a channel that does not work is one warning, and after half a minute nobody waits
for it any more. Whether there is something to tell is decided by `tallymark.runs.telling`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from tallymark.config.notify import Email, NotifyOptions, Webhook
from tallymark.errors import TallymarkError
from tallymark.io.mail import MailServer, send_mail
from tallymark.io.secrets import read_secret
from tallymark.io.webhook import post_json
from tallymark.report.notice import SHAPES, Notice, for_mail

PATIENCE = 30.0
"""Seconds for all channels together."""

_log = logging.getLogger(__name__)


def announce(
    notice: Notice, options: NotifyOptions, environ: Mapping[str, str] = os.environ, patience: float = PATIENCE
) -> bool:
    """Sends the message, and tells whether at least one channel took it; never raises.

    Args:
        environ: where ``env:`` references are looked up.
        patience: seconds after which what is still under way is left behind.
    """
    failed: dict[str, str] = {}
    threads = []
    for name, send in _channels(notice, options, environ):
        # A daemon: a server that never answers must not keep the process alive.
        thread = threading.Thread(target=_quietly, args=(name, send, failed), name=f"notify-{name}", daemon=True)
        thread.start()
        threads.append((name, thread))
    end = time.monotonic() + patience
    was_told = False
    for name, thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
        cause = f"no answer within {patience:.0f} s" if thread.is_alive() else failed.get(name)
        if cause is not None:
            _log.warning("nobody was told through %s: %s; the job itself is not touched by it", name, cause)
        was_told |= cause is None
    return was_told


def _channels(
    notice: Notice, options: NotifyOptions, environ: Mapping[str, str]
) -> Iterator[tuple[str, Callable[[], None]]]:
    for number, webhook in enumerate(options.webhooks, start=1):
        yield f"webhook {number} ({webhook.shape}, {webhook.url_from})", _posting(notice, webhook, environ)
    if options.email is not None:
        yield f"e-mail ({options.email.host})", _mailing(notice, options.email, environ)


def _posting(notice: Notice, webhook: Webhook, environ: Mapping[str, str]) -> Callable[[], None]:
    return lambda: post_json(read_secret(webhook.url_from, environ), SHAPES[webhook.shape](notice))


def _mailing(notice: Notice, email: Email, environ: Mapping[str, str]) -> Callable[[], None]:
    def send() -> None:
        password = None if email.password_from is None else read_secret(email.password_from, environ)
        server = MailServer(email.host, email.port, email.security, email.user)
        send_mail(server, password, for_mail(notice, email.sender, email.to))

    return send


def _quietly(name: str, send: Callable[[], None], failed: dict[str, str]) -> None:
    try:
        send()
    except TallymarkError as error:
        failed[name] = str(error)
    except Exception as error:  # noqa: BLE001 - a message that cannot be sent must not end the job; its text may be secret
        failed[name] = type(error).__name__
