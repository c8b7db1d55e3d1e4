from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from s3_server import QUICK, Bucket, Fault, FaultProxy, s3_threads
from tallymark.errors import ObjectError
from tallymark.io.objects import ObjectStore
from tallymark.io.read_ahead import ReadAhead, Window
from tallymark.io.s3 import S3
from tallymark.io.stored import StoredObject

PART = 1_000_000
SMALL = Window(part_size=PART, parts=3)
CONTENT = os.urandom(5 * PART + 1)


def read(store: ObjectStore, obj: StoredObject, window: Window = SMALL) -> bytes:
    with ReadAhead(lambda _: S3(store.s3), 100_000, window=window) as ahead:
        return b"".join(ahead.read_chunks(obj))


def reason(store: ObjectStore, obj: StoredObject) -> str:
    with pytest.raises(ObjectError) as caught:
        read(store, obj)
    assert caught.value.uri == obj.uri
    assert s3_threads() == []
    return caught.value.reason


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 3000, 3001])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_parts_of_any_number_join_to_the_object(bucket: Bucket, size: int, parts: int) -> None:
    obj = bucket.stored("x", CONTENT[:size])
    assert read(bucket.store, obj, Window(part_size=1000, parts=parts)) == CONTENT[:size]


def test_each_part_is_asked_for_once_and_pinned_to_what_was_listed(bucket: Bucket, proxy: FaultProxy) -> None:
    obj = bucket.stored("x", CONTENT[:3_500_000])
    assert read(proxy.store, obj) == CONTENT[:3_500_000]
    assert len(proxy.requests) == 4
    assert proxy.ranges == {"bytes=0-999999", "bytes=1000000-1999999", "bytes=2000000-2999999", "bytes=3000000-"}
    assert {headers.get("If-Match") for *_, headers in proxy.requests} == {f'"{obj.etag}"'}


def test_a_part_that_breaks_goes_on_where_it_broke(bucket: Bucket, proxy: FaultProxy) -> None:
    """Each part breaks more often than the policy has attempts, but moves on in between."""
    obj = bucket.stored("x", CONTENT[: 2 * PART])
    proxy.faults.append(Fault(cut_after=170_000))
    assert read(proxy.store, obj) == CONTENT[: 2 * PART]
    assert QUICK.attempts == 3
    assert len(proxy.requests) == 2 * 6
    spans = [text.removeprefix("bytes=").split("-") for text in proxy.ranges if text]
    starts = sorted(int(start) for start, _ in spans)
    assert {(int(start) < PART, end) for start, end in spans} == {(True, "999999"), (False, "")}
    assert all(0 < later - earlier <= 170_000 for earlier, later in pairwise(starts) if later != PART)


def test_a_part_that_breaks_without_progress_is_given_up(bucket: Bucket, proxy: FaultProxy) -> None:
    obj = bucket.stored("x", CONTENT)
    proxy.faults.append(Fault(range="bytes=1000000-", cut_after=0))
    assert reason(proxy.store, obj) == "UNAVAILABLE"


def test_an_object_replaced_between_two_parts_is_an_error(bucket: Bucket) -> None:
    obj = bucket.stored("x", CONTENT)
    with ReadAhead(lambda _: S3(bucket.store.s3), 100_000, window=SMALL) as ahead:
        chunks = ahead.read_chunks(obj)
        assert next(chunks) == CONTENT[:100_000]
        bucket.put("x", CONTENT[::-1])
        with pytest.raises(ObjectError) as caught:
            list(chunks)
    assert caught.value.reason == "CHANGED_DURING_RUN"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(status=403, code="AccessDenied"), "ACCESS_DENIED"),
        (Fault(status=404, code="NoSuchKey"), "DELETED_DURING_RUN"),
        (Fault(status=412, code="PreconditionFailed"), "CHANGED_DURING_RUN"),
        (Fault(status=503, code="SlowDown"), "UNAVAILABLE"),
        (Fault(drop_header="Range"), "UNAVAILABLE"),
        (Fault(add_headers={"Content-Range": ""}), "UNAVAILABLE"),
        (Fault(add_headers={"Content-Range": "bytes 0-999999/5000001"}), "UNAVAILABLE"),
        (Fault(change=lambda body: body[:-1]), "SHORT_READ"),
        (Fault(change=lambda body: body + b"x"), "SHORT_READ"),
        (Fault(change=lambda _: b""), "SHORT_READ"),
    ],
)
def test_whatever_is_wrong_with_a_later_part_has_its_reason_and_ends_all_threads(
    bucket: Bucket, proxy: FaultProxy, fault: Fault, expected: str
) -> None:
    obj = bucket.stored("x", CONTENT)
    proxy.faults.append(replace(fault, range="bytes=1000000-"))
    assert reason(proxy.store, obj) == expected


def test_a_byte_too_many_does_not_make_up_for_one_that_is_missing_elsewhere(bucket: Bucket, proxy: FaultProxy) -> None:
    obj = bucket.stored("x", CONTENT)
    proxy.faults += [
        Fault(range="bytes=1000000-", change=lambda body: body + b"x"),
        Fault(range="bytes=2000000-", change=lambda body: body[:-1]),
    ]
    assert reason(proxy.store, obj) == "SHORT_READ"


def test_a_server_that_ignores_ranges_is_named_as_such(bucket: Bucket, proxy: FaultProxy) -> None:
    obj = bucket.stored("x", CONTENT)
    proxy.faults.append(Fault(drop_header="Range"))
    with pytest.raises(ObjectError, match="the server sent all of the object: it cannot read from the middle"):
        read(proxy.store, obj)


def test_a_process_that_was_forked_reads_with_a_client_and_threads_of_its_own(bucket: Bucket) -> None:
    """Spark's Python workers are forked."""
    obj = bucket.stored("x", CONTENT)
    code = (
        "import os, sys\n"
        "from tallymark.io.objects import ObjectStore\n"
        "from tallymark.io.s3_client import client\n"
        "from tallymark.io.read_ahead import ReadAhead, Window\n"
        "from tallymark.io.s3 import S3\n"
        "store = ObjectStore.from_environment(os.environ)\n"
        "(obj,) = store.list_objects(sys.argv[1])\n"
        "def read():\n"
        "    with ReadAhead(lambda _: S3(store.s3), 100_000, [obj], Window(part_size=1_000_000)) as ahead:\n"
        "        print(sum(map(len, ahead.read_chunks(obj))), flush=True)\n"
        "read()\n"
        "first = client(store.s3)\n"
        "child = os.fork()\n"
        "assert (client(store.s3) is first) == bool(child)\n"
        "read()\n"
        "if child: sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "lib")}
    command = [sys.executable, "-c", code, obj.uri]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "5000001\n" * 3
