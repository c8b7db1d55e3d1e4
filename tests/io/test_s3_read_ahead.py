from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from s3_server import Bucket, Fault, FaultProxy, s3_threads
from tallymark.errors import ObjectError
from tallymark.io.objects import CHUNK_SIZE
from tallymark.io.read_ahead import WINDOW, ReadAhead, Window
from tallymark.io.s3 import S3
from tallymark.io.stored import S3Settings, StoredObject
from tallymark.retry import RetryPolicy

PART = 1_000_000
SMALL = Window(part_size=PART, parts=3)
CONTENT = os.urandom(5 * PART + 1)


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


def test_a_store_reads_a_large_object_in_parts_and_a_small_one_in_one_request(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    large, small = bucket.stored("large", bytes(WINDOW.part_size) + b"end"), bucket.stored("small", b"content")
    assert b"".join(proxy.store.read_chunks(large)) == bytes(WINDOW.part_size) + b"end"
    assert proxy.ranges == {"bytes=0-8388607", "bytes=8388608-"}
    proxy.requests.clear()
    assert list(proxy.store.read_chunks(small)) == [b"content"]
    assert (len(proxy.requests), proxy.ranges) == (1, {None})


def test_a_reader_that_stops_early_leaves_no_thread_and_asks_for_no_more(bucket: Bucket, proxy: FaultProxy) -> None:
    obj = bucket.stored("x", bytes(6 * WINDOW.part_size))
    chunks: Any = proxy.store.read_chunks(obj)
    assert len(next(chunks)) == CHUNK_SIZE
    assert s3_threads() != []
    chunks.close()
    assert s3_threads() == []
    assert len(proxy.requests) <= WINDOW.parts


def test_stopping_early_does_not_wait_for_a_part_that_is_about_to_be_tried_again(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    obj = bucket.stored("x", CONTENT)
    patient = S3Settings(proxy.endpoint_url, "us-east-1", RetryPolicy(attempts=9, base_seconds=600, cap_seconds=600))
    proxy.faults.append(Fault(range="bytes=1", cut_after=100_000))
    with ReadAhead(lambda _: S3(patient), 100_000, window=SMALL) as ahead:
        assert len(next(ahead.read_chunks(obj))) == 100_000
        wait_until(lambda: "bytes=1000000-1999999" in proxy.ranges)
        time.sleep(0.2)
        started = time.monotonic()
    assert time.monotonic() - started < 5
    assert s3_threads() == []


def test_no_more_parts_are_held_than_the_window_allows(bucket: Bucket, proxy: FaultProxy) -> None:
    obj = bucket.stored("x", CONTENT)
    with (
        ReadAhead(lambda _: S3(proxy.store.s3), 100_000, window=SMALL) as ahead,
        closing(ahead.read_chunks(obj)) as chunks,
    ):
        next(chunks)
        wait_until(lambda: len(proxy.requests) == 3)
        time.sleep(0.2)
        assert proxy.ranges == {"bytes=0-999999", "bytes=1000000-1999999", "bytes=2000000-2999999"}


def test_objects_to_come_are_asked_for_before_they_are_read_and_only_once(
    small_objects: list[StoredObject], proxy: FaultProxy
) -> None:
    with proxy.store.read_ahead(small_objects) as store:
        first = store.read_chunks(small_objects[0])
        assert next(first) == b"content 0"
        wait_until(lambda: sorted(proxy.asked) == ["0", "1", "2", "3", "4", "5"])
        assert [b"".join(store.read_chunks(obj)) for obj in small_objects[1:]] == [
            b"content 1",
            b"content 2",
            b"content 3",
            b"content 4",
            b"content 5",
        ]
    assert len(proxy.requests) == 6
    assert proxy.ranges == {None}
    assert s3_threads() == []


def test_two_objects_are_read_in_step_while_others_wait(bucket: Bucket, proxy: FaultProxy) -> None:
    contents = [CONTENT[number : number + 2 * PART] for number in range(6)]
    objects = [bucket.stored(str(number), content) for number, content in enumerate(contents)]
    with ReadAhead(lambda _: S3(proxy.store.s3), 100_000, objects, SMALL) as ahead:
        for number in (0, 2, 4):
            streams = map(ahead.read_chunks, objects[number : number + 2])
            in_step = zip_longest(*streams, fillvalue=b"")
            assert list(map(b"".join, zip(*in_step))) == contents[number : number + 2]
    assert proxy.ranges == {"bytes=0-999999", "bytes=1000000-"}
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
    with ReadAhead(lambda _: S3(proxy.store.s3), 100_000, small_objects, window):
        wait_until(lambda: len(proxy.requests) >= len(waiting))
        time.sleep(0.1)
    assert sorted(proxy.asked) == waiting


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
    assert s3_threads() == []


def test_local_objects_are_read_as_ever_also_beside_those_on_s3(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"local")
    (local,) = bucket.store.list_objects(str(tmp_path))
    with bucket.store.read_ahead([local]) as store:
        assert store is bucket.store
    remote = bucket.stored("x", b"remote")
    with bucket.store.read_ahead([local, remote]) as store:
        assert [b"".join(store.read_chunks(obj)) for obj in (local, remote)] == [b"local", b"remote"]
