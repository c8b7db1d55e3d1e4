"""Inflate gzip streams by their first two bytes, whatever the object is called. Called by readers of objects.

Everything else passes through unchanged. igzip inflates and checks length and checksum of each
member. Headers are read here, and igzip gets a plain one: it takes a sound header for corrupt that is
cut between two chunks and has a checksum or two optional fields (isal 1.9.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, cast

from isal import isal_zlib

from tallymark.errors import ObjectError
from tallymark.io.stored import shown

MAGIC = b"\x1f\x8b"
OUTPUT_SIZE = 1 << 20
# igzip copies the input that it could not use: a member starts with small portions, which then double.
FIRST_PORTION = 4 << 10
LARGEST_PORTION = 256 << 10
LARGEST_HEADER = 1 << 20
_GZIP_WINDOW = 31
_PLAIN_HEADER = MAGIC + b"\x08" + bytes(6) + b"\xff"
_DEFLATE = 8
_HEADER_CHECKSUM, _EXTRA, _NAME, _COMMENT, _RESERVED = 2, 4, 8, 16, 224
_IsalError = cast("type[Exception]", isal_zlib.error)  # its stub says that it is an instance
_PADDING = re.compile(rb"\0*")


def decompress(chunks: Iterable[bytes], uri: str) -> Iterator[bytes]:
    """Yield the content of an object in pieces of bounded size; gzip is recognised by its magic.

    >>> import gzip
    >>> b"".join(decompress([gzip.compress(b"ab"), gzip.compress(b"c")], "x")), list(decompress([b"plain"], "x"))
    (b'abc', [b'plain'])

    Raises:
        ObjectError: TRUNCATED_GZIP, CORRUPT_GZIP or TRAILING_GARBAGE; what came before was delivered.
    """
    source = iter(chunks)
    head = b""
    while len(head) < len(MAGIC) and (chunk := next(source, None)) is not None:
        head += chunk
    if head.startswith(MAGIC):
        yield from _Inflater(uri).inflate(chain([head], source))
        return
    if head:
        yield head
    yield from source


class _Inflater:
    """One pass over the members of one gzip object."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._decoder: Any = None  # None between members; isal_zlib.decompressobj is a function, its type has no name
        self._produced = 0

    def inflate(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        carry = b""
        for chunk in chunks:
            data = carry + chunk if carry else chunk
            carry = b""
            position, portion = 0, FIRST_PORTION
            while position < len(data):
                if self._decoder is None:
                    padding = _PADDING.match(data, position)
                    position = padding.end() if padding else position
                    start = self._member_start(data, position)
                    if start is None:
                        carry = data[position:]
                        break
                    position, portion = start, FIRST_PORTION
                window = memoryview(data)[position : position + portion]
                yield from self._pieces(window)
                position += len(window) - self._unused()
                portion = min(2 * portion, LARGEST_PORTION)
        self._check_end(carry)

    def _member_start(self, data: bytes, position: int) -> int | None:
        """Start a member and return where its deflated data begin; None if more bytes are needed to tell."""
        if not data.startswith(MAGIC, position):
            if MAGIC.startswith(data[position : position + len(MAGIC)]):
                return None
            raise self._error("TRAILING_GARBAGE", "other bytes follow the last gzip member; write it again")
        start = _header_end(data, position)
        if start is None:
            if len(data) - position >= LARGEST_HEADER:
                raise self._error("CORRUPT_GZIP", "its header never ends; write the object again from its origin")
            return None
        if data[position + 2] != _DEFLATE or data[position + 3] & _RESERVED:
            raise self._error("CORRUPT_GZIP", "its header is not one of gzip; write the object again from its origin")
        self._decoder = isal_zlib.decompressobj(wbits=_GZIP_WINDOW)
        self._decode(_PLAIN_HEADER)
        return start

    def _pieces(self, window: memoryview | bytes) -> Iterator[bytes]:
        """Yield what the window inflates to, and what is still inside the decoder after it."""
        while not self._decoder.eof and (piece := self._decode(window)):
            self._produced += len(piece)
            yield piece
            window = self._decoder.unconsumed_tail

    def _decode(self, window: memoryview | bytes) -> bytes:
        try:
            piece: bytes = self._decoder.decompress(window, OUTPUT_SIZE)
        except _IsalError as error:
            raise self._error("CORRUPT_GZIP", f"{error}; write the object again from its origin") from error
        return piece

    def _unused(self) -> int:
        """Return how many bytes of the last window lie behind the member, and end the member if it is over."""
        if not self._decoder.eof:
            return 0
        unused = len(self._decoder.unused_data)
        self._decoder = None
        return unused

    def _check_end(self, carry: bytes) -> None:
        if self._decoder is not None or carry:
            raise self._error("TRUNCATED_GZIP", "the stream ends inside a gzip member; write the object again")

    def _error(self, reason: str, detail: str) -> ObjectError:
        return ObjectError(shown(self._uri), reason, f"after {self._produced} decoded bytes: {detail}")


def _header_end(data: bytes, start: int) -> int | None:
    """Return where a gzip header (RFC 1952) ends, or None if it is not all there."""
    end = start + len(_PLAIN_HEADER)
    if len(data) < end:
        return None
    flags = data[start + 3]
    if flags & _EXTRA:
        end += 2 + int.from_bytes(data[end : end + 2], "little")
    for text in (_NAME, _COMMENT):
        if flags & text:
            end = data.find(b"\0", end) + 1
            if not end:
                return None
    end += 2 if flags & _HEADER_CHECKSUM else 0
    return end if end <= len(data) else None
