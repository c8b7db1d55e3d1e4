"""From the decoded bytes of one object to blocks of raw records, in bounded memory.

The format is decided per object from its first bytes, because backup tools rename and mix formats.
The three splitters live in `json_lines`, `json_array` and `csv_rows`; nothing here opens or inflates an object.
Called by whatever reads the records of a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from tallymark.errors import ObjectError
from tallymark.records import csv_rows, json_array, json_lines
from tallymark.records.block import BLOCK_BYTES, Block

FORMATS = ("auto", "jsonl", "array", "csv")
JSON_DIALECT = b""

_BOM = b"\xef\xbb\xbf"
_MAGIC = {
    b"\x28\xb5\x2f\xfd": "zstd-compressed",
    b"BZh": "bzip2-compressed",
    b"\xfd7zXZ": "xz-compressed",
    b"PK\x03\x04": "a zip archive",
    b"PAR1": "a Parquet file",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_ARRAY = re.compile(rb'\s*\[\s*(?:[\[{"\]\-0-9]|true\b|false\b|null\b|$)')
_OBJECT_LINE = re.compile(rb"^[ \t\r]*\{", re.MULTILINE)
_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffd]")


@dataclass(frozen=True)
class Records:
    """The records of one object.

    ``dialect`` tells what raw bytes mean: only records of the same dialect may be compared by their raw
    bytes (a CSV row means nothing without its header). ``to_json`` turns a raw record into JSON text; it
    raises `InvalidRecord` for a row that is not a record.
    """

    format: str
    dialect: bytes
    blocks: Iterator[Block]
    to_json: Callable[[bytes], bytes]


def open_records(chunks: Iterable[bytes], uri: str, name: str, format: str = "auto") -> Records:
    """Returns the records in the decoded ``chunks`` of the object ``uri``; ``name`` breaks ties for ``auto``.

    Raises:
        ObjectError: the object is not text in one of the formats (NOT_TEXT, UNSUPPORTED_FORMAT), or
            later, from the blocks, its structure is broken (CUT_ARRAY, BROKEN_ARRAY, RECORD_TOO_LARGE).
    """
    pieces = _resize(chunks)
    head = next(pieces, b"")
    _refuse_binary(head, uri)
    text = chain((head.removeprefix(_BOM),), pieces)
    chosen = detect(head.removeprefix(_BOM), name) if format == "auto" else format
    if chosen == "csv":
        header, rows = csv_rows.open_rows(text, uri)
        return Records("csv", header.dialect, rows, header.to_json)
    split = json_lines.split if chosen == "jsonl" else json_array.split
    return Records(chosen, JSON_DIALECT, split(text, uri), _unchanged)


def detect(head: bytes, name: str) -> str:
    """Returns ``jsonl``, ``array`` or ``csv`` for an object that starts with ``head``.

    ``array`` also stands for JSON values that follow one another and span lines: see `json_array`.

    >>> detect(b'{"a":1}', "x.csv"), detect(b' [{"a":1}]', "x"), detect(b"id,v", "x"), detect(b"[id],[v]", "x")
    ('jsonl', 'array', 'csv', 'csv')
    """
    lines = [line for line in head.split(b"\n", 64)[:64] if line.strip()]
    if not lines:
        return "jsonl"
    if _ARRAY.match(head):
        several = len(lines) > 1 and all(json_array.is_whole_value(line) for line in lines[:2])
        return "jsonl" if several else "array"
    if _OBJECT_LINE.search(head):
        spans_lines = lines[0].lstrip()[:1] == b"{" and json_array.first_value_spans_lines(head)
        return "array" if spans_lines else "jsonl"
    if name.lower().removesuffix(".gz").endswith((".csv", ".tsv")):
        return "csv"
    return "jsonl" if all(json_array.is_whole_value(line) for line in lines[:-1] or lines) else "csv"


def _resize(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cuts the chunks anew at multiples of BLOCK_BYTES, so that equal content gives equal blocks."""
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= BLOCK_BYTES:
            joined = b"".join(parts)
            whole = size - size % BLOCK_BYTES
            for start in range(0, whole, BLOCK_BYTES):
                yield joined[start : start + BLOCK_BYTES]
            parts = [joined[whole:]]
            size -= whole
    if size:
        yield b"".join(parts)


def _refuse_binary(head: bytes, uri: str) -> None:
    for magic, meaning in _MAGIC.items():
        if head.startswith(magic):
            raise ObjectError(uri, "UNSUPPORTED_FORMAT", f"it is {meaning}; give UTF-8 JSON or CSV, plain or gzip")
    sample = head[:4096].decode("utf-8", "replace")
    # A record with a stray control character is one invalid record; only a file full of them is binary.
    if 5 * len(_NO_TEXT.findall(sample)) > len(sample):
        raise ObjectError(uri, "NOT_TEXT", "it starts with binary bytes; exclude it or give UTF-8 JSON or CSV")


def _unchanged(record: bytes) -> bytes:
    return record
