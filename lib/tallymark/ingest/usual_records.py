"""Records of the usual form, a batch at a time: exactly the five fields, their texts, and a time with microseconds.

A batch of such texts becomes columns without one Python object per field. What is taken here is what the exact way
(`plaintext`, `record`) would have said; whatever might differ is left to it:

- Each text ends with a brace, and none of its fields is an object: a row ends where a text does. As many rows as texts
  are one of each.
- Arrow refuses any name but the five and a name that comes twice, and there are as many quotes as five names and their
  texts need: all five are there. (An escaped quote is one too many, unless one of the five is no text.)
- Single quotes alone, and so none inside a text, and no backslash: with double ones the Python dictionary is JSON.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from tallymark.ingest.tables import FIELDS
from tallymark.ingest.travelling import travelling_batch

_TEXTS = pa.schema([(name, pa.string()) for name in FIELDS])
_NUMBERED = _TEXTS.set(0, pa.field("record_id", pa.int64()))
_FORMS = {4 * len(FIELDS): _TEXTS, 4 * len(FIELDS) - 2: _NUMBERED}
"""Quotes of a record -> its fields: all are texts, or all but a whole number as the id."""
_FEW = 32
"""Texts that are rather read one by one than halved once more."""
_TIME = r"^20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}$"


def usual_records(plains: Sequence[bytes | None]) -> tuple[list[pa.RecordBatch], list[int]]:
    """Return what is of the usual form as batches of TRAVELLING, and the numbers of all other texts.

    The column `position` holds the number of the text.
    """
    texts: dict[int, list[bytes]] = {quotes: [] for quotes in _FORMS}
    numbers: dict[int, list[int]] = {quotes: [] for quotes in _FORMS}
    others: list[int] = []
    for number, plain in enumerate(plains):
        text = plain or b""
        if b'"' not in text and b"\\" not in text:
            text = text.replace(b"'", b'"')
        quotes = text.count(b'"')
        if quotes in _FORMS and text.endswith(b"}"):
            texts[quotes].append(text)
            numbers[quotes].append(number)
        else:
            others.append(number)
    batches: list[pa.RecordBatch] = []
    for quotes, schema in _FORMS.items():
        others += _add_usual(batches, texts[quotes], numbers[quotes], schema)
    return batches, others


def _add_usual(batches: list[pa.RecordBatch], texts: list[bytes], numbers: list[int], schema: pa.Schema) -> list[int]:
    """Add what is usual to the batches and return the numbers of the rest; one text spoils only those around it."""
    try:
        batch, others = _read(texts, pa.array(numbers, pa.int64()), schema)
    except pa.ArrowInvalid:  # no JSON, a name that is none of the five, no UTF-8, the 30th of February
        if len(texts) <= _FEW:
            return numbers
        half = len(texts) // 2
        return [
            *_add_usual(batches, texts[:half], numbers[:half], schema),
            *_add_usual(batches, texts[half:], numbers[half:], schema),
        ]
    batches.append(batch)
    return others


def _read(texts: list[bytes], numbers: pa.Array, schema: pa.Schema) -> tuple[pa.RecordBatch, list[int]]:
    """Return the records of the texts, and the numbers of those whose values are not the usual ones.

    Raises:
        pa.ArrowInvalid: one of the texts is no such record.
    """
    rows = schema.empty_table()
    if texts:
        lines = b"\n".join(texts)
        options = pj.ReadOptions(use_threads=False, block_size=len(lines) + 1)
        form = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
        rows = pj.read_json(io.BytesIO(lines), options, form).select(schema.names)
        rows.validate(full=True)  # that it is UTF-8
    ids = rows["record_id"]
    is_usual = pc.match_substring_regex(rows["inDate"], _TIME)
    # An empty id is none, and -0 a number of another text than 0.
    is_usual = pc.and_(is_usual, pc.greater(ids if schema is _NUMBERED else pc.binary_length(ids), 0))
    is_usual = is_usual.combine_chunks()
    # Refused where there are not as many rows as numbers.
    return _travelling(rows.filter(is_usual), numbers.filter(is_usual)), numbers.filter(pc.invert(is_usual)).to_pylist()


def _travelling(rows: pa.Table, numbers: pa.Array) -> pa.RecordBatch:
    fields = {name: rows[name].combine_chunks() for name in rows.column_names}
    ids, time = fields.pop("record_id"), fields["inDate"]
    if ids.type == pa.int64():
        ids = ids.cast(pa.string())
        fields["not_text"] = pc.binary_join_element_wise('{"record_id": "', ids, '"}', "")
    day, hour = pc.utf8_slice_codeunits(time, 0, 10), pc.utf8_slice_codeunits(time, 11, 13)
    return travelling_batch(
        fields
        | {
            "place": pc.binary_join_element_wise("dt=", day, "/hour=", hour, ""),
            "key": ids,
            "position": numbers,
            "event_time": time.cast(pa.timestamp("us")).cast(pa.int64()),
        },
        len(numbers),
    )
