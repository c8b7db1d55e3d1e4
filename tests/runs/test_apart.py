"""Work in a process of its own: what it returns, and how its end shows."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tallymark.errors import ConfigError
from tallymark.runs.apart import apart


def test_what_the_work_returns_comes_back_and_what_it_raises_is_raised() -> None:
    def fail() -> None:
        raise ConfigError("no such place")

    assert apart(lambda: {"pid": os.getpid()})["pid"] != os.getpid()
    with pytest.raises(ConfigError, match="no such place"):
        apart(fail)


def leave() -> None:
    raise SystemExit(2)


def panic() -> None:
    raise BaseException("of a library that is not Python")  # noqa: TRY002 - such is a panic of Rust


@pytest.mark.parametrize(("work", "code"), [(leave, 2), (panic, 3), (lambda: os.kill(os.getpid(), signal.SIGKILL), 3)])
def test_work_that_is_killed_or_crashes_is_incomplete_and_never_a_difference(
    work: Callable[[], None], code: int
) -> None:
    with pytest.raises(SystemExit) as ended:
        apart(work)

    assert ended.value.code == code
