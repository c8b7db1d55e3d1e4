"""One page of a log API by HTTP, with its retries: what may pass is tried again, all else says what is wrong.

No message holds the query of a URL, a header or anything of a body. Which page to ask for is decided in ``log_api``,
the only caller.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime

import requests
from requests import exceptions as failures
from urllib3.util import Url, parse_url

from tallymark.errors import ConfigError, IncompleteError, TallymarkError
from tallymark.io.http_status import may_pass
from tallymark.io.log_page import Page, read_page
from tallymark.retry import Attempts, RetryPolicy

LARGEST_BODY = 64 << 20  # bytes, unpacked
LONGEST_WAIT = 120.0  # seconds: a longer Retry-After is cut

_LOST = (failures.ConnectionError, failures.Timeout, failures.ChunkedEncodingError, failures.ContentDecodingError)
_log = logging.getLogger(__name__)


class _PassingError(Exception):
    """An attempt failed in a way that may pass; the message says how."""

    def __init__(self, cause: str, retry_after: float = 0) -> None:
        super().__init__(cause)
        self.retry_after = retry_after


@dataclass
class Asking:
    """Requests to one API, one after the other.

    Attributes:
        session: signs the requests.
        timeout: seconds to connect, and of silence.
        clock: seconds since 1970, for a ``Retry-After`` that is a date.
    """

    session: requests.Session
    timeout: tuple[float, float]
    retry: RetryPolicy
    sleep: Callable[[float], None]
    random: Callable[[], float]
    clock: Callable[[], float]
    answered: bool = False

    def page(self, url: str, params: Mapping[str, str] | None = None) -> Page:
        """Return the page at a URL.

        Raises:
            ConfigError: the very first request was refused, or cannot even be made.
            IncompleteError: the page could not be had.
        """
        wait = 0.0
        attempts = Attempts(
            self.retry,
            lambda error: isinstance(error, _PassingError),
            lambda seconds: self.sleep(max(seconds, wait)),
            self.random,
        )
        while True:
            try:
                page = self._page(url, params)
                self.answered = True
                return page
            except _PassingError as failure:
                wait = failure.retry_after
                _log.info("%s: %s", shown(url), failure)
                try:
                    attempts.failed(failure)
                except _PassingError:
                    advice = "run again later, or ask the operator of the API"
                    cause = f"no whole page from {shown(url)} in {self.retry.attempts} attempts, at last: {failure}"
                    raise IncompleteError(f"{cause}; {advice}") from None

    def _page(self, url: str, params: Mapping[str, str] | None) -> Page:
        try:
            with self.session.get(
                url, params=params, stream=True, timeout=self.timeout, allow_redirects=False
            ) as response:
                self._check_status(url, response)
                body = _read(url, response)
        except _LOST as error:
            raise _PassingError(f"no connection, or it broke ({_kind(error)})") from None
        except requests.RequestException as error:
            raise ConfigError(f"{shown(url)} cannot be asked: {_kind(error)}; check the url of the API") from None
        try:
            return read_page(body)
        except ValueError as error:
            raise _PassingError(str(error)) from None

    def _check_status(self, url: str, response: requests.Response) -> None:
        status = response.status_code
        if 200 <= status < 300:
            return
        if may_pass(status):
            raise _PassingError(f"status {status}", self._retry_after(response.headers.get("Retry-After", "")))
        raise self._refusal(url, status)

    def _refusal(self, url: str, status: int) -> TallymarkError:
        if status in (401, 403):
            advice = "check the secret that header_from names, and what it may read"
        elif status < 400:
            advice = "redirects are not followed, or the credentials would go there: name the final url"
        else:
            advice = "check the url of the API, its parameters and its pagination"
        kind = IncompleteError if self.answered else ConfigError
        return kind(f"{shown(url)} answered with status {status}: {advice}")

    def _retry_after(self, text: str) -> float:
        """Return how many seconds the API asks to wait: it says a number or a date."""
        if text.isascii() and text.isdigit():
            return min(float(text), LONGEST_WAIT)
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return 0
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return min(max(moment.timestamp() - self.clock(), 0), LONGEST_WAIT)


def _read(url: str, response: requests.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(1 << 16):
        body += chunk
        if len(body) > LARGEST_BODY:
            advice = "ask for smaller pages or a narrower window"
            raise IncompleteError(f"{shown(url)} answered with more than {LARGEST_BODY >> 20} MB: {advice}")
    return bytes(body)


def _kind(error: BaseException) -> str:
    """Return the class of the innermost cause that `requests` tells of; its text would show the query."""
    inner = error.args[0] if error.args else error
    cause = getattr(inner, "reason", None) or inner
    return type(cause if isinstance(cause, BaseException) else error).__name__


def shown(url: str) -> str:
    """Return a URL without what may be secret: user, password and query.

    >>> shown("https://me:pass@host:8443/logs?token=s3cret#x")
    'https://host:8443/logs'
    """
    parts = parse_url(url)
    return Url(scheme=parts.scheme, host=parts.host, port=parts.port, path=parts.path).url
