from __future__ import annotations

import pytest

from tallymark.retry import Attempts, RetryPolicy, call

POLICY = RetryPolicy(attempts=4, base_seconds=1.0, cap_seconds=3.0)


class Action:
    """Fail with the given errors, one per call, then return "done"."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def is_timeout(error: BaseException) -> bool:
    return isinstance(error, TimeoutError)


def test_waits_double_up_to_the_cap_and_are_scaled_by_the_jitter() -> None:
    slept: list[float] = []
    jitter = iter([1.0, 0.5, 1.0])
    action = Action(TimeoutError(), TimeoutError(), TimeoutError())
    assert call(action, POLICY, is_timeout, slept.append, lambda: next(jitter)) == "done"
    assert slept == [1.0, 1.0, 3.0]


def test_the_last_error_is_raised_when_the_attempts_are_used_up_and_nobody_sleeps_after_it() -> None:
    slept: list[float] = []
    action = Action(*(TimeoutError(str(number)) for number in range(9)))
    with pytest.raises(TimeoutError, match="3"):
        call(action, POLICY, is_timeout, slept.append, lambda: 0.0)
    assert (action.calls, len(slept)) == (4, 3)


def test_an_error_that_the_predicate_refuses_is_raised_at_once() -> None:
    slept: list[float] = []
    action = Action(ValueError("no"), TimeoutError())
    with pytest.raises(ValueError, match="no"):
        call(action, POLICY, is_timeout, slept.append, lambda: 0.0)
    assert (action.calls, slept) == (1, [])


def test_progress_starts_the_count_anew() -> None:
    """A long stream may break more often than ``attempts``, as long as it moves on in between."""
    slept: list[float] = []
    attempts = Attempts(POLICY, is_timeout, slept.append, lambda: 1.0)
    for _ in range(3):
        attempts.failed(TimeoutError())
    attempts.progressed()
    attempts.failed(TimeoutError())
    assert slept == [1.0, 2.0, 3.0, 1.0]


@pytest.mark.parametrize("settings", [{"attempts": 0}, {"base_seconds": -1.0}, {"cap_seconds": -1.0}])
def test_a_policy_that_makes_no_sense_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="attempts must be"):
        RetryPolicy(**settings)  # type: ignore[arg-type]
