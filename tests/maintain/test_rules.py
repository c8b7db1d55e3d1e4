"""Which hours are closed, and how long files stay: T14, T26."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tallymark.errors import ConfigError
from tallymark.maintain.rules import check_retention, closed_hours, is_chosen

NOW = datetime(2026, 3, 17, 14, 0, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("dt", "hour", "closed"),
    [
        ("2026-03-16", "23", True),
        ("2025-12-31", "15", True),
        ("2026-03-17", "00", True),
        ("2026-03-17", "13", True),
        ("2026-03-17", "14", False),  # began this very second
        ("2026-03-17", "15", False),  # of a sender whose clock is ahead
        ("2026-03-18", "00", False),
        ("2027-01-01", "03", False),
    ],
)
def test_an_hour_is_closed_once_the_clock_is_past_its_end(dt: str, hour: str, closed: bool) -> None:
    assert is_chosen({"dt": dt, "hour": hour}, closed_hours(NOW)) is closed


def test_an_hour_is_one_of_utc_wherever_the_clock_hangs() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=-11)))

    assert closed_hours(there) == closed_hours(NOW)


def test_a_table_without_hours_is_closed_as_a_whole() -> None:
    assert is_chosen({"run_id": "a"}, [[]])


@pytest.mark.parametrize(
    ("days", "properties"),
    [
        (7, {}),
        (30, {}),
        (14, {"delta.deletedFileRetentionDuration": "interval 14 days"}),
        (7, {"delta.deletedFileRetentionDuration": "interval 168 hours"}),
        (60, {"delta.logRetentionDuration": "INTERVAL 60 DAYS"}),
    ],
)
def test_a_retention_within_what_the_table_promises_is_allowed(days: int, properties: dict[str, str]) -> None:
    check_retention("logs", days, properties)


@pytest.mark.parametrize(
    ("days", "properties", "cause"),
    [
        (6, {}, "--retention-days 6: the table logs promises to keep old files for 7 days"),
        (13, {"delta.deletedFileRetentionDuration": "interval 2 weeks"}, "promises to keep old files for 14 days"),
        (31, {}, "--retention-days 31: the log of the table logs reaches back 30 days"),
        (8, {"delta.logRetentionDuration": "interval 180 hours"}, "reaches back 7.5 days"),
        (7, {"delta.logRetentionDuration": "a while"}, "the table logs has delta.logRetentionDuration = 'a while'"),
    ],
)
def test_another_one_is_refused_in_our_own_words(days: int, properties: dict[str, str], cause: str) -> None:
    """T26: the log must reach back as far as the files do."""
    with pytest.raises(ConfigError, match=cause):
        check_retention("logs", days, properties)
