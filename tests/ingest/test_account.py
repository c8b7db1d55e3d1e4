"""The equation: it holds, and nothing that was altered passes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallymark.errors import AccountingError
from tallymark.ingest.account import HourAccount, add_up
from tallymark.ingest.travelling import COUNTED, QUARANTINE_PLACE

Rows = list[dict[str, Any]]


def row(place: str, came: int = 0, rows: int = 0, duplicates: int = 0, conflicts: int = 0, note: Any = None) -> Any:
    counts = {"came": came, "rows": rows, "duplicates": duplicates, "conflicts": conflicts}
    return {"place": place, **counts, "note": None if note is None else json.dumps(note)}


def merged() -> Rows:
    """Twenty items: 14 written, 2 duplicates, 1 conflict, 3 that could not be read."""
    lost = ["s3://b/x.gz", "TRUNCATED_GZIP", "it ends too early"]
    return [
        row("dt=2023-03-17/hour=13", came=11, rows=8, duplicates=2, conflicts=1),
        row("dt=2023-03-17/hour=14", came=6, rows=6),
        row(QUARANTINE_PLACE, came=1, rows=1, note={"conflict": 1}),
        row(QUARANTINE_PLACE, came=3, rows=2, duplicates=1, note={"unknown_key": 2, "bad_time": 1}),
        row(COUNTED, note={"extracted": 12, "errors": []}),
        row(COUNTED, note={"extracted": 8, "errors": [lost]}),
    ]


def test_the_counts_of_all_tasks_are_one_account() -> None:
    account = add_up(merged())

    assert (account.extracted, account.written, account.duplicates, account.quarantined) == (20, 14, 2, 4)
    assert account.reasons == {"conflict": 1, "unknown_key": 2, "bad_time": 1}
    assert account.hours == {
        "dt=2023-03-17/hour=13": HourAccount(11, 8, 2, 1),
        "dt=2023-03-17/hour=14": HourAccount(6, 6, 0, 0),
    }
    assert account.errors == (("s3://b/x.gz", "TRUNCATED_GZIP", "it ends too early"),)
    assert account.conflicts == 1


def test_a_conflict_could_be_read_and_is_not_bad() -> None:
    """T8: 3 of 20."""
    assert add_up(merged()).bad_percent == Decimal(15)


def test_nothing_is_an_account_too() -> None:
    empty = add_up([])

    assert (empty.extracted, empty.written, empty.bad_percent, empty.hours) == (0, 0, Decimal(0), {})
    assert add_up([row(COUNTED, note={"extracted": 0, "errors": []})]) == empty


def test_an_account_is_ready_for_json() -> None:
    found = json.loads(json.dumps(add_up(merged()).as_dict()))

    assert (found["extracted"], found["conflicts"]) == (20, 1)
    hour = {"extracted": 11, "written": 8, "duplicates": 2, "conflicts": 1}
    assert found["hours"]["dt=2023-03-17/hour=13"] == hour
    assert found["errors"] == [["s3://b/x.gz", "TRUNCATED_GZIP", "it ends too early"]]


PARTS = [(at, name) for at in (0, 1) for name in ("came", "rows", "duplicates", "conflicts")]
NOTES = [(2, "conflict"), (3, "unknown_key"), (3, "bad_time"), (3, "conflict"), (4, "extracted"), (5, "extracted")]
CHANGES = st.integers(-20, 20).filter(bool)


@given(st.sampled_from(PARTS), CHANGES)
def test_a_count_of_an_hour_that_was_altered_is_refused(place: tuple[int, str], change: int) -> None:
    rows, (at, name) = merged(), place
    rows[at][name] += change

    with pytest.raises(AccountingError, match="nothing was committed"):
        add_up(rows)


@given(st.sampled_from(NOTES), CHANGES)
def test_a_count_of_a_task_that_was_altered_is_refused(place: tuple[int, str], change: int) -> None:
    rows, (at, name) = merged(), place
    note = json.loads(rows[at]["note"])
    rows[at]["note"] = json.dumps(note | {name: note.get(name, 0) + change})

    with pytest.raises(AccountingError, match="nothing was committed"):
        add_up(rows)


def test_a_conflict_under_another_reason_is_refused() -> None:
    """All sums hold, but the hour says conflict and the quarantine does not."""
    rows = merged()
    rows[2]["note"] = json.dumps({"bad_time": 1})

    with pytest.raises(AccountingError, match="conflicts do not add up"):
        add_up(rows)


@pytest.mark.parametrize("at", range(6))
def test_a_row_that_was_lost_or_came_twice_is_refused(at: int) -> None:
    rows = merged()

    with pytest.raises(AccountingError):
        add_up(rows[:at] + rows[at + 1 :])
    with pytest.raises(AccountingError):
        add_up([*rows, rows[at]])
