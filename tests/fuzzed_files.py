"""Files that went wrong on their way, made of good ones by a seed, and what the standard library reads in them.

Nothing here knows the code under test. `records_of` decides by itself what a file holds, slowly and in memory.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from decimal import Decimal
from random import Random
from typing import Any

RECORDS = 40
Content = bytes


def good(random: Random) -> tuple[str, Content]:
    """Returns a suffix and a sound file: lines, an array in one of two layouts, or CSV."""
    start = random.randrange(10**9)  # or records would be found again in other files
    rows = [
        {"id": start + n, "name": f"café {n}", "at": [n, {"deep": n / 4}], "ok": n % 2 == 0} for n in range(RECORDS)
    ]
    texts = [json.dumps(row, ensure_ascii=n % 2 == 0) for n, row in enumerate(rows)]
    kind = random.randrange(4)
    if kind == 0:
        return ".json", "".join(f"{text}\n" for text in texts).encode()
    if kind == 1:
        return ".json", f"[{','.join(texts)}]".encode()
    if kind == 2:
        return ".json", json.dumps(rows, indent=1).encode()
    out = io.StringIO()
    csv.writer(out).writerows(
        [["id", "name", "note"], *([start + n, f"café {n}", 'a "b", c\nd'] for n in range(RECORDS))]
    )
    return ".csv", out.getvalue().encode()


def _flip(random: Random, content: Content, most: int = 3) -> Content:
    out = bytearray(content)
    for _ in range(random.randint(1, most)):
        out[random.randrange(len(out))] ^= 1 << random.randrange(8)
    return bytes(out)


def _cut(random: Random, content: Content) -> Content:
    return content[: random.randrange(len(content))]


def _spliced(random: Random, content: Content) -> Content:
    """Puts bytes that mean something where they do not belong."""
    odd = (b"\0", b"\xff", b'"', b"\\", b"{", b"]", b",", b"\r", b"\n", b"1e999999999", b"NaN", b"-", b"\xed\xa0\x80",
           b"\\ud800", b"\xef\xbb\xbf", b"[" * 300, b'{"a":1,"a":2}', b"\x1f\x8b")  # fmt: skip
    at = random.randrange(len(content) + 1)
    return content[:at] + random.choice(odd) + content[at:]


def _zip(_random: Random, content: Content) -> Content:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("data.json", content)
    return out.getvalue()


def _recoded(random: Random, content: Content) -> Content:
    name = random.choice(("latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7"))
    return content.decode().encode(name)


def _gz(content: Content) -> Content:
    return gzip.compress(content, mtime=0)


# What changes no record: the two sides must match.
HARMLESS: dict[str, Callable[[Random, Content], Content]] = {
    "gzip": lambda _, content: _gz(content),
    "gzip of several members": lambda _, content: _gz(content[:500]) + _gz(b"") + _gz(content[500:]),
    "gzip with zeros behind": lambda _, content: _gz(content) + bytes(512),
    "a byte order mark": lambda _, content: b"\xef\xbb\xbf" + content,
    "white space behind": lambda _, content: content + b"\n \n" if content[:1] in b"{[" else content,
}
HARMFUL: dict[str, Callable[[Random, Content], Content]] = {
    "cut": _cut,
    "flipped": _flip,
    "spliced": _spliced,
    "recoded": _recoded,
    "cut gzip": lambda random, content: _cut(random, _gz(content)),
    "flipped gzip": lambda random, content: _flip(random, _gz(content)),
    "flipped in gzip": lambda random, content: _gz(_flip(random, content)),
    "spliced in gzip": lambda random, content: _gz(_spliced(random, content)),
    "gzip twice": lambda _, content: _gz(_gz(content)),
    "gzip with text behind": lambda random, content: _gz(content) + random.randbytes(20),
    "zip": _zip,
    "noise": lambda random, content: random.randbytes(len(content)),
    "lines of \\r\\n": lambda _, content: content.replace(b"\n", b"\r\n"),
    "lines of \\r": lambda _, content: content.replace(b"\n", b"\r"),
    "empty": lambda *_: b"",
    "one side twice": lambda _, content: content + content,
    "sliced out": lambda random, content: content[: (at := random.randrange(len(content)))] + content[at + 7 :],
}


def bombs(megabytes: int) -> Iterator[tuple[str, Content]]:
    """Yields names and files that are small and hold much: in bytes, in levels, in members of one record."""
    size = megabytes << 20
    yield "one line", _gz_of(b"x" * (1 << 20), size)
    yield "blank lines", _gz_of(b"\n" * (1 << 20), size)
    yield "spaces", _gz_of(b" " * (1 << 20), size)
    yield "zeros", _gz_of(bytes(1 << 20), size)
    yield "an open string", _gz_of(b"y" * (1 << 20), size, b'{"a":"')
    yield "small records", _gz_of(b'{"a":1}\n' * (1 << 15), size // 10)
    yield "small elements", _gz_of(b'{"a":1},' * (1 << 15), size // 10, b"[")
    yield "an open array of arrays", _gz_of(b"[" * (1 << 20), size)
    yield "an element without an end", _gz_of(b"[]," * (1 << 18), size // 50, b"[[")
    for levels in (1_000, 100_000, 2_000_000):
        yield f"{levels} levels", b"[" * levels + b"]" * levels
        yield f"{levels} levels in a line", b'{"id":1}\n{"a":' + b"[" * levels + b"]" * levels + b"}\n"
        yield f"{levels} objects", b'{"a":' * levels + b"1" + b"}" * levels
    for member in (b"{},", b"[],", b"0,", b'"",', b'{"a":0},'):
        body = (member * (60_000_000 // len(member)))[:-1]
        yield f"one record of many {member.decode()}", _gz(b'{"a":[' + body + b"]}\n")
    names = ",".join(f'"{number}":0' for number in range(3_000_000))
    yield "one record of many names", _gz(f"{{{names}}}\n".encode())
    yield "a number of a million digits", b'{"a":' + b"9" * 1_000_000 + b"}\n" + b'{"a":1e' + b"9" * 1_000_000 + b"}\n"
    yield "a name of 30 MB", _gz(b'{"' + b"n" * (30 << 20) + b'":1}\n')
    yield "columns", _gz(b",".join(b"c%d" % number for number in range(300_000)) + b"\n" + b"," * 299_999 + b"\n")
    yield "an open quote", _gz_of(b'a,"b\n' * (1 << 17), size // 10, b'id,name\n1,"')


def _gz_of(piece: bytes, size: int, before: bytes = b"") -> Content:
    """Packs the piece again and again: a member for each."""
    return _gz(before) + _gz(piece) * (size // len(piece))


class UnreadableError(Exception):
    """Nothing can be said of the records of this file."""


def records_of(content: Content, is_csv: bool) -> Counter[Hashable]:
    """Returns the records of a file as a multiset: by their values, or as bytes where they have none.

    Raises:
        UnreadableError: it is a gzip that does not hold to its end.
    """
    text = _inflated(content).removeprefix(b"\xef\xbb\xbf")
    if is_csv:
        rows = list(csv.reader(io.StringIO(text.decode("utf-8", "surrogateescape"), newline="")))
        header, *rest = [row for row in rows if row] or [[]]
        return Counter(tuple(sorted(zip(header, row))) if len(row) == len(header) else tuple(row) for row in rest)
    try:
        whole = _value(text)
        return Counter(map(_frozen, whole if isinstance(whole, list) else [whole]))
    except ValueError:
        return Counter(_line(line.strip(b"\r")) for line in text.split(b"\n") if line.strip())


def _inflated(content: Content) -> Content:
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        with gzip.open(io.BytesIO(content)) as file:
            return file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableError from error


def _line(line: bytes) -> Hashable:
    try:
        return _frozen(_value(line))
    except ValueError:
        return line


def _value(text: bytes) -> Any:
    def no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a name twice")
        return dict(pairs)

    def no_constant(name: str) -> Any:
        raise ValueError(name)

    return json.loads(
        text.decode("utf-8"), parse_float=_number, parse_int=_number, parse_constant=no_constant,
        object_pairs_hook=no_doubles,
    )  # fmt: skip


def _number(text: str) -> Any:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(text)
    return ("number", number)


def _frozen(value: Any) -> Hashable:
    if isinstance(value, dict):
        return ("object", frozenset((name, _frozen(one)) for name, one in value.items()))
    if isinstance(value, list):
        return ("array", tuple(map(_frozen, value)))
    return (type(value).__name__, value)
