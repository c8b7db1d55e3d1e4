"""Exact JSON: bytes -> tree of canonical scalars -> bytes, and the paths where two trees differ.

Nothing is rounded and nothing recurses, so a record of any size or depth either parses or names its reason.
Options and hashes live in `reconcile.canonical`, the path language in `reconcile.json_path`.
"""

from __future__ import annotations

import heapq
import itertools
import json
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

Node: TypeAlias = "dict[str, Node] | list[Node] | bytes"
"""A scalar is the bytes of its canonical text: `b'"a"'`, `b'1e+21'`, `b'null'`."""

DEPTH_LIMIT = 10_000
EXPONENT_DIGITS = 1_000
MOST_BYTES, MOST_VALUES = 16 << 20, 1_000_000
"""Of a record that is read: its tree takes up to 70 bytes a value, and its text up to 4 a byte."""

_SPACE = r"[ \t\n\r]*"
_PLAIN = r'"(?:([^"\\\x00-\x1f]*)")?'
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_CANONICAL = re.compile(r"0|-?[1-9][0-9]{0,20}|-?(?:[1-9][0-9]{0,20}|0(?!\.000000))\.[0-9]*[1-9]")
_OPENING = rf"\[{_SPACE}\]|\{{{_SPACE}\}}|[\[{{]"  # an empty one is read whole
_VALUE = re.compile(rf"{_SPACE}(?:{_PLAIN}|({_NUMBER})|(true|false|null)|({_OPENING}))")
_KEY = re.compile(rf'{_SPACE}"(?:([^"\\\x00-\x1f]*)"{_SPACE}:)?')
_COLON = re.compile(rf"{_SPACE}(:)")
_AFTER = re.compile(rf"{_SPACE}([,\]}}])")
_END = re.compile(rf"{_SPACE}()\Z")
_NOT_A_NUMBER = re.compile(rf"{_SPACE}(?:NaN|-?Infinity)(?![A-Za-z0-9_])")
NAME = re.compile(r"[A-Za-z_\x80-\ud7ff\ue000-\U0010ffff][A-Za-z0-9_\x80-\ud7ff\ue000-\U0010ffff]*")
_read_string = json.JSONDecoder(strict=True).raw_decode


