"""Posts a JSON text to a webhook. Its URL is a secret (whoever has it can post), so no error and no log holds it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests
from requests import exceptions as failures
from urllib3.util import parse_url

from tallymark.errors import IncompleteError
from tallymark.io.http_status import may_pass
from tallymark.io.loopback import is_loopback
from tallymark.retry import RetryPolicy, call

RETRY = RetryPolicy(attempts=4, base_seconds=1.0, cap_seconds=5.0)


class _PassingError(Exception):
    """An attempt failed in a way that may pass; the message says how."""


def post_json(
    url: str,
    payload: dict[str, Any],
    timeout: tuple[float, float] = (5.0, 10.0),
    retry: RetryPolicy = RETRY,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Posts until the answer is a 2xx.

    Args:
        timeout: seconds to connect, and of silence.

    Raises:
        IncompleteError: it was refused, or did not answer in any attempt, or is plain HTTP on another machine.
    """
    if url.lower().startswith("http:") and not is_loopback(_host(url)):
        raise IncompleteError("its URL, a secret, would be sent in the clear: write https://")
    try:
        call(lambda: _post(url, payload, timeout), retry, lambda error: isinstance(error, _PassingError), sleep)
    except _PassingError as failure:
        raise IncompleteError(f"{failure} in {retry.attempts} attempts") from None


def _host(url: str) -> str:
    """Returns the host as `requests` will see it; nothing where there is none."""
    try:
        return parse_url(url).host or ""
    except ValueError:
        return ""


def _post(url: str, payload: dict[str, Any], timeout: tuple[float, float]) -> None:
    try:
        # The answer is not read: its status says all, and it could be of any size.
        with requests.post(url, json=payload, timeout=timeout, allow_redirects=False, stream=True) as answer:
            status = answer.status_code
    except (failures.ConnectionError, failures.Timeout) as error:
        raise _PassingError(f"no connection ({type(error).__name__})") from None
    except requests.RequestException as error:
        raise IncompleteError(f"it cannot be asked ({type(error).__name__}): check the URL") from None
    if may_pass(status):
        raise _PassingError(f"status {status}")
    if not 200 <= status < 300:
        raise IncompleteError(f"it answered with status {status}: check the URL and the shape")
