"""The kinds of values that options have: how they are written in YAML and on a command line, and what they refuse.

Whether a JSONPath is well formed and whether places overlap is checked by those who know JSONPaths and places.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

_QUOTED = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
# Either quoted as a whole, or anything but a comma, where brackets keep theirs. An apostrophe elsewhere is a letter.
_ITEM = re.compile(rf"""\s*(?:{_QUOTED})\s*(?=,|\Z)|(?:\[(?:{_QUOTED}|[^\]'"])*\]|[^,\[])*""", re.DOTALL)


def split_list(text: str) -> tuple[str, ...]:
    """Split at commas, but not inside brackets or quotes; a JSON array of strings is taken literally.

    >>> split_list("$.a, $['b,c']")
    ('$.a', "$['b,c']")
    >>> split_list('["one,name"]')
    ('one,name',)
    """
    if text.startswith("["):
        try:
            array = json.loads(text)
        except (ValueError, RecursionError):
            array = None  # a glob such as [ab]*.json
        if isinstance(array, list) and all(isinstance(item, str) for item in array):
            return tuple(array)
    items, at = [], 0
    while text.strip() and (found := _ITEM.match(text, at)):
        item = found[0].strip()
        items.append(item[1:-1] if len(item) > 1 and item[0] == item[-1] and item[0] in "'\"" else item)
        if found.end() == len(text):
            break
        if text[found.end()] != ",":
            raise ValueError('a bracket or quote is not closed; if that is meant, write a JSON list: ["a[", "b"]')
        at = found.end() + 1
    return tuple(items)


def join_list(items: tuple[str, ...]) -> str:
    """Write a list so that `split_list` gives it back: with commas where that is enough, else as JSON."""
    text = ",".join(items)
    try:
        return text if split_list(text) == items else json.dumps(items, ensure_ascii=False)
    except ValueError:
        return json.dumps(items, ensure_ascii=False)


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("it is empty")
    return value


def _json_path(value: str) -> str:
    if not value.startswith("$"):
        raise ValueError(f"a JSONPath starts with $, such as $.{value.lstrip('.') or 'name'}")
    return value


def _number(value: object) -> object:
    if isinstance(value, bool):  # True is 1 to Python, but nobody means one record by it
        raise ValueError("a truth value is not a number")  # noqa: TRY004 - pydantic collects ValueError only
    return value


def _structure(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("on the command line it is written as JSON") from None


def _off(value: object) -> object:
    return "off" if value is False else value  # YAML reads off as false


def age_seconds(age: str) -> int:
    """Return the seconds of an age such as 90s, 30m, 1h or 2d.

    >>> age_seconds("90s"), age_seconds("1h")
    (90, 3600)
    """
    return int(age[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[age[-1]]


_split = BeforeValidator(lambda value: split_list(value) if isinstance(value, str) else value)
_upper = BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)

# A field with structure of its own: nested in YAML, JSON on the command line.
Structure = BeforeValidator(_structure)
Text = Annotated[str, AfterValidator(_not_blank)]
Names = Annotated[tuple[Text, ...], _split]
JsonPaths = Annotated[tuple[Annotated[str, AfterValidator(_json_path)], ...], _split]
# Twenty places keep the percentage exact and keep 1e-999999 from becoming a fraction of a million digits.
Percentage = Annotated[Decimal, BeforeValidator(_number), Field(ge=0, le=100, decimal_places=20)]
Count = Annotated[int, BeforeValidator(_number), Field(ge=1, le=2**31 - 1)]
Counts = Annotated[tuple[Count, ...], _split]
Age = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}[smhd]$")]
ChunkSize = Annotated[int, BeforeValidator(_number), Field(ge=1, le=1_000_000)]
# It becomes part of paths, so no dot in front: .. leaves the folder, .x is hidden.
RunId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], _upper]
# What a job does about the rules of its tables before it publishes.
Quality = Annotated[
    Literal["gate", "report", "off"],
    BeforeValidator(_off),
    Field(
        description="before publishing, judge the rows that were written: gate withholds what fails its rules, report "
        "only tells"
    ),
]
Rules = Annotated[Text | None, Field(description="rule file, or folder of rule files, such as conf/rules")]
