"""Parts of objects on their way before they are asked for. Called by ``objects``, and by ``s3`` and ``gcs``.

One connection to a store gives less than a core inflates, and every request waits before its first byte. So some
parts of the objects that are being read, and the first parts of the objects to come, are requested at once
and kept until they are taken, in order. How one part is read is a matter of the store (``s3_reading``, ``gcs``).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

from tallymark.errors import ObjectError
from tallymark.io.remote import Reader
from tallymark.io.stored import StoredObject

if TYPE_CHECKING:
    from typing_extensions import Self

_Chunks = deque[bytes]


@dataclass(frozen=True, slots=True)
class Window:
    """How much is held and asked for at once: by one object ``part_size * parts`` bytes at most.

    ``waiting_bytes`` is the most that the first parts of objects to come may have before one more is asked for,
    ``waiting_objects`` how many they are, ``connections`` the most requests at once.
    """

    part_size: int = 8 << 20
    parts: int = 3
    waiting_bytes: int = 16 << 20
    waiting_objects: int = 16
    connections: int = 16


WINDOW = Window()


def read_chunks(reader: Reader, obj: StoredObject, chunk_size: int) -> Iterator[bytes]:
    """Stream an object: a large one in parts over some connections at once, any other in one request."""
    if obj.size <= WINDOW.part_size:
        yield from reader.verified(obj, reader.read_span(obj, range(obj.size), chunk_size, time.sleep))
        return
    with ReadAhead(lambda _: reader, chunk_size) as ahead:
        yield from ahead.read_chunks(obj)


class ReadAhead:
    """Reads objects for one thread, over threads of its own that end with the context.

    ``readers`` gives the reader of an object. ``coming`` are the objects to be read in their order. One that is passed
    over is dropped; any other object can be read too, at any time. What went wrong with an object is raised when it is
    read.
    """

    def __init__(
        self,
        readers: Callable[[StoredObject], Reader],
        chunk_size: int,
        coming: Iterable[StoredObject] = (),
        window: Window = WINDOW,
    ) -> None:
        self._readers = readers
        self._chunk_size = chunk_size
        self._window = window
        self._coming = iter(coming)
        self._waiting: deque[_Reading] = deque()
        self._taken: set[_Reading] = set()
        self._pool = ThreadPoolExecutor(window.connections, thread_name_prefix="tallymark-reading")

    def __enter__(self) -> Self:
        self._ask_for_more()
        return self

    def __exit__(self, *_: object) -> None:
        for reading in (*self._waiting, *self._taken):
            reading.close()
        self._pool.shutdown(cancel_futures=True)

    def read_chunks(self, obj: StoredObject) -> Generator[bytes, None, None]:
        """Stream an object; errors as ``ObjectStore.read_chunks``."""
        reading = self._take(obj)
        self._taken.add(reading)
        self._ask_for_more()
        try:
            yield from self._readers(obj).verified(obj, reading.chunks())
        finally:
            reading.close()
            self._taken.discard(reading)

    def _take(self, obj: StoredObject) -> _Reading:
        if not any(reading.obj == obj for reading in self._waiting):
            return self._new(obj)
        while (reading := self._waiting.popleft()).obj != obj:
            reading.close()
        return reading

    def _ask_for_more(self) -> None:
        window = self._window
        while len(self._waiting) < window.waiting_objects:
            waiting = sum(min(reading.obj.size, window.part_size) for reading in self._waiting)
            obj = next(self._coming, None) if waiting < window.waiting_bytes else None
            if obj is None:
                return
            reading = self._new(obj)
            reading.ask_for(1)
            self._waiting.append(reading)

    def _new(self, obj: StoredObject) -> _Reading:
        def fetch(span: range, stopped: Event) -> Future[_Chunks]:
            return self._pool.submit(_fetch, self._readers(obj), obj, span, self._chunk_size, stopped)

        return _Reading(obj, fetch, self._window)


class _Reading:
    """The parts of one object: asked for, come, and taken."""

    def __init__(self, obj: StoredObject, fetch: Callable[[range, Event], Future[_Chunks]], window: Window) -> None:
        self.obj = obj
        self._fetch = fetch
        self._parts = window.parts
        starts = range(0, max(obj.size, 1), window.part_size)  # an empty object has one part
        self._spans = deque(range(start, min(start + window.part_size, obj.size)) for start in starts)
        self._asked: deque[Future[_Chunks]] = deque()
        self._stopped = Event()

    def ask_for(self, count: int) -> None:
        """Let ``count`` parts be on their way, as far as there are so many."""
        while self._spans and len(self._asked) < count:
            self._asked.append(self._fetch(self._spans.popleft(), self._stopped))

    def chunks(self) -> Iterator[bytes]:
        delivered = 0
        while self._spans or self._asked:
            self.ask_for(self._parts)
            part = self._asked.popleft().result()
            self.ask_for(self._parts - 1)  # the part that is being taken counts too
            while part:
                delivered += len(part[0])
                yield part.popleft()
        if delivered != self.obj.size:
            raise ObjectError(self.obj.uri, "SHORT_READ", f"{delivered} of {self.obj.size} bytes came; run again")

    def close(self) -> None:
        self._stopped.set()
        for future in self._asked:
            future.cancel()
        self._asked.clear()


def _fetch(reader: Reader, obj: StoredObject, span: range, chunk_size: int, stopped: Event) -> _Chunks:
    def sleep(seconds: float) -> None:
        if stopped.wait(seconds):
            raise CancelledError

    chunks: _Chunks = deque()
    with closing(reader.read_span(obj, span, chunk_size, sleep)) as stream:
        for chunk in stream:
            if stopped.is_set():
                break
            chunks.append(chunk)
    return chunks
