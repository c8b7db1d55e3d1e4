"""One answer of a log API: where its items are, as they came, and which page comes next. Called by ``log_api``.

What an item means is not known here. The text is read as Python reads JSON, so that one odd item (a lone surrogate,
``NaN``, bytes that are not UTF-8) does not hold up the others; whoever reads the items judges each of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from json.decoder import WHITESPACE  # type: ignore[attr-defined]
from typing import Any

ITEMS = ("items", "data", "results", "logs", "records")
NEXT = ("next", "next_cursor", "cursor", "next_page")

# A number may be too long for Python; nobody needs its value here.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)


@dataclass(frozen=True, slots=True)
class Page:
    """The items of an answer and what it says about the page after it.

    Attributes:
        items: text of one whole JSON array, byte for byte as it came.
        count: how many items it has.
        next: cursor or URL of the next page; None after the last.
        next_key: the key of the answer under which ``next`` stood.
    """

    items: bytes
    count: int
    next: str | None = None
    next_key: str = ""


def read_page(body: bytes) -> Page:
    """Read the whole body of an answer: a list of items, or an object that holds one.

    >>> read_page(b'{"logs": [1, 2 ], "next": "c7"}')
    Page(items=b'[1, 2 ]', count=2, next='c7', next_key='next')

    Raises:
        ValueError: it is cut, no JSON, or has no list; the message quotes nothing of it.
    """
    if not body.strip():
        raise ValueError("its body is empty")
    text = body.decode("utf-8", "surrogateescape")
    try:
        said = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise ValueError("its body is cut or is no JSON") from None
    if isinstance(said, list):
        return Page(body.strip(), len(said))
    if not isinstance(said, dict):
        raise ValueError("its body is neither a list nor an object")  # noqa: TRY004 - of the body
    key = next((key for key in ITEMS if isinstance(said.get(key), list)), None)
    if key is None:
        raise ValueError(f"its body has no list under {', '.join(ITEMS)}")
    next_key = next((name for name in NEXT if name in said), "")
    items = _text_of(text, key).encode("utf-8", "surrogateescape")
    return Page(items, len(said[key]), _cursor(said.get(next_key), next_key), next_key)


def _cursor(value: Any, key: str) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):  # numbers are text by now
        raise ValueError(f"what it says under {key} is neither text nor a number")  # noqa: TRY004 - of the body
    return value


def _text_of(text: str, wanted: str) -> str:
    """Return the text of the last member ``wanted`` of an object whose text was read before."""
    found = ""
    at = _behind_space(text, text.index("{") + 1)
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, at)
        start = _behind_space(text, text.index(":", at) + 1)
        _, end = _DECODER.raw_decode(text, start)
        if name == wanted:
            found = text[start:end]
        at = _behind_space(text, end)
        at = _behind_space(text, at + 1) if text[at] == "," else at
    return found


def _behind_space(text: str, at: int) -> int:
    return int(WHITESPACE.match(text, at).end())
