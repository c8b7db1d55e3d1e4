"""A differing record as fields beside each other, for a page: the changed ones and some around them, each cut.

Called by the HTML report. Masked values are masked already in what it gets.
"""

from __future__ import annotations

from dataclasses import dataclass

from tallymark.reconcile.evidence import Example
from tallymark.records.json_tree import InvalidRecord, leaves, parse

_CHANGED, _EQUAL = 20, 8
_VALUE = 240
_RECORD = 1_500


@dataclass(frozen=True)
class Field:
    """One field of both versions; None where a version lacks it."""

    path: str
    source: str | None
    backup: str | None
    is_changed: bool


@dataclass(frozen=True)
class SideBySide:
    """A record to show: its fields, or where it has none ``text`` as it is; and how many fields are left out."""

    example: Example
    fields: list[Field]
    left_out: int
    text: str | None


def side_by_side(example: Example) -> SideBySide:
    """Returns what a page shows of the record: at most 20 changed and 8 other fields."""
    try:
        source, backup = (_leaves(text) for text in (example.source, example.backup))
    except InvalidRecord:
        return SideBySide(example, [], 0, _cut(example.source or example.backup or "", _RECORD))
    both = [Field(path, source.get(path), backup.get(path), _is_changed(path, example)) for path in source | backup]
    changed, equal = ([field for field in both if field.is_changed is wanted] for wanted in (True, False))
    shown = {*(field.path for field in changed[:_CHANGED]), *(field.path for field in equal[:_EQUAL])}
    return SideBySide(example, [field for field in both if field.path in shown], len(both) - len(shown), None)


def _leaves(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    found = leaves(parse(text.encode("utf-8", "replace")))
    return {path: _cut(value.decode("utf-8", "replace"), _VALUE) for path, value in found.items()}


def _is_changed(path: str, example: Example) -> bool:
    return any(path == changed or path.startswith((f"{changed}.", f"{changed}[")) for changed in example.changed_paths)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters in all)"
