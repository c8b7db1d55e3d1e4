"""A log record: the known fields checked, its hour, and everything else that it has, kept as it came."""

from __future__ import annotations

import json
from typing import NamedTuple

from tallymark.ingest.event_time import read_epoch, read_time
from tallymark.ingest.plaintext import Value
from tallymark.ingest.tables import FIELDS, Rejected

_NUMBERS = ("record_id", "inDate")  # these may also be JSON numbers


class LogRecord(NamedTuple):
    """One row of `logs`; ``event_time`` in microseconds since 1970, ``extra`` and ``not_text`` as JSON objects."""

    record_id: str
    user_id: str | None
    method: str | None
    url: str | None
    inDate: str  # noqa: N815 - the name of the field
    event_time: int
    extra: str | None
    not_text: str | None
    dt: str
    hour: str


def to_record(fields: dict[str, Value], optional: frozenset[str] = frozenset()) -> LogRecord:
    """Check the fields and take them apart; raise Rejected missing_field, wrong_type or bad_time.

    Args:
        fields: as `plaintext.read_fields` gives them; emptied.
        optional: known fields that may be missing or null.
    """
    not_text: dict[str, str] = {}
    texts = [
        value if type(value := fields.pop(name, None)) is str else _other(name, value, name in optional, not_text)
        for name in FIELDS
    ]
    record_id, user_id, method, url, in_date = texts
    if not record_id or in_date is None:
        raise Rejected("missing_field")
    event_time, dt, hour = read_epoch(in_date) if "inDate" in not_text else read_time(in_date)
    return LogRecord(
        record_id,
        user_id,
        method,
        url,
        in_date,
        event_time,
        _as_json(fields) if fields else None,
        json.dumps(not_text, sort_keys=True) if not_text else None,
        dt,
        hour,
    )


def _other(name: str, value: Value | None, may_lack: bool, not_text: dict[str, str]) -> str | None:
    """Return the text of a known field that is no text, noted in ``not_text`` as the JSON that it was."""
    if value is None and may_lack:
        return None
    if value is None:
        raise Rejected("missing_field")
    json_text = value.decode() if isinstance(value, bytes) else value
    if json_text == "null" and may_lack:
        not_text[name] = json_text
        return None
    if name not in _NUMBERS or json_text[0] not in "-0123456789":
        raise Rejected("wrong_type")
    not_text[name] = json_text
    return json_text


def _as_json(fields: dict[str, Value]) -> str:
    """Write name -> JSON text as a JSON object, in the order of the names: equal fields give equal text."""
    return json.dumps({name: _json_text(fields[name]) for name in sorted(fields)}, ensure_ascii=False)


def _json_text(value: Value) -> str:
    return value.decode() if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False)
