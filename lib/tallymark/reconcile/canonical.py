"""When two records are equal: the canonical form, version 1, and its SHA-256.

The form is RFC 8785 (JCS) on exact decimals; why, and what else was weighed, is in `docs/adr/0001-canonical-form.md`.
`json_tree` defines it. This module adds the options and a quick way by `orjson`, which gives the bytes of the exact
way or nothing: whatever its checks cannot prove is done again exactly. Called for each record that raw bytes did not
match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import orjson

from tallymark.reconcile.json_path import Path, remove, sort_arrays
from tallymark.records.json_tree import EXPONENT_DIGITS, InvalidRecord, Node, is_too_large, number_text, parse, write

__all__ = ["VERSION", "CanonicalForm", "InvalidRecord", "canonicalise", "invalid_reason", "record_hash"]

VERSION = 1
"""Stored with every run; any change of the bytes below is a new version."""

_SORTED = orjson.OPT_SORT_KEYS
_BLANKS = b" \t\r\n"
_long_exponent = re.compile(rb"[0-9]{%d}" % EXPONENT_DIGITS).search
_supplementary = re.compile(rb"[\xf0-\xf4]").search
_above_surrogates = re.compile(rb"[\xee\xef]").search
_integral_float = re.compile(rb"\.0[,}\]]").search
_negative_zero = re.compile(rb"-0[,}\]]").search
_exponent = re.compile(rb"e[-+0-9]+[,}\]]").search
# ECMAScript writes 1e-7 and smaller as orjson does, other exponents not
_other_exponent = re.compile(rb"e(?:[0-9+][0-9]*|-[1-6])[,}\]]").search
# numbers that are not surely an integer of 64 bits or a decimal of 15 digits
_doubtful_number = re.compile(rb"[0-9.]+[eE][0-9+-]+|[0-9.]{17,}")
_harmless_number = re.compile(rb"[0-9]{17,18}|[0-9.]{1,15}[eE][+-]?[0-9]{1,2}")


@dataclass(frozen=True)
class CanonicalForm:
    """The form and what a run relaxes of it.

    ``ignore`` drops values, ``unordered`` compares arrays as multisets, ``unicode="nfc"`` normalises strings and
    names, ``numbers="lexical"`` keeps numbers as written. Raises ValueError when `$` is to be ignored.
    """

    ignore: tuple[Path, ...] = ()
    unordered: tuple[Path, ...] = ()
    unicode: Literal["exact", "nfc"] = "exact"
    numbers: Literal["exact", "lexical"] = "exact"

    def __post_init__(self) -> None:
        if self.unicode not in ("exact", "nfc") or self.numbers not in ("exact", "lexical"):
            raise ValueError(f"unicode {self.unicode!r} or numbers {self.numbers!r} is unknown")
        if self.unicode == "nfc":
            object.__setattr__(self, "ignore", tuple(path.nfc() for path in self.ignore))
            object.__setattr__(self, "unordered", tuple(path.nfc() for path in self.unordered))
        remove([], self.ignore)

    def tree(self, record: bytes) -> Node:
        """Returns the record as it is compared; raises InvalidRecord."""
        quick = _quick_tree(record) if self.numbers == "exact" and self._composed(record) else None
        return self._relaxed(quick) if quick is not None else self.exact_tree(record)

    def exact_tree(self, record: bytes) -> Node:
        """Returns what `tree` does, without `orjson`: the definition; raises InvalidRecord."""
        return self._relaxed(parse(record, lexical_numbers=self.numbers == "lexical", nfc=self.unicode == "nfc"))

    def _relaxed(self, node: Node) -> Node:
        return sort_arrays(remove(node, self.ignore), self.unordered)

    def canonicalise(self, record: bytes) -> bytes:
        """Returns the canonical bytes; raises InvalidRecord."""
        text = self._quick(record)
        return write(self.exact_tree(record)) if text is None else text

    def digest(self, record: bytes) -> tuple[bytes, str | None]:
        """Returns SHA-256 and None; of an invalid record that of its raw bytes, and the reason."""
        try:
            return sha256(self.canonicalise(record)).digest(), None
        except InvalidRecord as invalid:
            return sha256(record).digest(), invalid.reason

    def invalid_reason(self, record: bytes) -> str | None:
        """Returns why the record cannot be compared by value, or None: what `digest` says, without the hash."""
        if self._composed(record) and _surely_valid(record):
            return None
        try:
            parse(record, nfc=self.unicode == "nfc")
        except InvalidRecord as invalid:
            return invalid.reason
        return None

    def _quick(self, record: bytes) -> bytes | None:
        if self.unordered or self.numbers != "exact" or (self.unicode != "exact" and not self._composed(record)):
            return None
        return _certified(record, self.ignore)

    def _composed(self, record: bytes) -> bool:
        """Tells whether normalising cannot change the record."""
        return self.unicode == "exact" or (record.isascii() and b"\\" not in record)


def _certified(record: bytes, ignore: tuple[Path, ...]) -> bytes | None:
    """Returns the canonical bytes by `orjson`, or None where they are not proven to be those of the exact way.

    Of a proven value only the layout of floats and the order of names can differ.
    """
    proven = _proven(record)
    if proven is None:
        return None
    value = remove(proven[0], ignore) if ignore else proven[0]
    text = orjson.dumps(value, option=_SORTED)
    if text[0] not in b"{[" or (_exponent(text) and _other_exponent(text)):
        return None  # a scalar has no end mark for these searches
    if not text.isascii() and _supplementary(text) and _above_surrogates(text):
        return None  # UTF-8 sorts these two the other way round than UTF-16
    return _without_point_zero(text, value) if _integral_float(text) else text


def _quick_tree(record: bytes) -> Node | None:
    """Returns the tree of `json_tree.parse` by `orjson`, or None where that is not proven."""
    proven = _proven(record)
    try:
        return None if proven is None else _as_node(proven[0])
    except RecursionError:
        return None


def _proven(record: bytes) -> tuple[Any] | None:
    """Returns the value of the record by `orjson`, alone in a tuple, or None where something may have been lost.

    The proof: `orjson` writes the value again in the order it was read. Where that gives the tokens of the record,
    no name was repeated and no number rounded.
    """
    if is_too_large(record):
        return None
    try:
        value = orjson.loads(record)
        again = orjson.dumps(value)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    return (value,) if again == record or _same_tokens(record, again) else None


def _as_node(value: Any) -> Node:
    if isinstance(value, dict):
        return {name: _as_node(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_as_node(element) for element in value]
    text = orjson.dumps(value)
    return number_text(text.decode()) if isinstance(value, float) else text


def _without_point_zero(text: bytes, value: Any) -> bytes | None:
    """Writes `1.0` as `1`, or returns None when that touches a string or leaves `-0`."""
    short = text.replace(b".0,", b",").replace(b".0}", b"}").replace(b".0]", b"]")
    return None if _negative_zero(short) or orjson.loads(short) != value else short


def _same_tokens(record: bytes, again: bytes) -> bool:
    """Tells whether two spellings of one value surely have the same members and no number was rounded."""
    if record.translate(None, _BLANKS) == again.translate(None, _BLANKS):
        return True
    marks, marks_again = _outside_strings(record), _outside_strings(again)
    if marks is None or marks_again is None or marks.count(b":") != marks_again.count(b":"):
        return False
    return marks == marks_again or all(map(_kept_by_double, _doubtful_number.findall(marks)))


def _kept_by_double(number: bytes) -> bool:
    return _harmless_number.fullmatch(number) is not None or orjson.dumps(float(number)) == number


def _outside_strings(text: bytes) -> bytes | None:
    """Returns the text without its strings and blanks, or None where an escaped backslash hides what a quote is."""
    if b"\\" in text:
        if b"\\\\" in text:
            return None
        text = text.replace(b'\\"', b"")
    return b"".join(text.split(b'"')[::2]).translate(None, _BLANKS)


def _surely_valid(record: bytes) -> bool:
    """Tells whether `orjson` proves that nothing is wrong: it reads the record, and no member was lost."""
    if is_too_large(record):
        return False
    try:
        again = orjson.dumps(orjson.loads(record))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return False
    if again == record:
        return True
    if _long_exponent(record):
        return False
    if b"\\" not in record:
        return record.count(b'"') == again.count(b'"')
    marks, marks_again = _outside_strings(record), _outside_strings(again)
    return marks is not None and marks_again is not None and marks.count(b":") == marks_again.count(b":")


_DEFAULT = CanonicalForm()


def canonicalise(record: bytes) -> bytes:
    """Returns the canonical bytes (RFC 8785 on exact decimals); raises InvalidRecord.

    >>> canonicalise(b'{"b": 1.0, "a": [1e2, -0, 9007199254740993]}')
    b'{"a":[100,0,9007199254740993],"b":1}'
    """
    return _DEFAULT.canonicalise(record)


def record_hash(record: bytes) -> bytes:
    """Returns SHA-256 of the canonical bytes, or of the raw bytes when the record is invalid; never raises."""
    return _DEFAULT.digest(record)[0]


def invalid_reason(record: bytes) -> str | None:
    """Returns why the record cannot be compared by value, or None."""
    return _DEFAULT.invalid_reason(record)