class InvalidRecord(ValueError):  # noqa: N818 - it says what the record is
    """The record cannot be compared by value; ``reason`` is a stable code.

    INVALID_UTF8, INVALID_JSON, NOT_A_NUMBER, DUPLICATE_KEY, TOO_DEEP (levels), NUMBER_TOO_LONG (exponent),
    TOO_LARGE (bytes or values).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Reader:
    """The text and how far it is read; each method consumes one token."""

    def __init__(self, text: str, lexical_numbers: bool, nfc: bool) -> None:
        self.text, self.position, self.repeated = text, 0, False
        self._lexical, self._nfc = lexical_numbers, nfc

    def value(self) -> Node:
        """Reads a scalar, or only the opening of an object or array that is not empty."""
        match = _VALUE.match(self.text, self.position)
        if match is None:
            raise InvalidRecord("NOT_A_NUMBER" if _NOT_A_NUMBER.match(self.text, self.position) else "INVALID_JSON")
        self.position = match.end()
        kind = match.lastindex
        if kind == 2:
            text = number_text(match[2])
            return match[2].encode() if self._lexical else text
        if kind == 3:
            return match[3].encode()
        if kind == 4:
            return {} if match[4][0] == "{" else []
        return string_text(self._string(match[1]))

    def key(self, members: dict[str, Node]) -> str:
        if (plain := self.token(_KEY)) is None:
            plain = self._string(None)
            self.token(_COLON)
        plain = self._string(plain)
        self.repeated = self.repeated or plain in members
        return plain

    def token(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self.text, self.position)
        if match is None:
            raise InvalidRecord("INVALID_JSON")
        self.position = match.end()
        return match[1]

    def _string(self, plain: str | None) -> str:
        """Returns the string; only its quote is read yet when it is not plain."""
        if plain is None:
            try:
                plain, self.position = _read_string(self.text, self.position - 1)
            except json.JSONDecodeError:
                raise InvalidRecord("INVALID_JSON") from None
        return unicodedata.normalize("NFC", plain) if self._nfc else plain


def is_too_large(record: bytes) -> bool:
    """Tells whether a tree of the record would take too much memory; a comma in a string counts as one of a list."""
    if len(record) <= 2 * MOST_VALUES:
        return False
    return len(record) > MOST_BYTES or sum(map(record.count, (b",", b"[", b"{"))) > MOST_VALUES


def parse(record: bytes, *, lexical_numbers: bool = False, nfc: bool = False) -> Node:
    """Parses one JSON text strictly by RFC 8259, keeping lone surrogates; raises InvalidRecord.

    ``lexical_numbers`` keeps numbers as written, ``nfc`` normalises strings and names.

    >>> parse(b'{"b": [1.0, "\\\\u00e9"]}')
    {'b': [b'1', b'"\\xc3\\xa9"']}
    """
    reader = _Reader(_decoded(record), lexical_numbers, nfc)
    root: list[Node] = []
    opened: list[dict[str, Node] | list[Node]] = [root]
    key = ""
    while not root or len(opened) > 1:
        node = reader.value()
        inside = opened[-1]
        if isinstance(inside, dict):
            inside[key] = node
        else:
            inside.append(node)
        if not isinstance(node, bytes) and len(opened) > DEPTH_LIMIT:
            raise InvalidRecord("TOO_DEEP")
        if not isinstance(node, bytes) and reader.text[reader.position - 1] in "[{":
            opened.append(node)
        else:
            while len(opened) > 1 and (found := reader.token(_AFTER)) != ",":
                if (found == "}") is not isinstance(opened.pop(), dict):
                    raise InvalidRecord("INVALID_JSON")
        inside = opened[-1]
        if isinstance(inside, dict):
            key = reader.key(inside)
    reader.token(_END)
    if reader.repeated:
        raise InvalidRecord("DUPLICATE_KEY")
    return root[0]


def _decoded(record: bytes) -> str:
    if is_too_large(record):
        raise InvalidRecord("TOO_LARGE")
    try:
        return record.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRecord("INVALID_UTF8") from None


def string_text(text: str) -> bytes:
    """Returns the JSON string of RFC 8785 3.2.2.2; a lone surrogate stays as its lower-case escape."""
    return json.encoder.encode_basestring(text).encode("utf-8", "backslashreplace")


def number_text(text: str) -> bytes:
    """Lays the exact digits out as ECMAScript Number::toString does; raises InvalidRecord NUMBER_TOO_LONG.

    >>> number_text("1.50e3"), number_text("-0.0"), number_text("1e21"), number_text("9007199254740993")
    (b'1500', b'0', b'1e+21', b'9007199254740993')
    """
    if _CANONICAL.fullmatch(text):
        return text.encode()
    sign = "-" if text[0] == "-" else ""
    mantissa, _, exponent = text[len(sign) :].lower().partition("e")
    power = exponent.lstrip("+-").lstrip("0")
    whole, _, fraction = mantissa.partition(".")
    written = whole + fraction
    digits = written.lstrip("0")
    if len(power) > EXPONENT_DIGITS:
        raise InvalidRecord("NUMBER_TOO_LONG")
    if not digits:
        return b"0"
    point = int(power or "0") * (-1 if exponent[:1] == "-" else 1) + len(whole) - len(written) + len(digits)
    if abs(point - 1) >= 10**EXPONENT_DIGITS:  # what is written must be readable again
        raise InvalidRecord("NUMBER_TOO_LONG")
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        layout = digits.ljust(point, "0")
    elif 0 < point <= 21:
        layout = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        layout = f"0.{'0' * -point}{digits}"
    else:
        layout = f"{digits[0]}{'.' * (len(digits) > 1)}{digits[1:]}e{point - 1:+d}"
    return (sign + layout).encode()


def write(node: Node) -> bytes:
    """Writes the tree as RFC 8785 lays it out: names in UTF-16 order, no white space."""
    written: list[bytes] = []
    pending: list[Node] = [node]
    while pending:
        item = pending.pop()
        if isinstance(item, bytes):
            written.append(item)
        elif isinstance(item, dict):
            pending.append(b"}")
            key = None if all(map(str.isascii, item)) else lambda name: name.encode("utf-16-be", "surrogatepass")
            for name in sorted(item, key=key, reverse=True):
                pending += (item[name], string_text(name) + b":", b",")
            pending[-1:] = [b"{"] if item else [b"{}"]
        else:
            pending.append(b"]")
            for element in reversed(item):
                pending += (element, b",")
            pending[-1:] = [b"["] if item else [b"[]"]
    return b"".join(written)


def leaves(node: Node) -> dict[str, bytes]:
    """Returns path -> canonical text of every scalar and every empty object or array."""
    found: dict[str, bytes] = {}
    pending = [("$", node)]
    while pending:
        path, item = pending.pop()
        members = {} if isinstance(item, bytes) else _members(item)
        if not members:
            found[path] = write(item)
        pending += [(path + step, member) for step, member in reversed(members.items())]
    return found


def changed_paths(source: bytes, backup: bytes, limit: int = 50) -> list[str]:
    """Returns the sorted highest paths where two records differ, then `... 12 more`; raises InvalidRecord.

    >>> changed_paths(b'{"a":{"b":1},"c":[1,2]}', b'{"a":{"b":1.5},"c":[1],"d":{"e":2}}')
    ['$.a.b', '$.c[1]', '$.d']
    """
    return differing_paths(parse(source), parse(backup), limit)


def differing_paths(source: Node, backup: Node, limit: int = 50) -> list[str]:
    """Returns what `changed_paths` does, of two trees."""
    total = itertools.count()
    found = heapq.nsmallest(limit, (path for path, _ in zip(_differences(source, backup), total, strict=False)))
    more = next(total) - len(found)
    return [*found, f"... {more} more"] if more else found


def _differences(source: Node, backup: Node) -> Iterator[str]:
    pending: list[tuple[str, Any, Any]] = [("$", source, backup)]
    while pending:
        path, ours, theirs = pending.pop()
        if not isinstance(ours, bytes) and type(ours) is type(theirs):
            left, right = _members(ours), _members(theirs)
            yield from (path + step for step in left.keys() ^ right.keys())
            pending += [(path + step, left[step], right[step]) for step in left.keys() & right.keys()]
        elif ours != theirs:
            yield path


def _members(node: dict[str, Node] | list[Node]) -> dict[str, Node]:
    if isinstance(node, dict):
        return {step_text(name): member for name, member in node.items()}
    return {f"[{index}]": element for index, element in enumerate(node)}


@lru_cache(4096)
def step_text(name: str) -> str:
    """Returns `.name`, or `['...']` with the escapes of an RFC 9535 normalised path."""
    if NAME.fullmatch(name):
        return f".{name}"
    return "['" + string_text(name).decode()[1:-1].replace('\\"', '"').replace("'", "\\'") + "']"
