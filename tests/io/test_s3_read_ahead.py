from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

import pytest

from s3_server import QUICK, Bucket, Fault, FaultProxy
from tallymark.errors import ObjectError
from tallymark.io.objects import CHUNK_SIZE, ObjectStore
from tallymark.io.s3_read_ahead import WINDOW, ReadAhead, Window
from tallymark.io.stored import S3Settings, StoredObject
from tallymark.retry import RetryPolicy

PART = 1_000_000
SMALL = Window(part_size=PART, parts=3)
CONTENT = os.urandom(5 * PART + 1)


def read(store: ObjectStore, obj: StoredObject, window: Window = SMALL) -> bytes:
    with ReadAhead(store.s3, 100_000, window=window) as ahead:
        return b"".join(ahead.read_chunks(obj))


def reason(store: ObjectStore, obj: StoredObject) -> str:
    with pytest.raises(ObjectError) as caught:
        read(store, obj)
    assert caught.value.uri == obj.uri
    assert threads() == []
    return caught.value.reason


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tallymark-s3")]


def asked(proxy: FaultProxy) -> list[str]:
    """Return the paths that were asked for, without the bucket."""
    return [path.partition("/")[2].partition("/")[2] for method, path, _ in proxy.requests if method == "GET"]


def ranges(proxy: FaultProxy) -> set[str | None]:
    return {headers.get("Range") for *_, headers in proxy.requests}


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def small_objects(bucket: Bucket) -> list[StoredObject]:
    for number in range(6):
        bucket.put(f"{number}", f"content {number}".encode())
    return list(bucket.store.list_objects(bucket.uri))


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 3000, 3001])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_parts_of_any_number_join_to_the_object(bucket: Bucket, size: int, parts: int) -> None:
    obj = bucket.stored("x", CONTENT[:size])
    assert read(bucket.store, obj, Window(part_size=1000, parts=parts)) == CONTENT[:size]


def test_each_part_is_asked_for_once_and_pinned_to_what_was_listed(bucket: Bucket, proxy: FaultProxy) -> None:
    obj = bucket.stored("x", CONTENT[:3_500_000])
    assert read(proxy.store, obj) == CONTENT[:3_500_000]
    assert len(proxy.requests) == 4
    assert ranges(proxy) == {"bytes=0-999999", "bytes=1000000-1999999", "bytes=2000000-2999999", "bytes=3000000-"}
    assert {headers.get("If-Match") for *_, headers in proxy.requests} == {f'"{obj.etag}"'}


