"""The hour of a record: T2. UTC, half-open, whatever the machine's own zone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallymark.ingest.event_time import partition, read_epoch, read_time
from tallymark.ingest.tables import Rejected


@pytest.fixture(autouse=True, scope="module")
def _far_away() -> Iterator[None]:
    """Every test here runs in a zone that is not UTC and has summer time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "America/Sao_Paulo")
        time.tzset()
        assert time.timezone != 0, os.environ["TZ"]
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "dt", "hour"),
    [
        ("2023-03-17T00:59:59.999999Z", "2023-03-17", "00"),
        ("2023-03-17T01:00:00Z", "2023-03-17", "01"),
        ("2023-03-17T06:29:59+05:30", "2023-03-17", "00"),
        ("2023-03-17T06:30:00+05:30", "2023-03-17", "01"),
        ("2023-03-17T05:29:59.999999+05:30", "2023-03-16", "23"),
        ("2023-12-31T23:30:00-00:30", "2024-01-01", "00"),
        ("2024-02-28T23:00:00-01:00", "2024-02-29", "00"),
        ("2023-03-17T14:01:02.123456", "2023-03-17", "14"),
        ("2023-03-17 14:01:02,5", "2023-03-17", "14"),
        ("2023-03-17t14:01z", "2023-03-17", "14"),
        ("2023-03-17T14:01:02.123456 Z", "2023-03-17", "14"),
        ("2023-03-17T14:59:59.999999999Z", "2023-03-17", "14"),
        ("2023-03-17T14:01:02+14", "2023-03-17", "00"),
        ("2023-03-17T14:01:02-0930", "2023-03-17", "23"),
        ("2000-01-01T00:00:00.000000", "2000-01-01", "00"),
        ("2099-12-31T23:59:59.999999", "2099-12-31", "23"),
    ],
)
def test_a_time_is_in_its_utc_hour(text: str, dt: str, hour: str) -> None:
    assert read_time(text)[1:] == (dt, hour)


def test_a_time_is_counted_in_microseconds() -> None:
    """`date -u -d 2023-03-17T14:01:02 +%s` is 1679061662."""
    forms = ["2023-03-17T14:01:02.123456", "2023-03-17T14:01:02.123456Z", "2023-03-17T16:01:02.123456789+02:00"]

    assert [read_time(form)[0] for form in forms] == [1_679_061_662_123_456] * 3
    assert read_time("2023-03-17T14:01:02.5")[0] == 1_679_061_662_500_000
    assert read_time("2023-03-17T14:01")[0] == 1_679_061_660_000_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "23:59:60",
        "2023-03-17T23:59:60Z",
        "2023-03-17T24:00:00",
        "2023-02-29T00:00:00",
        "2023-03-17",
        "2023-03-17T14",
        "20230317T140102",
        "2023-03-17T14:01:02.",
        "2023-03-17T14:01:02.1234567890",
        "2023-03-17T14:01:02.123456\n",
        "2023-03-17T14:01:02.12345\n",
        " 2023-03-17T14:01:02",
        "2023-03-17T14:01:02+16:00",
        "2023-03-17T14:01:02+05:60",
        "2023-03-17T14:01:02 UTC",
        "2023-03-17T14:01:02.١٢٣٤٥٦",
        "2023-03-17T14:01:02.12345６",
        "２０２３-03-17T14:01:02Z",
        "9999-12-31T23:59:59.999999",
        "1999-12-31T23:59:59.999999",
        "2000-01-01T00:00:00+00:01",
        "2099-12-31T23:59:59-00:01",
        "2100-01-01T00:00:00.000000",
        "0000-00-00T00:00:00.000000",
        "-2023-03-17T14:01:02",
        "1679061662",
        "\ud800",
    ],
)
def test_what_is_no_time_of_this_century_is_rejected(text: str) -> None:
    with pytest.raises(Rejected, match=r"^bad_time$"):
        read_time(text)


@pytest.mark.parametrize(
    ("number", "moment", "hour"),
    [
        ("1679061662", 1_679_061_662_000_000, "14"),
        ("1679061662.5", 1_679_061_662_500_000, "14"),
        ("1679061662500", 1_679_061_662_500_000, "14"),
        ("1679061662500.25", 1_679_061_662_500_250, "14"),
        ("1.679061662e9", 1_679_061_662_000_000, "14"),
        ("1679065199.9999999", 1_679_065_199_999_999, "14"),
        ("1679065199." + "9" * 40, 1_679_065_199_999_999, "14"),
        ("1679065200", 1_679_065_200_000_000, "15"),
        ("946684800", 946_684_800_000_000, "00"),
    ],
)
def test_an_epoch_counts_seconds_or_milliseconds(number: str, moment: int, hour: str) -> None:
    """And it is cut, not rounded: 14:59:59.99... is never 15:00."""
    assert (read_epoch(number)[0], read_epoch(number)[2]) == (moment, hour)


@pytest.mark.parametrize(
    "number",
    [
        "-1",
        "0",
        "-0",
        "946684799.999999",
        "4102444800",
        "99999999999",
        "4102444800000",
        "1e15",
        "1e999999999",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "1" * 5_000,
    ],
)
def test_an_epoch_outside_of_this_century_is_rejected(number: str) -> None:
    with pytest.raises(Rejected, match=r"^bad_time$"):
        read_epoch(number)


moments = st.datetimes(*map(datetime.fromisoformat, ("2000-01-02", "2099-12-30")))
offsets = st.integers(-15 * 60, 15 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments, st.none() | offsets, st.sampled_from(["auto", "minutes", "seconds", "milliseconds", "microseconds"]))
def test_the_partition_of_any_iso_time_is_its_utc_hour(moment: datetime, zone: timezone | None, detail: str) -> None:
    text = moment.replace(tzinfo=zone).isoformat(timespec=detail)
    utc = datetime.fromisoformat(text).replace(tzinfo=zone or timezone.utc).astimezone(timezone.utc)

    since_1970 = (utc - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)
    assert read_time(text) == (since_1970, f"{utc:%Y-%m-%d}", f"{utc:%H}")


@given(st.integers(946_684_800_000_000, 4_102_444_799_999_999))
def test_an_hour_is_the_floor_of_its_microseconds(moment: int) -> None:
    dt, hour = partition(moment)
    start = datetime.fromisoformat(f"{dt}T{hour}:00:00+00:00").timestamp()

    assert start * 1_000_000 == moment - moment % 3_600_000_000


@given(st.text(max_size=30) | st.text(st.sampled_from("0123456789T:Z .+-"), min_size=26, max_size=26))
def test_any_text_is_a_time_or_rejected(text: str) -> None:
    try:
        moment, dt, hour = read_time(text)
    except Rejected as rejected:
        assert rejected.reason == "bad_time"  # noqa: PT017 - most texts are rejected, and may be
    else:
        assert (dt, hour) == partition(moment)
