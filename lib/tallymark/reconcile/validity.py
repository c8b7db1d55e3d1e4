"""Counts invalid records among those that match by their raw bytes, without parsing most of them.

Records of one producer share a shape: the same keys in the same order. A regular expression made from one valid
record accepts only valid JSON with these distinct keys, so RE2 (inside of pyarrow) proves the others valid at
about the speed of copying them. A record that does not fit is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tallymark.records.json_tree import InvalidRecord, Node, parse

_SPACE = r"[ \t\r\n]*"
_STRING = r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"'
_SCALAR = rf"(?:{_STRING}|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{{1,9}})?|true|false|null)"
_PLAIN_NAME = re.compile(r"[^\"\\\x00-\x1f]*")
_SHAPE_DEPTH = 8
_SHAPE_NAMES = 200
_FIT = 0.5
_MOST_SHAPES = 20
_FEW = 300
"""So many are parsed in the time in which an expression is compiled."""


class Validity:
    """Finds the invalid ones among raw records; learns shapes as it goes.

    Args:
        reason: returns the reason code of an invalid record, None for a valid one.
    """

    def __init__(self, reason: Callable[[bytes], str | None]) -> None:
        self._reason = reason
        self._shape: str | None = None
        self._learnt = 0

    def invalid(self, records: Sequence[bytes]) -> list[bytes]:
        """Returns the invalid ones, in order, repeated as they come."""
        if len(records) < _FEW:
            return [record for record in records if self._reason(record) is not None]
        rest: Sequence[bytes] = records
        if self._shape is not None:
            rest = self._without_fitting(records, self._shape)
        if len(rest) > _FIT * len(records) and self._learnt < _MOST_SHAPES:
            self._learnt += 1
            self._shape = next(filter(None, map(self._shape_of_valid, rest[:3])), None)
            if self._shape is not None:
                rest = self._without_fitting(records, self._shape)
        return [record for record in rest if self._reason(record) is not None]

    def _shape_of_valid(self, record: bytes) -> str | None:
        return None if self._reason(record) is not None else shape_of(record)

    @staticmethod
    def _without_fitting(records: Sequence[bytes], shape: str) -> Sequence[bytes]:
        try:
            texts = pa.array(records, pa.binary()).cast(pa.string())
        except pa.ArrowInvalid:  # one of them is not UTF-8
            return records
        unfit = pc.filter(pa.array(records, pa.binary()), pc.invert(pc.match_substring_regex(texts, shape)))
        return unfit.to_pylist() if len(unfit) else ()


def shape_of(record: bytes) -> str | None:
    r"""Returns the RE2 expression of records shaped like this valid one, or None where there is none.

    >>> shape_of(b'{"a":1,"b":"x"}') is not None, shape_of(b'{"a":1,"a":2}'), shape_of(b'{"\\u0061":1}')
    (True, None, None)
    """
    try:
        tree = parse(record)
    except InvalidRecord:
        return None
    names: list[str] = []
    shape = _shape(tree, _SHAPE_DEPTH, names)
    written = record.decode("utf-8")
    if shape is None or len(names) > _SHAPE_NAMES or not all(f'"{name}"' in written for name in names):
        return None
    return rf"\A{_SPACE}{shape}{_SPACE}\z"


def _shape(node: Node, depth: int, names: list[str]) -> str | None:
    if isinstance(node, dict) and depth:
        members = []
        for name, value in node.items():
            names.append(name)
            shape = _shape(value, depth - 1, names)
            if shape is None or not _PLAIN_NAME.fullmatch(name):
                return None
            members.append(rf'"{re.escape(name)}"{_SPACE}:{_SPACE}{shape}')
        return rf"\{{{_SPACE}" + rf"{_SPACE},{_SPACE}".join(members) + rf"{_SPACE}\}}"
    if isinstance(node, list) and depth:
        element = _shape(node[0], depth - 1, names) if node and isinstance(node[0], (dict, list)) else _SCALAR
        if element is None:
            return None
        return rf"\[{_SPACE}(?:{element}(?:{_SPACE},{_SPACE}{element})*{_SPACE})?\]"
    return _SCALAR if isinstance(node, bytes) else None
