"""The part of RFC 9535 that options speak: names, indices and `*`; and what an option does at such a path.

`remove`, `mask` and `sort_arrays` change the tree they are given and return it: give them a fresh one.
They only look at dict and list, so they also take what `orjson.loads` returns.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from tallymark.records.json_tree import NAME, Node, write


class Wildcard(Enum):
    """`*`: any member or any element."""

    ANY = "*"


Step: TypeAlias = str | int | Wildcard
Container: TypeAlias = "dict[str, Node] | list[Node]"

_SPACE = re.compile(r"[ \t\n\r]*")
_INDEX = re.compile(r"0|[1-9][0-9]{0,15}")
_QUOTED = re.compile(r"'((?:[^'\\\x00-\x1f]|\\.)*)'" + "|" + r'"((?:[^"\\\x00-\x1f]|\\.)*)"')

_QUOTE_IT = "a name with other characters is written ['...']"
_NEXT = f"'.', '[' or the end ({_QUOTE_IT})"


@dataclass(frozen=True)
class Path:
    """A parsed path; two are equal when their steps are."""

    steps: tuple[Step, ...]
    text: str = field(compare=False)

    def __str__(self) -> str:
        return self.text

    def nfc(self) -> Path:
        """Returns the path as it reads in a record whose names are normalised."""
        steps = (unicodedata.normalize("NFC", step) if isinstance(step, str) else step for step in self.steps)
        return Path(tuple(steps), self.text)


def parse_path(text: str) -> Path:
    """Parses one path; raises ValueError that names the text and the position.

    >>> parse_path("$.items[*]['a b'][0]").steps
    ('items', <Wildcard.ANY: '*'>, 'a b', 0)
    """
    path, end = _path(text, _blank(text, 0))
    if _blank(text, end) != len(text):
        raise _error(text, end, f"expected {_NEXT}")
    return path


def parse_paths(text: str) -> tuple[Path, ...]:
    """Parses a comma separated list, empty for blank text; raises ValueError as `parse_path`."""
    position = _blank(text, 0)
    if position == len(text):
        return ()
    paths = []
    while True:
        path, end = _path(text, position)
        paths.append(path)
        end = _blank(text, end)
        if end == len(text):
            return tuple(paths)
        if text[end] != ",":
            raise _error(text, end, f"expected ',', {_NEXT}")
        position = _blank(text, end + 1)


def _path(text: str, start: int) -> tuple[Path, int]:
    if not text.startswith("$", start):
        raise _error(text, start, "a path starts with '$'")
    steps: list[Step] = []
    position = start + 1
    while position < len(text) and text[position] in ".[":
        read = _dotted if text[position] == "." else _bracketed
        step, position = read(text, position + 1)
        steps.append(step)
    return Path(tuple(steps), text[start:position]), position


def _dotted(text: str, position: int) -> tuple[Step, int]:
    if text.startswith("*", position):
        return Wildcard.ANY, position + 1
    if text.startswith(".", position):
        raise _error(text, position, "'..' (any depth) is unsupported")
    name = NAME.match(text, position)
    if name is None:
        raise _error(text, position, f"expected a name or '*' ({_QUOTE_IT})")
    return name[0], name.end()


def _bracketed(text: str, position: int) -> tuple[Step, int]:
    position = _blank(text, position)
    step: Step
    if text.startswith("*", position):
        step, end = Wildcard.ANY, position + 1
    elif quoted := _QUOTED.match(text, position):
        step, end = _unquoted(text, quoted), quoted.end()
    elif index := _INDEX.match(text, position):
        step, end = int(index[0]), index.end()
    else:
        raise _error(text, position, _unsupported(text[position : position + 1]))
    end = _blank(text, end)
    if not text.startswith("]", end):
        raise _error(text, end, _unsupported(text[end : end + 1]))
    return step, end + 1


def _unquoted(text: str, quoted: re.Match[str]) -> str:
    inner = quoted[1] if quoted[2] is None else quoted[2]
    # what remains of RFC 9535's escapes, once the quotes are those of JSON, is JSON's
    inner = re.sub(r"""\\.|\"""", lambda part: {'"': r"\"", r"\'": "'"}.get(part[0], part[0]), inner)
    try:
        return str(json.loads(f'"{inner}"'))
    except ValueError:
        raise _error(text, quoted.start(), "unknown escape in the name") from None


def _unsupported(found: str) -> str:
    what = {"?": "filters are", ":": "slices are", ",": "lists of selectors are", "-": "negative indices are"}
    if found in what:
        return f"{what[found]} unsupported"
    return "expected a quoted name, an index or '*', and ']'"


def _blank(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return space.end() if space else position


def _error(text: str, position: int, what: str) -> ValueError:
    return ValueError(f"path {text!r}, position {position}: {what}")


def remove(node: Node, paths: Iterable[Path]) -> Node:
    """Drops the members and elements at the paths; indices count before anything is dropped.

    Raises ValueError for `$`, because nothing would be left.

    >>> remove([b"1", b"2", b"3"], parse_paths("$[0], $[1]"))
    [b'3']
    """
    doomed: dict[int, tuple[Container, set[str | int]]] = {}
    for path in paths:
        if not path.steps:
            raise ValueError("path '$': the whole record cannot be removed")
        for inside, key in _places(node, path):
            doomed.setdefault(id(inside), (inside, set()))[1].add(key)
    for inside, keys in doomed.values():
        if isinstance(inside, dict):
            for key in keys:
                del inside[str(key)]
        else:
            inside[:] = [element for index, element in enumerate(inside) if index not in keys]
    return node


def mask(node: Node, paths: Iterable[Path]) -> Node:
    """Puts the string `***` in place of each value at the paths."""
    root = [node]
    for path in paths:
        for inside, key in list(_places(root, Path((0, *path.steps), path.text))):
            inside[key] = b'"***"'
    return root[0]


def sort_arrays(node: Node, paths: Iterable[Path]) -> Node:
    """Sorts the elements of the arrays at the paths by canonical text, so that they compare as multisets."""
    # an inner array must be in order before the text of what holds it is compared
    for path in sorted(paths, key=lambda path: len(path.steps), reverse=True):
        for found in _values([node], path.steps):
            if isinstance(found, list):
                found.sort(key=write)
    return node


def _places(node: Node, path: Path) -> Iterator[tuple[Container, Any]]:
    for inside in _values([node], path.steps[:-1]):
        if isinstance(inside, (dict, list)):
            for key in _matching(inside, path.steps[-1]):
                yield inside, key


def _values(nodes: list[Node], steps: tuple[Step, ...]) -> list[Node]:
    for step in steps:
        nodes = [inside[key] for inside in nodes for key in _matching(inside, step)]
    return nodes


def _matching(node: Any, step: Step) -> Iterable[Any]:
    if isinstance(node, dict):
        return node if step is Wildcard.ANY else (step,) if step in node else ()
    if isinstance(node, list):
        if step is Wildcard.ANY:
            return range(len(node))
        return (step,) if isinstance(step, int) and step < len(node) else ()
    return ()
