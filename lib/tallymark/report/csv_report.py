"""Writes the cumulative CSV reports: the rows of earlier runs, then the rows of this one.

RFC 4180 in UTF-8 with `\\n` row ends. Text is quoted, an absent value is an empty cell without quotes, list
columns are joined by `; `. **Formula guard:** a text that starts with `=`, `+`, `-`, `@`, their full-width forms, TAB,
CR or LF would be run as a formula by a spreadsheet (CSV injection, OWASP), so it gets a leading `'`. Numbers stay as
they are. The exact text is in the Delta tables. Called by the reconcile job, which moves the written file into place.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from itertools import compress
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from tallymark.errors import ConfigError
from tallymark.report.earlier_rows import blocks, read_columns, rows
from tallymark.report.legible import FORMULA

_LOG = logging.getLogger(__name__)
_BOM = b"\xef\xbb\xbf"
_HEADER_LIMIT = 1 << 16


def append_csv(
    batches: Iterable[pa.RecordBatch], columns: Collection[str], run_id: str, target: Path, previous: Path | None
) -> int:
    """Writes header, earlier rows and new rows to ``target``; returns the number of new rows.

    Rows of ``previous`` with this ``run_id`` are left out, so a run that is repeated doubles nothing; the others are
    copied byte for byte. A ``previous`` with another header is mapped by column names where one header contains the
    other and both have ``run_id``: a column that it lacks stays empty, one that we lack is dropped with a warning.

    Raises:
        ConfigError: ``previous`` is cut off or not a report of ours; nothing is left at ``target``.
    """
    names = tuple(columns)
    if previous is not None and previous.resolve() == target.resolve():
        raise ValueError(f"{target} cannot be read and written at the same time")
    try:
        with target.open("wb") as file:
            file.write(_header(names))
            if previous is not None:
                with previous.open("rb") as earlier:
                    _copy(earlier, previous, names, run_id, file)
            return _append(batches, names, file)
    except BaseException:  # Ctrl-C too must leave no half-written file
        target.unlink(missing_ok=True)
        raise


def _header(names: tuple[str, ...]) -> bytes:
    return ",".join(names).encode() + b"\n"


def _append(batches: Iterable[pa.RecordBatch], names: tuple[str, ...], file: BinaryIO) -> int:
    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    count = 0
    for batch in batches:
        if batch.num_rows:
            table = pa.RecordBatch.from_arrays([_printable(batch.column(name)) for name in names], names=list(names))
            csv.write_csv(table, file, options)
            count += batch.num_rows
    return count


def _printable(values: pa.Array) -> pa.Array:
    """Returns numbers as they are, text guarded, and lists as guarded text."""
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        values = pc.binary_join(values, "; ")
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return values
    formulas = pc.match_substring_regex(values, FORMULA)
    if not pc.any(formulas).as_py():
        return values
    return pc.if_else(formulas, pc.binary_join_element_wise("'", values, ""), values)


def _copy(earlier: BinaryIO, path: Path, names: tuple[str, ...], run_id: str, file: BinaryIO) -> None:
    """Copies the rows of other runs; raises ConfigError where they cannot be told for certain."""
    header = earlier.readline(_HEADER_LIMIT)
    if not header:
        return
    try:
        if header.rstrip(b"\n") + b"\n" == _header(names):
            _copy_same(earlier, names, run_id, file)
        else:
            _copy_mapped(earlier, _columns_of(header, names), names, run_id, file)
    except ValueError as error:
        raise ConfigError(
            f"{path} cannot be continued: {error}. It was left untouched; "
            "move it elsewhere (or restore it) and run again: a new one is then started."
        ) from error


def _columns_of(header: bytes, names: tuple[str, ...]) -> list[str]:
    text = header.removeprefix(_BOM).rstrip(b"\r\n").decode("utf-8", "replace")
    found = [name.removeprefix('"').removesuffix('"') for name in text.split(",")]
    if "run_id" not in found or len(set(found)) != len(found):
        raise ValueError("its first line is not the header of this report")
    if not (set(found) <= set(names) or set(found) >= set(names)):
        raise ValueError(f"it has columns of another report ({', '.join(sorted(set(found) - set(names)))})")
    dropped = [name for name in found if name not in names]
    if dropped:
        _LOG.warning("the earlier CSV has columns that this version does not write: %s", ", ".join(dropped))
    return found


def _copy_same(earlier: BinaryIO, names: tuple[str, ...], run_id: str, file: BinaryIO) -> None:
    """Copies whole blocks, and looks into rows only where the run id occurs as bytes."""
    written = run_id.encode().replace(b'"', b'""')
    for block in blocks(earlier):
        if written not in block:
            file.write(block)
            continue
        others = _others(read_columns(block, names, ["run_id"]), run_id).to_pylist()
        parts = [row for row in rows(block) if row != b"\n"]
        if len(parts) != len(others):
            raise ValueError("its rows cannot be told apart")
        file.write(b"".join(compress(parts, others)))


def _copy_mapped(earlier: BinaryIO, found: list[str], names: tuple[str, ...], run_id: str, file: BinaryIO) -> None:
    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    for block in blocks(earlier):
        table = read_columns(block, found, [name for name in names if name in found])
        for name in names:
            if name not in found:
                table = table.append_column(name, pa.nulls(len(table), pa.binary()))
        csv.write_csv(table.filter(_others(table, run_id)).select(names), file, options)


def _others(table: pa.Table, run_id: str) -> pa.ChunkedArray:
    """Tells for each row whether it is of another run."""
    own = _printable(pa.array([run_id]))[0].as_py().encode()
    return pc.fill_null(pc.not_equal(table.column("run_id"), own), True)
