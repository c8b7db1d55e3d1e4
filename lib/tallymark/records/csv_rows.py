"""Splits CSV (RFC 4180) into rows and turns a row into the JSON object header -> text.

Nothing is typed or padded: a cell is a string, an empty cell is `""` whether quoted or not, and a row with
another number of cells than the header is an invalid record. The delimiter is the most frequent of `, ; TAB |`
in the header.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import orjson

from tallymark.errors import ObjectError
from tallymark.records.block import RECORD_LIMIT, Block
from tallymark.records.json_tree import InvalidRecord

_DELIMITERS = ",;\t|"
csv.field_size_limit(RECORD_LIMIT)


@dataclass(frozen=True)
class Header:
    """The column names of one object; ``dialect`` is the header row as written."""

    dialect: bytes
    names: tuple[str, ...]
    delimiter: str

    def to_json(self, row: bytes) -> bytes:
        """Returns the row as a JSON object; raises InvalidRecord INVALID_UTF8 or WRONG_FIELD_COUNT."""
        cells = _cells(row, self.delimiter)
        if len(cells) != len(self.names):
            raise InvalidRecord("WRONG_FIELD_COUNT")
        return orjson.dumps(dict(zip(self.names, cells)))


def open_rows(chunks: Iterable[bytes], uri: str) -> tuple[Header, Iterator[Block]]:
    """Returns the header and the blocks of rows below it.

    Raises:
        ObjectError: BROKEN_HEADER (not UTF-8, a repeated name), RECORD_TOO_LARGE.
    """
    source = iter(chunks)
    text = b""
    for chunk in source:
        text = (text + chunk).lstrip(b"\r\n")
        if b"\n" in text:
            break
        if len(text) > RECORD_LIMIT:
            raise ObjectError(uri, "RECORD_TOO_LARGE", f"the header of the CSV exceeds {RECORD_LIMIT >> 20} MB")
    delimiter = _delimiter(text.partition(b"\n")[0])
    blocks = _blocks(chain((text,), source), delimiter, uri)
    first = next(blocks, None)
    if first is None:
        return Header(b"", (), delimiter), iter(())
    header = _header(first.records[0], delimiter, uri)
    rows = first.records[1:]
    return header, chain([Block(first.text, lambda _: rows)] if rows else [], blocks)


def _delimiter(line: bytes) -> str:
    outside = re.sub(rb'"[^"]*"', b"", line)
    return max(_DELIMITERS, key=lambda mark: outside.count(mark.encode()))


def _header(row: bytes, delimiter: str, uri: str) -> Header:
    try:
        names = tuple(_cells(row, delimiter))
    except InvalidRecord as broken:
        raise ObjectError(uri, "BROKEN_HEADER", f"the first row of the CSV is no header: {broken.reason}") from None
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    if repeated:
        raise ObjectError(uri, "BROKEN_HEADER", f"the CSV header names a column twice: {', '.join(repeated)}")
    return Header(row, names, delimiter)


def _cells(row: bytes, delimiter: str) -> list[str]:
    try:
        text = row.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRecord("INVALID_UTF8") from None
    if '"' not in text:
        return text.split(delimiter)
    try:
        parsed = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:
        raise InvalidRecord("INVALID_CSV") from None
    if len(parsed) != 1:
        raise InvalidRecord("INVALID_CSV")
    return parsed[0]


def _blocks(chunks: Iterable[bytes], delimiter: str, uri: str) -> Iterator[Block]:
    """Cuts the chunks into rows; a line end inside of a quoted cell belongs to the cell."""
    quotes = _Quotes(delimiter.encode())
    tail = b""
    scanned = 0
    for chunk in chunks:
        text = tail + chunk
        ends = quotes.row_ends(text, scanned)
        if ends:
            yield _block(text, ends)
        end = ends[-1] if ends else 0
        scanned = text.rfind(b"\n") + 1 - end if b"\n" in text[end:] else 0
        tail = text[end:]
        if len(tail) > RECORD_LIMIT:
            raise ObjectError(uri, "RECORD_TOO_LARGE", f"a row exceeds {RECORD_LIMIT >> 20} MB: is a quote left open?")
    if tail.strip(b"\r\n"):
        yield _block(tail, [len(tail) + 1])


def _block(text: bytes, ends: list[int]) -> Block:
    starts = [0, *ends[:-1]]
    rows = (text[start : end - 1].removesuffix(b"\r") for start, end in zip(starts, ends))
    kept = [row for row in rows if row]
    return Block(text[: ends[-1]], lambda _: kept)


class _Quotes:
    """Follows quoted cells over line ends; a quote opens a cell only as its first character (RFC 4180, 2.5)."""

    def __init__(self, delimiter: bytes) -> None:
        mark = re.escape(delimiter)
        self._clean = re.compile(rb'(?:"[^"]*"|[^"%b]*)(?:%b(?:"[^"]*"|[^"%b]*))*\r?' % (mark, mark, mark))
        self._cell = re.compile(rb'"[^"]*(?:""[^"]*)*"(?!")[^%b]*|(?!")[^%b]*' % (mark, mark))
        self._rest = re.compile(rb'[^"]*(?:""[^"]*)*"(?!")[^%b]*' % mark)
        self._open = False

    def row_ends(self, text: bytes, scanned: int) -> list[int]:
        """Returns the positions after the line ends of ``text`` from ``scanned`` on that end a row."""
        ends = []
        position = scanned
        quoted = b'"' in text
        for line in text[scanned:].split(b"\n")[:-1]:
            position += len(line) + 1
            if quoted and (self._open or b'"' in line):
                self._open = self._ends_open(line)
            if not self._open:
                ends.append(position)
        return ends

    def _ends_open(self, line: bytes) -> bool:
        if not self._open and self._clean.fullmatch(line):
            return False
        cell = self._rest.match(line) if self._open else self._cell.match(line)
        while cell is not None and cell.end() < len(line):
            cell = self._cell.match(line, cell.end() + 1)
        return cell is None
