"""What a store that is reached over the network must be able to do; ``s3`` and ``gcs`` are such.

Called by ``objects`` and ``read_ahead``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Protocol

from tallymark.io.stored import StoredObject

Sleep = Callable[[float], None]


class Reader(Protocol):
    """What reads the objects of one store."""

    def read_span(self, obj: StoredObject, span: range, chunk_size: int, sleep: Sleep) -> Generator[bytes, None, None]:
        """Stream the bytes whose numbers are in ``span``; wait by ``sleep`` before another attempt."""

    def verified(self, obj: StoredObject, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass on all bytes of an object, and raise at their end where they are not those that the store keeps."""


class Remote(Reader, Protocol):
    """The verbs of ``ObjectStore`` on normalised uris."""

    def list_objects(self, uri: str) -> Iterator[StoredObject]: ...
    def checksum(self, obj: StoredObject) -> str | None: ...
    def stat(self, uri: str) -> StoredObject | None: ...
    def put_file(self, source: Path, uri: str) -> None: ...
    def put_file_if(self, source: Path, uri: str, etag: str | None) -> str: ...
    def delete_object(self, uri: str) -> None: ...
