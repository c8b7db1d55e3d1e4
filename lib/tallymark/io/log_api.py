"""Pulls the pages of an HTTP API that hands out log records: asks, tries again, follows to the next page.

A page is given on as it came, proven to be whole (``log_page``); records are neither read nor decrypted here, and what
the API sends twice is given on twice. The value of the Authorization header is read when it is needed, from the
place that ``header_from`` names, and goes to the host of ``url`` only. Called by the run of ingest, on the driver.
"""

from __future__ import annotations

import random as _random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal
from urllib.parse import quote, urljoin

import requests
from urllib3.util import Url, parse_url

from tallymark.errors import ConfigError, IncompleteError
from tallymark.io.log_page import Page
from tallymark.io.log_request import Asking, shown
from tallymark.io.loopback import is_loopback
from tallymark.io.secrets import read_secret
from tallymark.retry import RetryPolicy

RETRY = RetryPolicy(attempts=6, base_seconds=0.5, cap_seconds=30)

# So many equal pages in a row are no repetition any more: the API does not go on.
_MOST_EQUAL_PAGES = 3
_MOST_EMPTY_PAGES = 1000
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class LogApi:
    """Where the API is and how it hands out its pages; holds no secret.

    Attributes:
        url: may hold ``{from}`` and ``{to}``: the window, as ISO time in UTC.
        pagination: ``none``: ask ``calls`` times; ``next``: the answer names the next page; ``page``: pages have
            numbers from 1 on, the first empty one ends.
        page_param: parameter of the number, with ``page``.
        cursor_param: parameter of the cursor, with ``next``, unless the answer names a whole URL.
        header_from: reference of the value of the header ``Authorization`` (``tallymark.io.secrets``).
        connect_seconds: how long a connection may take.
        read_seconds: how long the API may be silent.
    """

    url: str
    pagination: Literal["none", "next", "page"] = "none"
    calls: int = 1
    page_param: str = "page"
    cursor_param: str = "cursor"
    header_from: str | None = None
    connect_seconds: float = 5
    read_seconds: float = 60


def read_pages(
    api: LogApi,
    window_start: datetime,
    window_end: datetime,
    environ: Mapping[str, str],
    retry: RetryPolicy = RETRY,
    sleep: Callable[[float], None] = time.sleep,
    random: Callable[[], float] = _random.random,
    clock: Callable[[], float] = time.time,
) -> Iterator[bytes]:
    """Yield the items of each page that has any: the text of one whole JSON array, as it came.

    Args:
        window_start: with a time zone, as ``window_end``; whether the end belongs to it is up to the API.
        environ: where the secret may be.
        clock: seconds since 1970, for a ``Retry-After`` that is a date.

    Raises:
        ConfigError: url, secret or pagination are wrong, or the API refuses the first request.
        IncompleteError: a page could not be had in spite of retries, or the pages do not end.
    """
    url = api.url.replace("{from}", _iso(window_start)).replace("{to}", _iso(window_end))
    _check_url(url, is_secret=api.header_from is not None)
    authorize = _authorization(api.header_from, environ)
    with requests.Session() as session:
        session.auth = authorize
        asking = Asking(session, (api.connect_seconds, api.read_seconds), retry, sleep, random, clock)
        follow = {"none": _repeated, "next": _linked, "page": _numbered}[api.pagination]
        yield from (page.items for page in follow(api, url, asking) if page.count)


def _iso(moment: datetime) -> str:
    return quote(moment.astimezone(timezone.utc).replace(tzinfo=None).isoformat() + "Z", safe="")


def _repeated(api: LogApi, url: str, asking: Asking) -> Iterator[Page]:
    for _ in range(api.calls):
        page = asking.page(url)
        if page.next is not None:
            advice = "set the pagination of the API to next"
            raise ConfigError(f"{shown(url)} names a next page under {page.next_key}, and none is asked for: {advice}")
        yield page


def _numbered(api: LogApi, url: str, asking: Asking) -> Iterator[Page]:
    ahead = _Progress(url)
    number = 1
    while (page := asking.page(url, {api.page_param: str(number)})).count:
        ahead.check(page)
        yield page
        number += 1


def _linked(api: LogApi, url: str, asking: Asking) -> Iterator[Page]:
    ahead = _Progress(url)
    seen: set[str] = set()
    page = asking.page(url)
    yield page
    while (named := page.next) is not None:
        if named in seen:
            advice = "its pages do not end; ask its operator, or narrow the window"
            raise IncompleteError(f"{shown(url)} named the same next page twice under {page.next_key}: {advice}")
        seen.add(named)
        if _is_url(named, page.next_key):
            page = asking.page(_on_same_host(url, named))
        else:
            page = asking.page(url, {api.cursor_param: named})
        ahead.check(page)
        yield page


class _Progress:
    """Sees whether new pages bring anything new: an API that ignores the number or the cursor never ends."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._last = b""
        self._equal = 0

    def check(self, page: Page) -> None:
        self._equal = self._equal + 1 if page.items == self._last else 1
        self._last = page.items
        if self._equal >= (_MOST_EQUAL_PAGES if page.count else _MOST_EMPTY_PAGES):
            advice = "check page_param or cursor_param; where they are right, ask its operator"
            raise IncompleteError(f"{shown(self._url)} gave the same page {self._equal} times in a row: {advice}")


def _is_url(named: str, key: str) -> bool:
    """Tell a URL from a cursor, which may begin with a slash too; only ``next`` is known to hold relative ones."""
    return re.match("https?://", named, re.IGNORECASE) is not None or (key == "next" and named[0] in "/?")


def _on_same_host(url: str, named: str) -> str:
    try:
        target = urljoin(url, named)
        if _origin(parse_url(target)) == _origin(parse_url(url)):
            return target
    except ValueError:  # it is no URL
        pass
    advice = "it is not followed, or the credentials would go there; ask its operator"
    raise IncompleteError(f"{shown(url)} names a next page on another host: {advice}")


def _origin(url: Url) -> tuple[str | None, str | None, int | None]:
    """Return scheme, host and port as `requests` will see them: another parser may find another host in a bad URL."""
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme or "")


def _check_url(url: str, is_secret: bool) -> None:
    try:
        scheme, host, _ = _origin(parse_url(url))
    except ValueError:
        scheme = host = None
    if scheme not in _PORTS or not host:
        raise ConfigError("the url of the log API is none: write https://HOST/PATH?from={from}&to={to}")
    if scheme == "http" and is_secret and not is_loopback(host):
        raise ConfigError(
            f"header_from would send a secret to {host} in the clear: write https:// in the url of the API"
        )


def _authorization(
    reference: str | None, environ: Mapping[str, str]
) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """Return what signs a request; without a reference it does nothing, and keeps `requests` from using ~/.netrc."""
    value = read_secret(reference, environ) if reference else None
    if value and not re.fullmatch(r"[!-~]([ -~]*[!-~])?", value):  # an error of http.client would show it
        advice = "it must be one line of ASCII without spaces around it"
        raise ConfigError(f"the secret {reference} cannot be the value of a header: {advice}")

    def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if value:
            request.headers["Authorization"] = value
        return request

    return authorize
