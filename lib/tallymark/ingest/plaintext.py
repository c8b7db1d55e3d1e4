"""From a decrypted text to its fields: JSON, or a Python dictionary of plain values. Nothing is ever evaluated.

Decrypted text is shaped by whoever wrote the log, so it is hostile until parsed. The quick way is `orjson`; its
result is taken only where it is certainly exact: texts, integers, true, false and null, and as many quotes as these
need, so that no key was given twice. Everything else is read by `json`, with hooks that keep numbers as they are
written and see a name that comes twice. A Python literal becomes JSON token by token.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import orjson

from tallymark.ingest.tables import Rejected
from tallymark.records.json_tree import Node, string_text, write

Value: TypeAlias = "str | bytes"
"""A text, or the JSON text (bytes) of anything else: a number as written, true, null, a list, an object."""

LARGEST = 1 << 20
"""Bytes of the largest plaintext; a log record is a few hundred."""
DEEPEST = 64

_CONSTANTS = {None: b"null", True: b"true", False: b"false"}
_JSON_WORD = re.compile(rb"true|false|null")
_WORD = re.compile(rb"(?<=: )(?:True|False|None)(?=[,}])")
_MINUS_ZERO = re.compile(rb":\s*-0")
# An escape that Python does not know would only warn, each version in another way.
_PYTHON = re.compile(
    r"""\s*(?:
        (?P<text> '(?:[^'\\\n\r\0]|\\[\\'"abfnrtvxuUN])*' | "(?:[^"\\\n\r\0]|\\[\\'"abfnrtvxuUN])*" )
      | (?P<number> -?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)? (?![\w.]) )
      | (?P<word> (?:True|False|None)\b )
      | (?P<comma> , )
      | (?P<empty> \(\s*\) )
      | (?P<open> [\[({] )
      | (?P<close> [\])}] )
      | (?P<colon> : )
      | (?P<end> \Z ) )""",
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
    # Single quotes alone, and so none inside a text: with double ones, and its words translated, it is JSON.
    if b'"' not in plain and b"\\" not in plain:
        text = plain.replace(b"'", b'"')
        fields = _quick(text, 0) if _JSON_WORD.search(plain) else _quick(*_WORD.subn(_translated, text))
    else:
        fields = _quick(plain)
    if fields is not None:
        return fields
    found = _exact(plain)
    if not isinstance(found, dict):
        raise Rejected("not_an_object")
    return {_storable(name): _value(value) for name, value in found.items()}


def _translated(word: re.Match[bytes]) -> bytes:
    return _WORDS[word[0].decode()].encode()


def _quick(text: bytes, translated: int | None = None) -> dict[str, Value] | None:
    """Return the fields where `orjson` is certainly exact, else None.

    Args:
        translated: how many words of Python were translated in a text that had none of JSON; each must be a value, or
            it stood inside a text. None: the text is JSON.
    """
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if type(found) is not dict:
        return None
    texts = words = 0
    for name, value in found.items():
        if type(value) is str:
            texts += 1
        elif value is None or type(value) is bool:
            words += 1
            found[name] = _CONSTANTS[value]
        elif type(value) is int and (value or not _MINUS_ZERO.search(text)):
            found[name] = str(value).encode("ascii")
        else:
            return None
    # Each name and each text takes two quotes: more are an escaped quote, or a name that came twice.
    is_exact = text.count(b'"') == 2 * (len(found) + texts) and translated in {None, words}
    return found if is_exact else None


def _exact(plain: bytes) -> Any:
    """Return the JSON value or the Python literal, each number as the bytes that it was written with."""
    try:
        text = plain.decode("utf-8")
    except UnicodeDecodeError:
        raise Rejected("not_utf8") from None
    try:
        try:
            return _read_json(text)
        except ValueError:
            return _read_json(_as_json(text))
    except ValueError:
        raise Rejected("unparsable") from None
    except RecursionError:
        raise Rejected("too_deep") from None


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise Rejected("duplicate_key")
    return found


def _no_number(name: str) -> None:
    raise ValueError(name)


_read_json = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=str.encode, parse_float=str.encode, parse_constant=_no_number
).decode


def _as_json(source: str) -> str:
    """Return a Python literal as JSON text; a tuple becomes a list.

    Raises:
        ValueError: it holds anything but texts, numbers, True, False, None, and these in lists, tuples, dictionaries.
    """
    parts, opened = [""], [""]  # the brackets that are open, with a comma where one came: (1) is no tuple
    for kind, text in _tokens(source):
        if kind == "comma":
            if parts[-1] in "[{,:":
                raise ValueError("a comma without a value")
            opened[-1] = opened[-1][:1] + ","
        elif kind == "open":
            opened.append(text)
        elif kind == "close":
            if opened.pop() not in _CLOSES[text]:
                raise ValueError("a bracket of another kind")
            if parts[-1] == ",":  # Python allows one there
                parts.pop()
        parts.append(_WORDS.get(text, text))
    # A blank between tokens: two texts side by side, which Python joins, must stay invalid.
    return " ".join(parts)


def _tokens(source: str) -> Iterator[tuple[str, str]]:
    """Yield kind and text of each token, a text in the spelling of JSON."""
    at, kind = 0, ""
    while kind != "end":
        token = _PYTHON.match(source, at)
        if token is None:
            raise ValueError("no token of a literal")
        at, kind = token.end(), token.lastgroup or ""
        if kind == "text":
            yield kind, json.dumps(_text_of(token[kind]))
        else:
            yield kind, "[]" if kind == "empty" else token[kind]


def _text_of(literal: str) -> str:
    if "\\" not in literal:
        return literal[1:-1]
    try:
        return str(ast.literal_eval(literal))
    except SyntaxError:
        raise ValueError("an escape that means nothing") from None


def _value(value: Any) -> Value:
    return _storable(value) if isinstance(value, str) else write(_node(value, DEEPEST - 1))


def _node(value: Any, levels: int) -> Node:
    """Return a value as `json_tree` writes it; raise Rejected too_deep where it has more levels."""
    if isinstance(value, str):
        return string_text(value)
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict | list) and levels == 0:
        raise Rejected("too_deep")
    if isinstance(value, dict):
        return {name: _node(inside, levels - 1) for name, inside in value.items()}
    if isinstance(value, list):
        return [_node(inside, levels - 1) for inside in value]
    return _CONSTANTS[value]


def _storable(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Rejected("not_unicode") from None
    return text
