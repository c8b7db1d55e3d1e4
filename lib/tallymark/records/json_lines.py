"""Splits JSON Lines: one record a line, `\\n` ends a line, blank lines are no records (jsonlines.org, RFC 7464 aside).

A `\\r` inside a line is white space of the record; one before the `\\n` belongs to the line end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tallymark.errors import ObjectError
from tallymark.records.block import RECORD_LIMIT, Block


def split(chunks: Iterable[bytes], uri: str) -> Iterator[Block]:
    """Yields blocks of whole lines; raises ObjectError RECORD_TOO_LARGE beyond RECORD_LIMIT."""
    tail: list[bytes] = []
    size = 0
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            tail.append(chunk[:end])
            yield _block(b"".join(tail))
            tail, size = [], 0
        tail.append(chunk[end:])
        size += len(chunk) - end
        if size > RECORD_LIMIT:
            raise ObjectError(uri, "RECORD_TOO_LARGE", f"a line is longer than {RECORD_LIMIT >> 20} MB")
    if size:
        yield _block(b"".join(tail))


def _block(text: bytes) -> Block:
    return Block(text, _lines)


def _lines(text: bytes) -> list[bytes]:
    lines = text.split(b"\n")
    if b"\r" in text:
        lines = [line.removesuffix(b"\r") for line in lines]
    return [line for line in lines if line and not line.isspace()]
