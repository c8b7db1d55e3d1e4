"""The two forms of a published record, and the way back: `expand(compact(record))` is the record, for every record.

A field whose value fits its pattern gets a short form; any other value stays as it is. One that could be mistaken for
a short form, or starts with the mark itself, is marked by `=` in front.

=========  ==================================  =============================================================
user_id    64 lower-case hex digits            44 characters: base64url, unpadded, of bytes 16-31, then of 0-15
method     a name of the dictionary            its number
url        a name of the dictionary            its number
inDate     20YY-MM-DDTHH:MM:SS.ffffff          its digits without the century, 18
=========  ==================================  =============================================================
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from tallymark.errors import ConfigError
from tallymark.ingest.tables import FIELDS

_MARK = "="
_HEX = re.compile(r"[0-9a-f]{64}")
_SHORT_USER = re.compile(r"[A-Za-z0-9_-]{44}")
TIME = re.compile(r"20(\d\d)-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})", re.ASCII)
_SHORT_TIME = re.compile(r"\d{18}", re.ASCII)


@dataclass(frozen=True)
class Dictionary:
    """The numbers of known methods and urls. A number means the same for ever: published objects hold it."""

    methods: Mapping[str, int]
    urls: Mapping[str, int]

    def __post_init__(self) -> None:
        for field, numbers in (("methods", self.methods), ("urls", self.urls)):
            if len(set(numbers.values())) < len(numbers):
                raise ConfigError(f"{field}: two names have the same number; give each its own")

    def refuse_reuse(self, published: Dictionary) -> None:
        """Raise ConfigError where a number that objects were published with means something else now."""
        for field in ("methods", "urls"):
            names = {number: name for name, number in getattr(self, field).items()}
            for name, number in getattr(published, field).items():
                if names.get(number) != name:
                    raise ConfigError(
                        f"{field}: number {number} stands for {name} in what is published; keep it, and add new names "
                        "with new numbers, or publish to another --out"
                    )


Row = Mapping[str, Any]
"""One row of `logs`: FIELDS, `extra` (name -> JSON text) and `not_text` (JSON), see `tables.LOGS`."""


def compact(row: Row, dictionary: Dictionary) -> bytes:
    """Return the compact JSON line of a row, without its end."""
    user, method, url, time = row["user_id"], row["method"], row["url"], row["inDate"]
    found: dict[str, Any] = {
        "record_id": row["record_id"],
        "user_id": short_user(user) if user is not None else None,
        "method": dictionary.methods.get(method, method),
        "url": dictionary.urls.get(url, url),
        "inDate": _short_time(time),
    }
    return _line(found, row)


def plain(row: Row) -> bytes:
    """Return the JSON line of a row with its fields as they came."""
    return _line({name: row[name] for name in FIELDS}, row)


def expand(line: bytes | str, dictionary: Dictionary | None) -> dict[str, Any]:
    """Return the record that a published line stands for, equal to the decrypted one.

    Args:
        dictionary: the one it was published with, see `published/_dictionary.json`; None for a plain line.
    """
    record: dict[str, Any] = json.loads(expand_text(line, dictionary))
    return record


def expand_text(line: bytes | str, dictionary: Dictionary | None) -> str:
    """Return the same as JSON text, which holds every number as it was written, however long.

    Raises:
        ConfigError: the dictionary lacks a number; it is not the one that the line was published with.
    """
    found: dict[str, Any] = json.loads(line)
    texts: dict[str, str] = found.pop("extra", {}) | found.pop("not_text", {})
    if dictionary is not None:
        found = {name: _expanded(name, value, dictionary) for name, value in found.items()}
    texts = {name: json.dumps(value) for name, value in found.items()} | texts
    return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in texts.items()) + "}"


def _line(found: dict[str, Any], row: Row) -> bytes:
    # A number keeps its text beside the name, a field that was missing is left out.
    if None in found.values():
        found = {name: value for name, value in found.items() if value is not None}
    if row["extra"]:
        found["extra"] = dict(sorted(dict(row["extra"]).items()))
    if row["not_text"]:
        found["not_text"] = json.loads(row["not_text"])
    return orjson.dumps(found)


def _expanded(name: str, value: Any, dictionary: Dictionary) -> Any:
    if isinstance(value, str) and value.startswith(_MARK) and name in ("user_id", "inDate"):
        return value[1:]
    if name == "user_id" and _SHORT_USER.fullmatch(value):
        return (base64.urlsafe_b64decode(value[22:] + "==") + base64.urlsafe_b64decode(value[:22] + "==")).hex()
    if name == "inDate" and _SHORT_TIME.fullmatch(value):
        year, month, day, hour, minute, second = (value[at : at + 2] for at in range(0, 12, 2))
        return f"20{year}-{month}-{day}T{hour}:{minute}:{second}.{value[12:]}"
    if name in ("method", "url") and isinstance(value, int):
        numbers = dictionary.methods if name == "method" else dictionary.urls
        for known, number in numbers.items():
            if number == value:
                return known
        raise ConfigError(f"{name}: the dictionary has no number {value}; give the one beside the published objects")
    return value


@lru_cache(16_384)  # a user rarely comes alone
def short_user(user: str) -> str:
    """Return the short form of a user_id."""
    if _HEX.fullmatch(user):
        raw = bytes.fromhex(user)
        swapped = base64.urlsafe_b64encode(raw[16:])[:22] + base64.urlsafe_b64encode(raw[:16])[:22]
        return swapped.decode("ascii")
    return _marked(user, _SHORT_USER)


def _short_time(time: str) -> str:
    found = TIME.fullmatch(time)
    return "".join(found.groups()) if found else _marked(time, _SHORT_TIME)


def _marked(value: str, short: re.Pattern[str]) -> str:
    return _MARK + value if value.startswith(_MARK) or short.fullmatch(value) else value
