"""Splits a JSON array into its elements, and JSON values that just follow one another into these values.

The quick way takes a long piece of the text that ends at a likely element end and lets `msgspec` parse it:
text that starts at an element and parses is exactly these elements (RFC 8259 values end themselves), so a wrong
guess cannot split wrongly, it only fails. Where nothing parses (an invalid element, an unusual layout) `_scan`
follows strings and brackets and finds the same ends one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec

from tallymark.errors import ObjectError
from tallymark.records.block import RECORD_LIMIT, Block

_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_VALUE = msgspec.json.Decoder(msgspec.Raw)
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{},]', re.DOTALL)
_LIKELY_END = re.compile(rb"[}\]](?=\s*,\s*[{\[])")
_GUESSES = 8
_MOST_LEVELS = 1_000_000
"""Each open bracket is remembered; `json_tree` reads far fewer levels."""
_PAIRS = {b"]": b"[", b"}": b"{"}


def is_whole_value(text: bytes) -> bool:
    """Tells whether ``text`` is exactly one JSON value."""
    try:
        _VALUE.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def first_value_spans_lines(head: bytes) -> bool:
    """Tells whether the first value in ``head`` is whole, valid, and written over several lines."""
    try:
        values, _ = _values(head, "", most=1)
    except ObjectError:
        return False
    return bool(values) and b"\n" in values[0] and is_whole_value(values[0])


def split(chunks: Iterable[bytes], uri: str) -> Iterator[Block]:
    """Yields blocks of elements; the text may also be bare values one after another.

    Raises:
        ObjectError: CUT_ARRAY (the text ends early), BROKEN_ARRAY (brackets or commas do not fit, or text
            follows the end), RECORD_TOO_LARGE, TOO_DEEP.
    """
    source = iter(chunks)
    text = b""
    for chunk in source:
        text = (text + chunk).lstrip(b" \t\r\n")
        if text:
            break
    if text.startswith(b"["):
        yield from _split_array(text[1:], source, uri)
    elif text:
        yield from _split_values(text, source, uri)


def _split_array(text: bytes, chunks: Iterator[bytes], uri: str) -> Iterator[Block]:
    count = 0
    rest = _Rest(text)
    for piece in _growing(rest, chunks, "an element", uri):
        elements, used, closed = _take(piece, uri, final=rest.is_last, first=count == 0)
        if elements:
            yield _block(piece[:used], elements)
            count += len(elements)
        rest.text = piece[used:]
        if closed:
            _expect_space(rest.text, chunks, uri)
            return
    raise ObjectError(uri, "CUT_ARRAY", f"the array ends after {count:,} whole records without its ']'")


def _split_values(text: bytes, chunks: Iterator[bytes], uri: str) -> Iterator[Block]:
    rest = _Rest(text)
    for piece in _growing(rest, chunks, "a value", uri):
        values, used = _values(piece, uri)
        if values:
            yield _block(piece[:used], values)
        rest.text = piece[used:]
    if rest.text.strip():
        raise ObjectError(uri, "CUT_ARRAY", "the last value is not whole")


def _block(text: bytes, records: list[bytes]) -> Block:
    return Block(text, lambda _: records)


class _Rest:
    """What a splitter could not use yet."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.is_last = False


def _growing(rest: _Rest, chunks: Iterator[bytes], what: str, uri: str) -> Iterator[bytes]:
    """Yields the text to split: what was left of the one before and at least as much again.

    At least as much, because a long element is looked through from its start each time.
    """
    wanted = 0
    while True:
        parts, size = [rest.text], len(rest.text)
        while size < wanted and not rest.is_last:
            more = next(chunks, None)
            rest.is_last = more is None
            parts.append(more or b"")
            size += len(parts[-1])
        if len(rest.text) > RECORD_LIMIT:
            raise ObjectError(uri, "RECORD_TOO_LARGE", f"{what} is longer than {RECORD_LIMIT >> 20} MB")
        yield b"".join(parts)
        if rest.is_last:
            return
        wanted = 2 * len(rest.text) + 1


