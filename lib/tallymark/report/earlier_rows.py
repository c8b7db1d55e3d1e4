"""Reads an earlier CSV report in blocks of whole rows, to copy its bytes or to take its columns.

RFC 4180: a newline between quotes belongs to the value. Called by `csv_report`; splitting the user's own CSV
objects is the business of `tallymark.reconcile`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
from pyarrow import csv

_BLOCK = 4 << 20


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yields what is left of the file in blocks of whole rows, each ending in a newline.

    Raises:
        ValueError: the file ends inside a quoted value.
    """
    rest = b""
    while chunk := file.read(_BLOCK):
        rest += chunk
        end = _last_row_end(rest)
        if end:
            yield rest[:end]
            rest = rest[end:]
    if rest.count(b'"') % 2:
        raise ValueError("it ends inside a quoted value")
    if rest:
        yield rest if rest.endswith(b"\n") else rest + b"\n"


def _last_row_end(text: bytes) -> int:
    quotes = text.count(b'"')
    end = len(text)
    while (newline := text.rfind(b"\n", 0, end)) >= 0:
        quotes -= text.count(b'"', newline, end)
        if quotes % 2 == 0:
            return newline + 1
        end = newline
    return 0


def rows(block: bytes) -> Iterator[bytes]:
    r"""Yields the rows of a block, each with its newline.

    >>> list(rows(b'1,a\n2,"b\nc"\n'))
    [b'1,a\n', b'2,"b\nc"\n']
    """
    row: list[bytes] = []
    inside = False
    for line in block.split(b"\n")[:-1]:
        row.append(line + b"\n")
        inside ^= line.count(b'"') % 2 == 1
        if not inside:
            yield b"".join(row)
            row = []


def read_columns(block: bytes, header: Sequence[str], wanted: Sequence[str]) -> pa.Table:
    r"""Returns the wanted columns of a block as bytes; an empty cell without quotes is null.

    Raises:
        ValueError: a row has another number of cells than the header.

    >>> read_columns(b'1,"a"\n,""\n', ["count", "run_id"], ["run_id", "count"]).to_pydict()
    {'run_id': [b'a', b''], 'count': [b'1', None]}
    """
    try:
        return csv.read_csv(
            pa.BufferReader(block),
            csv.ReadOptions(use_threads=False, column_names=list(header), block_size=len(block) + 1),
            csv.ParseOptions(newlines_in_values=True),
            csv.ConvertOptions(
                column_types={name: pa.binary() for name in header},
                include_columns=list(wanted),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        # Its message quotes the row, and records do not belong into messages.
        raise ValueError(f"a row has not the {len(header)} columns of the header") from None
