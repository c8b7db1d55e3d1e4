"""The one retry policy: exponential backoff with full jitter and a bounded number of attempts.

What may be retried is decided by the caller's predicate; sleeping and randomness are passed in, so a
test takes no time and a schedule can be written down by hand. Knows nothing about what it repeats.
Whoever talks to something that may be busy for a moment calls ``call``; a stream that goes on where
it broke keeps an ``Attempts`` and tells it about every failure and every progress.
"""

from __future__ import annotations

import random as _random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to wait: failure n waits up to ``min(cap, base * 2 ** (n - 1))`` seconds."""

    attempts: int = 4
    base_seconds: float = 0.2
    cap_seconds: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.base_seconds < 0 or self.cap_seconds < 0:
            raise ValueError(f"attempts must be at least 1 and waits not negative: {self}")

    def delay(self, failures: int, jitter: float) -> float:
        """Return the wait after the n-th failure in a row, for a ``jitter`` between 0 and 1.

        >>> [RetryPolicy(base_seconds=0.5, cap_seconds=3.0).delay(n, 1.0) for n in (1, 2, 3, 4)]
        [0.5, 1.0, 2.0, 3.0]
        """
        return jitter * min(self.cap_seconds, self.base_seconds * 2.0 ** min(failures - 1, 60))


class Attempts:
    """The failures in a row of one piece of work."""

    def __init__(
        self,
        policy: RetryPolicy,
        retryable: Callable[[BaseException], bool],
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._policy = policy
        self._retryable = retryable
        self._sleep = sleep
        self._random = random
        self._failures = 0

    def failed(self, error: BaseException) -> None:
        """Wait before the next attempt, or raise ``error`` again when there must not be one."""
        self._failures += 1
        if self._failures >= self._policy.attempts or not self._retryable(error):
            raise error
        self._sleep(self._policy.delay(self._failures, self._random()))

    def progressed(self) -> None:
        """Forget the failures so far: only failures without progress in between count."""
        self._failures = 0


def call(
    action: Callable[[], T],
    policy: RetryPolicy,
    retryable: Callable[[BaseException], bool],
    sleep: Callable[[float], None] = time.sleep,
    random: Callable[[], float] = _random.random,
) -> T:
    """Return ``action()``, repeated while it raises what ``retryable`` accepts; raise its last error.

    >>> call(lambda: 42, RetryPolicy(), retryable=lambda error: True)
    42
    """
    attempts = Attempts(policy, retryable, sleep, random)
    while True:
        try:
            return action()
        except Exception as error:  # noqa: BLE001 - `retryable` decides which
            attempts.failed(error)