def _take(text: bytes, uri: str, final: bool, first: bool) -> tuple[list[bytes], int, bool]:
    """Returns whole elements at the start of ``text``, the bytes used (with the comma) and whether ``]`` came."""
    quick = _take_last(text) if final else _take_most(text)
    if quick is not None:
        return quick
    return _scan(text, uri, first)


def _take_last(text: bytes) -> tuple[list[bytes], int, bool] | None:
    body = text.rstrip(b" \t\r\n")
    elements = _parse(body[:-1]) if body.endswith(b"]") else None
    return None if elements is None else (elements, len(text), True)


def _take_most(text: bytes) -> tuple[list[bytes], int, bool] | None:
    window = len(text)
    for _ in range(_GUESSES):
        window = _last_likely_end(text, window)
        if window <= 0:
            return None
        elements = _parse(text[:window])
        if elements is not None:
            comma = text.index(b",", window)
            return elements, comma + 1, False
        window -= 1
    return None


def _last_likely_end(text: bytes, limit: int) -> int:
    """Returns the position after the last `}` or `]` before ``limit`` that a comma follows, or 0."""
    step = 4096
    start = limit
    while start > 0:
        start = max(0, start - step)
        ends = [match.end() for match in _LIKELY_END.finditer(text, start, min(len(text), limit + 64))]
        ends = [end for end in ends if end <= limit]
        if ends:
            return ends[-1]
        step *= 4
    return 0


def _parse(text: bytes) -> list[bytes] | None:
    try:
        return [bytes(element) for element in _ELEMENTS.decode(b"[" + text + b"]")]
    except (msgspec.DecodeError, RecursionError):
        return None


def _scan(text: bytes, uri: str, first: bool) -> tuple[list[bytes], int, bool]:
    """The plain way: follows strings and brackets; an element may hold anything between them."""
    elements: list[bytes] = []
    stack: list[bytes] = []
    used = start = 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark == b'"':
            break
        if mark in b"[{":
            _open(stack, mark, uri)
        elif mark == b"," and not stack:
            elements.append(_element(text[start : token.start()], uri))
            used = start = token.end()
        elif mark in b"]}":
            if stack:
                if stack.pop() != _PAIRS[mark]:
                    raise ObjectError(uri, "BROKEN_ARRAY", "a bracket closes another kind of bracket")
            elif mark == b"}":
                raise ObjectError(uri, "BROKEN_ARRAY", "a '}' closes the array")
            else:
                last = text[start : token.start()]
                if last.strip() or elements or not first:
                    elements.append(_element(last, uri))
                return elements, token.end(), True
    return elements, used, False


def _open(stack: list[bytes], mark: bytes, uri: str) -> None:
    if len(stack) == _MOST_LEVELS:
        raise ObjectError(uri, "TOO_DEEP", f"a record has more than {_MOST_LEVELS:,} levels; write the object again")
    stack.append(mark)


def _element(text: bytes, uri: str) -> bytes:
    element = text.strip(b" \t\r\n")
    if not element:
        raise ObjectError(uri, "BROKEN_ARRAY", "two commas, or a comma and a bracket, with nothing between them")
    return element


def _values(text: bytes, uri: str, most: int | None = None) -> tuple[list[bytes], int]:
    """Returns the whole objects and arrays that follow one another, at ``most`` so many, and the bytes used."""
    values: list[bytes] = []
    stack: list[bytes] = []
    used = 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark == b'"':
            break
        if mark in b"[{":
            _open(stack, mark, uri)
        elif mark in b"]}":
            if not stack or stack.pop() != _PAIRS[mark]:
                raise ObjectError(uri, "BROKEN_ARRAY", "a bracket closes nothing or another kind of bracket")
            if not stack:
                values.append(text[used : token.end()].strip(b" \t\r\n"))
                used = token.end()
                if len(values) == most:
                    break
    return values, used


def _expect_space(text: bytes, chunks: Iterable[bytes], uri: str) -> None:
    for rest in chain((text,), chunks):
        if rest.strip(b" \t\r\n"):
            raise ObjectError(uri, "BROKEN_ARRAY", "text follows the ']' that ends the array")
