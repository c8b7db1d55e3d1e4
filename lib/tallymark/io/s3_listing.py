"""The listing of a prefix: page by page, and from some pages on over several ranges of its keys at once.

Every page waits for the one before it, because only that one says where it starts. So a long listing is cut
into ranges ``(after, until]`` of keys, each with pages of its own. Where to cut is guessed from folders and from
characters: a guess decides how long it takes, never what is listed. Called by ``s3`` only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from threading import Event
from typing import Any

from tallymark.errors import IncompleteError
from tallymark.io.s3_client import client
from tallymark.io.stored import S3Settings, StoredObject

_UNORDERED = "--x-s3"  # ends the name of an S3 Express bucket, which lists in no order and from no key on
_DEPTH = 8  # levels of folders, or of characters, that are looked into for cuts


@dataclass(frozen=True, slots=True)
class Plan:
    """``pages`` are listed before a listing counts as long; then ``threads`` list ranges, about ``ranges`` in all."""

    pages: int = 4
    threads: int = 8
    ranges: int = 32


PLAN = Plan()


class Listing:
    """The objects whose keys start with a prefix, in the order of their keys.

    Raises what boto3 raises, and IncompleteError where the store lists in no order.
    """

    def __init__(self, settings: S3Settings, bucket: str, prefix: str, plan: Plan = PLAN) -> None:
        self._settings = settings
        self._bucket = bucket
        self._prefix = prefix
        self._plan = plan
        self._stopped = Event()

    def __iter__(self) -> Iterator[StoredObject]:
        last, in_order = "", not self._bucket.endswith(_UNORDERED)
        for number, page in enumerate(self._pages(), 1):
            keys = _keys(page)
            in_order = in_order and _ascend([last, *keys])
            yield from self._objects(page)
            last = keys[-1] if keys else last
            if in_order and number == self._plan.pages and page.get("IsTruncated"):
                yield from self._rest(last)
                return

    def _rest(self, after: str) -> Iterator[StoredObject]:
        plan = self._plan
        with ThreadPoolExecutor(plan.threads, thread_name_prefix="tallymark-s3") as pool:
            try:
                cuts = self._cuts(after, pool)
                ranges = zip([after, *cuts], [*cuts, None])
                asked: deque[Future[list[StoredObject]]] = deque()
                while True:
                    # Some more than threads, so that none idles while the first one is waited for.
                    for low, high in islice(ranges, 2 * plan.threads - len(asked)):
                        asked.append(pool.submit(self._range, low, high))
                    if not asked:
                        return
                    yield from asked.popleft().result()
            finally:
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)

    def _range(self, after: str, until: str | None) -> list[StoredObject]:
        """Return the objects with ``after < key <= until``, even if the store does not know StartAfter."""
        found: list[StoredObject] = []
        last = after
        for page in self._pages(StartAfter=after):
            keys = [key for key in _keys(page) if key > after]
            if not _ascend([last, *keys]):
                place = f"s3://{self._bucket}/{self._prefix}"
                raise IncompleteError(f"{place} is listed in no order, so objects may be missed; run again later")
            found += self._objects(page, after, until)
            last = keys[-1] if keys else last
            if self._stopped.is_set() or (until is not None and last >= until):
                break
        return found

    def _cuts(self, after: str, pool: ThreadPoolExecutor) -> list[str]:
        """Return keys behind ``after``, in order, between which there is about as much."""
        level = {self._prefix}
        for split in (self._folders, self._characters):
            for _ in range(_DEPTH):
                if len(level) >= self._plan.ranges // 2:
                    break
                above, level = level, set(chain.from_iterable(pool.map(split, level)))
                if level == above:
                    break
        cuts = sorted(cut for cut in level if cut > after)
        return cuts[:: max(1, -(-len(cuts) // self._plan.ranges))]

    def _folders(self, prefix: str) -> list[str]:
        """Return the folders in a folder, or itself if it has none or too many for one page."""
        page = self._page(Prefix=prefix, Delimiter="/")
        folders = [item["Prefix"] for item in page.get("CommonPrefixes", [])]
        return [prefix] if page.get("IsTruncated") or not folders else folders

    def _characters(self, prefix: str) -> list[str]:
        """Return what the keys that start with ``prefix`` start with, one character longer than all have in common."""
        first = self._first(prefix, prefix)
        if first is None:
            return [prefix]
        low, high = len(prefix), len(first)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (low, middle - 1) if self._first(prefix, _beyond(first[:middle])) else (middle, high)
        found: list[str] = []
        key: str | None = first
        while key is not None and len(key) > low and len(found) < self._plan.ranges:
            found.append(key[: low + 1])
            key = self._first(prefix, _beyond(found[-1]))
        return found or [prefix]

    def _first(self, prefix: str, after: str) -> str | None:
        """Return the first key behind ``after``; asking for one is quick."""
        return next(iter(_keys(self._page(Prefix=prefix, StartAfter=after, MaxKeys=1))), None)

    def _pages(self, **asked: Any) -> Iterator[dict[str, Any]]:
        page = self._page(Prefix=self._prefix, **asked)
        yield page
        while page.get("IsTruncated"):
            page = self._page(Prefix=self._prefix, ContinuationToken=page["NextContinuationToken"])
            yield page

    def _page(self, **asked: Any) -> dict[str, Any]:
        answer: dict[str, Any] = {**client(self._settings).list_objects_v2(Bucket=self._bucket, **asked)}
        return answer

    def _objects(self, page: Any, after: str = "", until: str | None = None) -> Iterator[StoredObject]:
        """Yield the objects of a page that lie in the range; folder markers are none."""
        for item in page.get("Contents", []):
            key = item["Key"]
            if (item["Size"] or not key.endswith("/")) and after < key and (until is None or key <= until):
                yield stored(self._bucket, key, key[len(self._prefix) :], item["Size"], item)


def _keys(page: Any) -> list[str]:
    return [item["Key"] for item in page.get("Contents", [])]


def _ascend(keys: list[str]) -> bool:
    return keys == sorted(set(keys))


def _beyond(text: str) -> str:
    """Return about the first text behind all that start with ``text``."""
    code = ord(text[-1]) + 1
    return text[:-1] + chr(0xE000 if code == 0xD800 else min(code, 0x10FFFF))


def stored(bucket: str, key: str, path: str, size: int, answer: Any) -> StoredObject:
    """Return the object that an answer of S3 tells of."""
    # No version: a listing gives none, and reading one needs the right s3:GetObjectVersion. The ETag pins enough.
    etag = answer.get("ETag", "").strip('"') or None
    modified_ns = round(answer["LastModified"].timestamp() * 1000) * 1_000_000
    return StoredObject(path, f"s3://{bucket}/{key}", size, etag, modified_ns, None, None)