def test_a_store_reads_a_large_object_in_parts_and_a_small_one_in_one_request(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    large, small = bucket.stored("large", bytes(WINDOW.part_size) + b"end"), bucket.stored("small", b"content")
    assert b"".join(proxy.store.read_chunks(large)) == bytes(WINDOW.part_size) + b"end"
    assert ranges(proxy) == {"bytes=0-8388607", "bytes=8388608-"}
    proxy.requests.clear()
    assert list(proxy.store.read_chunks(small)) == [b"content"]
    assert (len(proxy.requests), ranges(proxy)) == (1, {None})


def test_a_part_that_breaks_goes_on_where_it_broke(bucket: Bucket, proxy: FaultProxy) -> None:
    """Each part breaks more often than the policy has attempts, but moves on in between."""
    obj = bucket.stored("x", CONTENT[: 2 * PART])
    proxy.faults.append(Fault(cut_after=170_000))
    assert read(proxy.store, obj) == CONTENT[: 2 * PART]
    assert QUICK.attempts == 3
    assert len(proxy.requests) == 2 * 6
    spans = [text.removeprefix("bytes=").split("-") for text in ranges(proxy) if text]
    starts = sorted(int(start) for start, _ in spans)
    assert {(int(start) < PART, end) for start, end in spans} == {(True, "999999"), (False, "")}
    assert all(0 < later - earlier <= 170_000 for earlier, later in pairwise(starts) if later != PART)


def test_a_part_that_breaks_without_progress_is_given_up(bucket: Bucket, proxy: FaultProxy) -> None:
    obj = bucket.stored("x", CONTENT)
    proxy.faults.append(Fault(range="bytes=1000000-", cut_after=0))
    assert reason(proxy.store, obj) == "UNAVAILABLE"


def test_an_object_replaced_between_two_parts_is_an_error(bucket: Bucket) -> None:
    obj = bucket.stored("x", CONTENT)
    with ReadAhead(bucket.store.s3, 100_000, window=SMALL) as ahead:
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


def test_a_server_that_ignores_ranges_is_named_as_such(bucket: Bucket, proxy: FaultProxy) -> None:
    obj = bucket.stored("x", CONTENT)
    proxy.faults.append(Fault(drop_header="Range"))
    with pytest.raises(ObjectError, match="the server sent all of the object: it cannot read from the middle"):
        read(proxy.store, obj)


def test_a_reader_that_stops_early_leaves_no_thread_and_asks_for_no_more(bucket: Bucket, proxy: FaultProxy) -> None:
    obj = bucket.stored("x", bytes(6 * WINDOW.part_size))
    chunks: Any = proxy.store.read_chunks(obj)
    assert len(next(chunks)) == CHUNK_SIZE
    assert threads() != []
    chunks.close()
    assert threads() == []
    assert len(proxy.requests) <= WINDOW.parts


def test_stopping_early_does_not_wait_for_a_part_that_is_about_to_be_tried_again(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    obj = bucket.stored("x", CONTENT)
    patient = S3Settings(proxy.endpoint_url, "us-east-1", RetryPolicy(attempts=9, base_seconds=600, cap_seconds=600))
    proxy.faults.append(Fault(range="bytes=1", cut_after=100_000))
    with ReadAhead(patient, 100_000, window=SMALL) as ahead:
        assert len(next(ahead.read_chunks(obj))) == 100_000
        wait_until(lambda: "bytes=1000000-1999999" in ranges(proxy))
        time.sleep(0.2)
        started = time.monotonic()
    assert time.monotonic() - started < 5
    assert threads() == []


def test_no_more_parts_are_held_than_the_window_allows(bucket: Bucket, proxy: FaultProxy) -> None:
    obj = bucket.stored("x", CONTENT)
    with ReadAhead(proxy.store.s3, 100_000, window=SMALL) as ahead, closing(ahead.read_chunks(obj)) as chunks:
        next(chunks)
        wait_until(lambda: len(proxy.requests) == 3)
        time.sleep(0.2)
        assert ranges(proxy) == {"bytes=0-999999", "bytes=1000000-1999999", "bytes=2000000-2999999"}


def test_objects_to_come_are_asked_for_before_they_are_read_and_only_once(
    small_objects: list[StoredObject], proxy: FaultProxy
) -> None:
    with proxy.store.read_ahead(small_objects) as store:
        first = store.read_chunks(small_objects[0])
        assert next(first) == b"content 0"
        wait_until(lambda: sorted(asked(proxy)) == ["0", "1", "2", "3", "4", "5"])
        assert [b"".join(store.read_chunks(obj)) for obj in small_objects[1:]] == [
            b"content 1",
            b"content 2",
            b"content 3",
            b"content 4",
            b"content 5",
        ]
    assert len(proxy.requests) == 6
    assert ranges(proxy) == {None}
    assert threads() == []


def test_two_objects_are_read_in_step_while_others_wait(bucket: Bucket, proxy: FaultProxy) -> None:
    contents = [CONTENT[number : number + 2 * PART] for number in range(6)]
    objects = [bucket.stored(str(number), content) for number, content in enumerate(contents)]
    with ReadAhead(proxy.store.s3, 100_000, objects, SMALL) as ahead:
        for number in (0, 2, 4):
            streams = map(ahead.read_chunks, objects[number : number + 2])
            in_step = zip_longest(*streams, fillvalue=b"")
            assert list(map(b"".join, zip(*in_step))) == contents[number : number + 2]
    assert ranges(proxy) == {"bytes=0-999999", "bytes=1000000-"}
    assert len(proxy.requests) == 12


@pytest.mark.parametrize(
    ("window", "waiting"),
    [
        (Window(waiting_objects=2), ["0", "1"]),
        (Window(waiting_bytes=10), ["0", "1"]),
        (Window(waiting_bytes=9), ["0"]),
        (Window(waiting_bytes=10, part_size=1), ["0", "1", "2", "3", "4", "5"]),
    ],
)
def test_no_more_objects_wait_than_the_window_allows(
    small_objects: list[StoredObject], proxy: FaultProxy, window: Window, waiting: list[str]
) -> None:
    """Each has nine bytes; only those of its first part count."""
    with ReadAhead(proxy.store.s3, 100_000, small_objects, window):
        wait_until(lambda: len(proxy.requests) >= len(waiting))
        time.sleep(0.1)
    assert sorted(asked(proxy)) == waiting


def test_objects_that_are_passed_over_repeated_or_not_announced_are_read_all_the_same(
    small_objects: list[StoredObject], bucket: Bucket
) -> None:
    announced, other = small_objects[:5], small_objects[5]
    with bucket.store.read_ahead(announced) as store:
        order = [small_objects[2], other, small_objects[0], small_objects[2], small_objects[4]]
        assert [b"".join(store.read_chunks(obj)) for obj in order] == [
            b"content 2",
            b"content 5",
            b"content 0",
            b"content 2",
            b"content 4",
        ]


def test_an_object_to_come_that_is_gone_is_an_error_only_when_it_is_read(
    small_objects: list[StoredObject], bucket: Bucket
) -> None:
    bucket.client.delete_object(Bucket=bucket.name, Key="1")
    with bucket.store.read_ahead(small_objects) as store:
        assert b"".join(store.read_chunks(small_objects[0])) == b"content 0"
        with pytest.raises(ObjectError, match="DELETED_DURING_RUN"):
            list(store.read_chunks(small_objects[1]))
        assert b"".join(store.read_chunks(small_objects[2])) == b"content 2"


def test_an_error_of_the_reader_ends_all_threads(small_objects: list[StoredObject], bucket: Bucket) -> None:
    def fail() -> Iterator[None]:
        with bucket.store.read_ahead(small_objects) as store:
            next(store.read_chunks(small_objects[0]))
            yield

    task = fail()
    next(task)
    with pytest.raises(ZeroDivisionError):
        task.throw(ZeroDivisionError)  # type: ignore[attr-defined]
    assert threads() == []


def test_local_objects_are_read_as_ever_also_beside_those_on_s3(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"local")
    (local,) = bucket.store.list_objects(str(tmp_path))
    with bucket.store.read_ahead([local]) as store:
        assert store is bucket.store
    remote = bucket.stored("x", b"remote")
    with bucket.store.read_ahead([local, remote]) as store:
        assert [b"".join(store.read_chunks(obj)) for obj in (local, remote)] == [b"local", b"remote"]


def test_a_process_that_was_forked_reads_with_a_client_and_threads_of_its_own(bucket: Bucket) -> None:
    """Spark's Python workers are forked."""
    obj = bucket.stored("x", CONTENT)
    code = (
        "import os, sys\n"
        "from tallymark.io.objects import ObjectStore\n"
        "from tallymark.io.s3_read_ahead import ReadAhead, Window\n"
        "store = ObjectStore.from_environment(os.environ)\n"
        "(obj,) = store.list_objects(sys.argv[1])\n"
        "def read():\n"
        "    with ReadAhead(store.s3, 100_000, [obj], Window(part_size=1_000_000)) as ahead:\n"
        "        print(sum(map(len, ahead.read_chunks(obj))), flush=True)\n"
        "read()\n"
        "child = os.fork()\n"
        "read()\n"
        "if child: sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "lib")}
    command = [sys.executable, "-c", code, obj.uri]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "5000001\n" * 3
