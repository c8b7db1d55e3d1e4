"""What a run suggests to its user: an option to set, from what its differences have in common.

A hint is drawn from records that were looked at and says how many differ so; it never changes a verdict. Called by
`tallymark.runs.reconcile.summary`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tallymark.config.fields import join_list
from tallymark.reconcile.evidence import Evidence, Example
from tallymark.records.json_tree import InvalidRecord, Node, leaves, parse, step_text, write

_MOST = 8
_CHANGING = ("CHANGED_DURING_RUN", "DELETED_DURING_RUN")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_INDEX = re.compile(r"\[\d+\]")
_TIME = re.compile(r'"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*"|1[5-9]\d{8}(?:\d{3}|\d{6}|\.\d+)?')
_GENERATED = re.compile(r'"(?:[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-f]{16,})"')


@dataclass(frozen=True)
class Hint:
    """A suggestion; ``option`` and ``value`` are what to set, if the user agrees."""

    text: str
    option: str
    value: str


def find_hints(
    totals: Mapping[str, int], evidence: Evidence, settings: Mapping[str, Any], errors: Sequence[Mapping[str, Any]]
) -> list[Hint]:
    """Returns at most eight hints, those about most records first.

    Args:
        totals: the counts of `result.Totals` by name.
        settings: the options of the run by name.
        errors: rows of the table `files`.
    """
    return [*_about_values(evidence, settings), *_about_counts(totals, settings), *_about_errors(errors)][:_MOST]


def _about_values(evidence: Evidence, settings: Mapping[str, Any]) -> Iterator[Hint]:
    seen: dict[str, list[str | None]] = {}
    for kept in evidence.combinations.values():
        for example in kept:
            for path, kind in _kinds(example):
                seen.setdefault(path, []).append(kind)
    records = Counter[str]()
    for path, count in evidence.paths.items():
        of_all = _any_index(path)
        for name in {of_all, of_all.removesuffix("[*]")}:
            records[name] = max(records[name], count)
    for path, found in sorted(seen.items(), key=lambda item: (-records[item[0]], item[0])):
        kinds = set(found)
        # What holds for some of the records that were looked at and not for others explains nothing.
        if len(kinds) == 1 and (kind := kinds.pop()) is not None:
            alone = evidence.alone[path]
            only = f"; {alone:,} of them in nothing else" if alone else ""
            yield _hint(kind, path, f"{path} differs in {records[path]:,} changed records{only}", settings)


_KINDS = {
    "volatile": ("every value looked at is a time or a generated identifier: if each copy has its own", "ignore"),
    "rounded": ("the backup holds the numbers rounded to binary floating point: if that will do", "ignore"),
    "retyped": ("numbers have become text, or text has become numbers: if that will do", "ignore"),
    "order": ("the elements are the same in another order: if the order means nothing", "unordered"),
    "form": ("the texts are equal after Unicode normalisation", "unicode"),
    "spelling": ("the numbers are equal in value and spelled otherwise", "numbers"),
}
_VALUES = {"form": "nfc", "spelling": "exact"}


def _hint(kind: str, path: str, differs: str, settings: Mapping[str, Any]) -> Hint:
    text, option = _KINDS[kind]
    # A list on the command line takes the place of the one in the file, so it must hold what that has.
    value = _VALUES.get(kind) or join_list((*map(str, settings.get(option) or ()), path))
    return Hint(f"{differs}; {text}", option, value)


def _kinds(example: Example) -> Iterator[tuple[str, str | None]]:
    """Yields the changed paths, their indices as `*`, each with what its change looks like."""
    if example.source is None or example.backup is None:
        return
    with suppress(InvalidRecord):
        trees = [parse(text.encode("utf-8", "replace")) for text in (example.source, example.backup)]
        source, backup = map(leaves, trees)
        reordered = _reordered(*map(_arrays, trees))
        for path in example.changed_paths:
            array = next((array for array in reordered if path.startswith(f"{array}[")), None)
            if array is not None:
                yield _any_index(array), "order"
            else:
                yield _any_index(path), _kind(source.get(path, b""), backup.get(path, b""))


def _kind(source: bytes, backup: bytes) -> str | None:
    ours, theirs = source.decode("utf-8", "replace"), backup.decode("utf-8", "replace")
    if ours == theirs:
        return "spelling" if _NUMBER.fullmatch(ours) else None
    if any(all(map(form.fullmatch, (ours, theirs))) for form in (_TIME, _GENERATED)):
        return "volatile"
    if _nfc(ours) == _nfc(theirs):
        return "form"
    if all(map(_NUMBER.fullmatch, (ours, theirs))):
        return "rounded" if float(ours) == float(theirs) else None
    bare = ours.strip('"')
    return "retyped" if bare == theirs.strip('"') and _NUMBER.fullmatch(bare) else None


def _reordered(source: Mapping[str, list[bytes]], backup: Mapping[str, list[bytes]]) -> list[str]:
    both = source.keys() & backup.keys()
    return [path for path in both if source[path] != backup[path] and sorted(source[path]) == sorted(backup[path])]


def _arrays(root: Node) -> dict[str, list[bytes]]:
    """Returns path -> canonical elements of every array."""
    found: dict[str, list[bytes]] = {}
    pending: list[tuple[str, Node]] = [("$", root)]
    while pending:
        path, node = pending.pop()
        if isinstance(node, list):
            found[path] = list(map(write, node))
            pending += [(f"{path}[{index}]", element) for index, element in enumerate(node)]
        elif isinstance(node, dict):
            pending += [(path + step_text(name), member) for name, member in node.items()]
    return found


def _any_index(path: str) -> str:
    """Returns the path with `*` for each index.

    >>> _any_index("$.items[3].at")
    '$.items[*].at'
    """
    return _INDEX.sub("[*]", path)


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _about_counts(totals: Mapping[str, int], settings: Mapping[str, Any]) -> Iterator[Hint]:
    other_form = totals["normalised_records"]
    if other_form and settings.get("numbers") == "exact":
        text = (
            f"{other_form:,} records match only in another form (order of names, spacing, spelling of numbers): "
            "the backup was written anew; if the spelling of numbers matters"
        )
        yield Hint(text, "numbers", "lexical")
    if totals["missing_in_backup"] and totals["missing_in_source"] and not settings.get("key"):
        text = "records are missing on both sides: if they are versions of each other, name the field that ties them"
        yield Hint(text, "key", "FIELD")


def _about_errors(errors: Sequence[Mapping[str, Any]]) -> Iterator[Hint]:
    changing = sum(str(row.get("error")).startswith(_CHANGING) for row in errors)
    if changing:
        yield Hint(f"{changing:,} objects were written while they were read: leave young ones alone", "min_age", "1h")
