"""From a decrypted text to its fields: JSON, or a Python dictionary of plain values. Nothing is ever evaluated.

Decrypted text is shaped by whoever wrote the log, so it is hostile until parsed. The quick way is `orjson`; its
result is taken only where it is certainly exact: texts and integers, and as many quotes as these need, so that no key
was given twice. Everything else is read by `records.json_tree`, which neither rounds nor recurses. A Python literal
becomes JSON token by token.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import TypeAlias

import orjson

from tallymark.ingest.tables import Rejected
from tallymark.records.json_tree import InvalidRecord, Node, parse, write

Value: TypeAlias = "str | bytes"
"""A text, or the JSON text (bytes) of anything else: a number as written, true, null, a list, an object."""

LARGEST = 1 << 20
"""Bytes of the largest plaintext; a log record is a few hundred."""
DEEPEST = 64

_REASONS = {"INVALID_UTF8": "not_utf8", "DUPLICATE_KEY": "duplicate_key", "TOO_DEEP": "too_deep"}
_MINUS_ZERO = re.compile(rb":\s*-0")
# An escape that Python does not know would only warn, each version in another way.
_PYTHON = re.compile(
    r"""\s+
      | (?P<text> '(?:[^'\\\n]|\\[\\'"abfnrtvxuUN])*' | "(?:[^"\\\n]|\\[\\'"abfnrtvxuUN])*" )
      | (?P<number> -?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)? (?![\w.]) )
      | (?P<word> (?:True|False|None)\b )
      | (?P<comma> , )
      | (?P<empty> \(\s*\) )
      | (?P<open> [\[({] )
      | (?P<close> [\])}] )
      | (?P<colon> : )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"True": "true", "False": "false", "None": "null", "(": "[", ")": "]"}
_CLOSES = {"]": ("[", "[,"), ")": ("(,",), "}": ("{", "{,")}


def read_fields(plain: bytes) -> dict[str, Value]:
    """Return the fields of a record; raise Rejected with one of the reasons of the stage `parse`.

    >>> read_fields(b"{'url': '/a', 'status': 200, 'tags': (None,)}")
    {'url': '/a', 'status': b'200', 'tags': b'[null]'}
    """
    if len(plain) > LARGEST:
        raise Rejected("too_large")
    # Single quotes alone, and so none inside a text: with double ones it is JSON.
    is_python = b'"' not in plain and b"\\" not in plain
    fields = _quick(plain.replace(b"'", b'"') if is_python else plain)
    if fields is not None:
        return fields
    try:
        tree = _tree(plain)
    except InvalidRecord as invalid:
        raise Rejected(_REASONS.get(invalid.reason, "unparsable")) from None
    if not isinstance(tree, dict):
        raise Rejected("not_an_object")
    if _is_deep(tree):
        raise Rejected("too_deep")
    return {_storable(name): _value(node) for name, node in tree.items()}


def _quick(text: bytes) -> dict[str, Value] | None:
    """Return the fields where `orjson` is certainly exact, else None."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if type(found) is not dict:
        return None
    texts = 0
    for name, value in found.items():
        if type(value) is str:
            texts += 1
        elif type(value) is int and (value or not _MINUS_ZERO.search(text)):
            found[name] = str(value).encode("ascii")
        else:
            return None
    # Each name and each text takes two quotes: more are an escaped quote, or a name that came twice.
    return found if text.count(b'"') == 2 * (len(found) + texts) else None


def _tree(plain: bytes) -> Node:
    try:
        return parse(plain, lexical_numbers=True)
    except InvalidRecord as invalid:
        if invalid.reason != "INVALID_JSON":
            raise
    return parse(_as_json(plain.decode("utf-8")), lexical_numbers=True)


def _as_json(source: str) -> bytes:
    """Return a Python literal as JSON text; a tuple becomes a list.

    Raises:
        InvalidRecord: it holds anything but texts, numbers, True, False, None, and these in lists, tuples, dictionaries.
    """
    parts, opened = [""], [""]  # the brackets that are open, with a comma where one came: (1) is no tuple
    for kind, text in _tokens(source):
        if kind == "comma":
            if parts[-1] in "[{,:":
                raise InvalidRecord("INVALID_JSON")
            opened[-1] = opened[-1][:1] + ","
        elif kind == "open":
            opened.append(text)
        elif kind == "close":
            if opened.pop() not in _CLOSES[text]:
                raise InvalidRecord("INVALID_JSON")
            if parts[-1] == ",":  # Python allows one there
                parts.pop()
        parts.append(_WORDS.get(text, text))
    # A blank between tokens: two texts side by side, which Python joins, must stay invalid.
    return " ".join(parts).encode("utf-8")


def _tokens(source: str) -> Iterator[tuple[str, str]]:
    """Yield kind and text of each token, a text in the spelling of JSON."""
    at = 0
    while at < len(source):
        token = _PYTHON.match(source, at)
        if token is None:
            raise InvalidRecord("INVALID_JSON")
        at = token.end()
        if token.lastgroup == "text":
            try:
                yield "text", json.dumps(ast.literal_eval(token[0]))
            except (ValueError, SyntaxError):
                raise InvalidRecord("INVALID_JSON") from None
        elif token.lastgroup == "empty":
            yield "empty", "[]"
        elif token.lastgroup:  # else white space
            yield token.lastgroup, token[0]


def _is_deep(tree: Node) -> bool:
    level: list[Node] = [tree]
    for _ in range(DEEPEST + 1):
        level = [
            child
            for node in level
            if not isinstance(node, bytes)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return False
    return True


def _value(node: Node) -> Value:
    if isinstance(node, bytes) and node[:1] == b'"':
        return _storable(json.loads(node))
    return write(node)


def _storable(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Rejected("not_unicode") from None
    return text
