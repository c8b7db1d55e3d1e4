"""Staged rows as the bytes that COPY takes, made by the column and not by the value: Python touches no single row.

Formats: PostgreSQL, "COPY", sections "Text Format" and "Binary Format"; the binary form of each type is that of its
``recv`` function. Called by the tasks that load.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg.types.numeric import DecimalBinaryDumper

from tallymark.bulkload.columns import Column

BINARY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
BINARY_TRAILER = b"\xff\xff"

_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))
_NULL = b"\xff\xff\xff\xff"
_EPOCH_DAYS = 10_957  # from 1970 to 2000, where PostgreSQL counts from
_EPOCH_MICROSECONDS = _EPOCH_DAYS * 86_400_000_000
_NUMERIC = DecimalBinaryDumper(Decimal)


def copy_text(batch: pa.RecordBatch) -> memoryview:
    """Returns the rows for ``COPY ... FROM STDIN``.

    >>> bytes(copy_text(pa.RecordBatch.from_pydict({"a": [1, None], "b": ["x\\ty", ""]})))
    b'1\\tx\\\\ty\\n\\\\N\\t\\n'
    """
    fields = [_escaped(column) for column in batch.columns]
    lines = pc.binary_join_element_wise(*fields, "\t", null_handling="replace", null_replacement="\\N")
    return _content(pc.binary_join_element_wise(lines, "", "\n"))


def copy_binary(batch: pa.RecordBatch, columns: tuple[Column, ...]) -> memoryview:
    """Returns the rows for ``COPY ... (FORMAT binary)``, without header and trailer."""
    count = pa.scalar(len(columns).to_bytes(2, "big"), pa.binary())
    fields = [_BINARY[column.type.name](values) for column, values in zip(columns, batch.columns)]
    return _content(pc.binary_join_element_wise(pa.repeat(count, len(batch)), *fields, pa.scalar(b"", pa.binary())))


def _escaped(column: pa.Array) -> pa.Array:
    if not pa.types.is_string(column.type):
        return column.cast(pa.string())
    content = bytes(_content(column))  # to look into each value takes as long as all the rest
    for special, escape in _ESCAPES:
        if special.encode() in content:
            column = pc.replace_substring(column, special, escape)
    return column


def _content(values: pa.Array) -> memoryview:
    """Returns the values one after another, as they lie in memory."""
    _, offsets, content = values.buffers()
    ends = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    return memoryview(content or b"")[ends[0] : ends[-1]]


def _fixed(values: np.ndarray[Any, Any], valid: pa.Array) -> pa.Array:
    """Returns numbers with their length before them."""
    rows = np.empty(len(values), np.dtype([("length", ">i4"), ("value", values.dtype.newbyteorder(">"))]))
    rows["length"], rows["value"] = values.dtype.itemsize, values
    content = pa.Array.from_buffers(pa.binary(rows.dtype.itemsize), len(rows), [None, pa.py_buffer(rows.tobytes())])
    return pc.if_else(valid, content.cast(pa.binary()), pa.scalar(_NULL, pa.binary()))


def _number(zero: object, kind: str) -> Callable[[pa.Array], pa.Array]:
    def encode(values: pa.Array) -> pa.Array:
        return _fixed(pc.fill_null(values, zero).to_numpy(zero_copy_only=False).astype(kind), values.is_valid())

    return encode


def _varying(values: pa.Array, prefix: bytes = b"") -> pa.Array:
    """Returns texts or bytes with their length before them."""
    content = values.cast(pa.binary())
    lengths = pc.add(pc.binary_length(content), len(prefix)).fill_null(-1).to_numpy(zero_copy_only=False)
    before = pa.Array.from_buffers(
        pa.binary(4), len(values), [None, pa.py_buffer(lengths.astype(">i4").tobytes())]
    ).cast(pa.binary())
    head = pc.if_else(values.is_valid(), pa.scalar(prefix, pa.binary()), pa.scalar(b"", pa.binary()))
    empty = pa.scalar(b"", pa.binary())
    return pc.binary_join_element_wise(before, head, pc.fill_null(content, b""), empty)


def _moments(kind: pa.DataType, integer: str, epoch: int) -> Callable[[pa.Array], pa.Array]:
    """Returns what turns dates or times as text into a count from PostgreSQL's epoch; infinity is its largest."""
    number = np.dtype(integer)
    limits = np.iinfo(number)

    def encode(values: pa.Array) -> pa.Array:
        after, before = (
            pc.fill_null(pc.equal(values, "infinity"), False),
            pc.fill_null(pc.equal(values, "-infinity"), False),
        )
        plain = pc.if_else(pc.or_(after, before), pa.scalar(None, pa.string()), values)
        counts = plain.cast(kind).cast(pa.int32() if limits.bits == 32 else pa.int64())
        shifted = pc.fill_null(counts, epoch).to_numpy(zero_copy_only=False).astype(number) - number.type(epoch)
        for chosen, limit in ((after, limits.max), (before, limits.min)):
            shifted[chosen.to_numpy(zero_copy_only=False)] = limit
        return _fixed(shifted, values.is_valid())

    return encode


def _numeric(values: pa.Array) -> pa.Array:
    dumped = [None if text is None else bytes(_NUMERIC.dump(Decimal(text)) or b"") for text in values.to_pylist()]
    return _varying(pa.array(dumped, pa.binary()))


def _uuid(values: pa.Array) -> pa.Array:
    return _varying(
        pa.array(
            [None if text is None else bytes.fromhex(text.replace("-", "")) for text in values.to_pylist()], pa.binary()
        )
    )


_BINARY: dict[str, Callable[[pa.Array], pa.Array]] = {
    "smallint": _number(0, "i2"),
    "integer": _number(0, "i4"),
    "bigint": _number(0, "i8"),
    "double precision": _number(0.0, "f8"),
    "boolean": _number(False, "i1"),
    "text": _varying,
    "varchar": _varying,
    "jsonb": lambda values: _varying(values, b"\x01"),
    "numeric": _numeric,
    "date": _moments(pa.date32(), "i4", _EPOCH_DAYS),
    "timestamp": _moments(pa.timestamp("us"), "i8", _EPOCH_MICROSECONDS),
    "timestamptz": _moments(pa.timestamp("us", "UTC"), "i8", _EPOCH_MICROSECONDS),
    "uuid": _uuid,
}
