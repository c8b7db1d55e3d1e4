from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3_server import PAGE, Bucket, Fault, FaultProxy, s3_threads
from tallymark.errors import IncompleteError
from tallymark.io.objects import ObjectStore
from tallymark.io.s3_listing import PLAN, Listing, Plan

EAGER = Plan(pages=1, threads=3, ranges=6)
DAYS = [f"2026/{month:02}/{day:02}/part-{part}" for month in (1, 2) for day in range(1, 11) for part in range(8)]
FLAT = [f"part-{number:05}.jsonl.gz" for number in range(0, 16_000, 100)]
MANY_FOLDERS = [f"device-{number:03}/data" for number in range(120)]
MIXED = ["_first", *(f"a/{number:02}" for number in range(40)), "a", "b/c", *(f"x{number:02}" for number in range(60))]

_prefixes = count()


def put(bucket: Bucket, keys: list[str], prefix: str = "p/") -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda key: bucket.put(prefix + key), keys))


def paths(store: ObjectStore, bucket: Bucket, plan: Plan = EAGER, prefix: str = "p/") -> list[str]:
    return [obj.path for obj in Listing(store.s3, bucket.name, prefix, plan)]


@pytest.mark.parametrize("keys", [DAYS, FLAT, MANY_FOLDERS, MIXED], ids=["days", "flat", "many folders", "mixed"])
def test_a_long_listing_is_whole_in_order_and_made_over_ranges(
    bucket: Bucket, proxy: FaultProxy, keys: list[str]
) -> None:
    put(bucket, keys)
    assert paths(proxy.store, bucket) == sorted(keys)
    ranges = [path for _, path, _ in proxy.requests if "start-after" in path and "max-keys=1" not in path]
    assert len(ranges) >= 3
    assert s3_threads() == []


CHARACTERS = st.text("ab/-0 %+é日😀", min_size=1, max_size=6)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(objects=st.dictionaries(CHARACTERS, st.booleans(), max_size=60), ranges=st.integers(1, 8))
def test_any_keys_are_listed_once_and_in_order_however_they_are_cut(
    bucket: Bucket, objects: dict[str, bool], ranges: int
) -> None:
    """Empty objects whose key ends with a slash are folder markers."""
    prefix = f"{next(_prefixes)}/"
    for key, is_empty in objects.items():
        bucket.put(prefix + key, b"" if is_empty else b"{}")
    bucket.put(prefix, b"")
    expected = sorted(key for key, is_empty in objects.items() if not (is_empty and key.endswith("/")))
    assert paths(bucket.store, bucket, Plan(1, 3, ranges), prefix) == expected
    assert paths(bucket.store, bucket, Plan(pages=1_000), prefix) == expected


def test_a_listing_of_few_pages_costs_a_request_a_page(bucket: Bucket, proxy: FaultProxy) -> None:
    put(bucket, FLAT[: PLAN.pages * PAGE])
    assert [obj.path for obj in proxy.store.list_objects(f"{bucket.uri}/p")] == FLAT[: PLAN.pages * PAGE]
    assert len(proxy.requests) == PLAN.pages
    bucket.put("p/part-99999")
    assert len(list(proxy.store.list_objects(f"{bucket.uri}/p"))) == PLAN.pages * PAGE + 1
    assert len(proxy.requests) > 2 * PLAN.pages


def test_what_a_page_tells_is_what_boto3_reads_in_it(bucket: Bucket) -> None:
    """The page is read by our own code, because botocore takes far longer."""
    put(bucket, ["a b+c%20d", "&lt;<>\"'", "日/ü", "tab\tend"], "")
    bucket.put("empty", b"")
    expected = {
        (item["Key"], item["Size"], item["ETag"].strip('"'), int(item["LastModified"].timestamp()))
        for item in bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]
    }
    found = list(Listing(bucket.store.s3, bucket.name, ""))
    assert {(obj.path, obj.size, obj.etag, obj.modified_ns // 10**9) for obj in found} == expected
    assert len(found) == 5


class Deaf(Listing):
    """A store that does not know StartAfter."""

    def _page(self, **asked: Any) -> dict[str, Any]:
        asked.pop("StartAfter", None)
        return super()._page(**asked)


def test_a_store_that_does_not_know_where_to_start_still_lists_each_key_once(bucket: Bucket) -> None:
    put(bucket, DAYS)
    assert [obj.path for obj in Deaf(bucket.store.s3, bucket.name, "p/", EAGER)] == sorted(DAYS)


class Reversed(Listing):
    """A store whose pages are in no order, from the start or when asked from a key on."""

    def __init__(self, *arguments: Any, only: str = "") -> None:
        super().__init__(*arguments)
        self._only = only

    def _page(self, **asked: Any) -> dict[str, Any]:
        page = super()._page(**asked)
        contents = page.get("Contents", [])
        return {**page, "Contents": contents[::-1]} if not self._only or self._only in asked else page


def test_a_store_that_lists_in_no_order_is_listed_page_by_page(bucket: Bucket) -> None:
    put(bucket, FLAT)
    found = [obj.path for obj in Reversed(bucket.store.s3, bucket.name, "p/", EAGER)]
    assert sorted(found) == FLAT
    assert found[0] == FLAT[PAGE - 1]


def test_a_store_that_loses_its_order_on_the_way_is_an_error_and_never_a_part(bucket: Bucket) -> None:
    put(bucket, DAYS)
    with pytest.raises(IncompleteError, match="is listed in no order, so objects may be missed; run again later"):
        list(Reversed(bucket.store.s3, bucket.name, "p/", EAGER, only="StartAfter"))
    assert s3_threads() == []


@pytest.mark.parametrize("place", ["start-after", "delimiter"])
def test_a_refusal_behind_the_first_pages_has_its_cause_and_ends_all_threads(
    bucket: Bucket, proxy: FaultProxy, place: str
) -> None:
    put(bucket, DAYS)
    proxy.faults.append(Fault(path=place, status=403, code="AccessDenied"))
    with pytest.raises(IncompleteError, match=r"AccessDenied on s3://.*/p: the role needs s3:ListBucket"):
        list(proxy.store.list_objects(f"{bucket.uri}/p"))
    assert s3_threads() == []


def test_a_caller_that_stops_early_leaves_no_thread(bucket: Bucket) -> None:
    put(bucket, DAYS)
    listing: Any = iter(Listing(bucket.store.s3, bucket.name, "p/", EAGER))
    for _ in range(2 * PAGE):
        next(listing)
    assert s3_threads() != []
    listing.close()
    assert s3_threads() == []


def test_a_range_that_nobody_waits_for_any_more_ends_with_its_page(bucket: Bucket) -> None:
    put(bucket, DAYS)
    listing = Listing(bucket.store.s3, bucket.name, "p/", EAGER)
    assert len(listing._range("p/", None)) == len(DAYS)
    listing._stopped.set()
    assert len(listing._range("p/", None)) == PAGE
