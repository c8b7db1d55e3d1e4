"""The columns of the tables of `ingest`, and the words in them. They are a contract: readers rely on them."""

from __future__ import annotations

from tallymark.columns import Column, arrow_schema

FIELDS = ("record_id", "user_id", "method", "url", "inDate")
"""The fields that a record is known by. Whatever else it has is kept in `extra`."""

_OPTIONAL = "where the record lacks it and may"

LOGS = arrow_schema(
    {
        "record_id": Column("string", "the field of that name, as it came; one row for each id in an hour"),
        "user_id": Column("string", "the field of that name, as it came", _OPTIONAL),
        "method": Column("string", "the field of that name, as it came", _OPTIONAL),
        "url": Column("string", "the field of that name, as it came", _OPTIONAL),
        "inDate": Column("string", "the field of that name, as it came"),
        "event_time": Column("timestamp", "what inDate means, microseconds in UTC; without an offset it is UTC"),
        "extra": Column("map<string,string>", "the other fields of the record: name -> JSON text", "if there are none"),
        "not_text": Column("string", "known fields that came as a JSON number: a JSON object", "if all are text"),
        "dt": Column("string", "day of event_time in UTC, YYYY-MM-DD; partition"),
        "hour": Column("string", "hour of event_time in UTC, 00 to 23; partition"),
    }
)
"""One row a record, in the hour that it belongs to."""

PARTITION = ("dt", "hour")

QUARANTINE = arrow_schema(
    {
        "digest": Column("string", "SHA-256 of the token, or of the raw item where it has none, in hex"),
        "ciphertext": Column("string", "the token as it came, or, where sealed, what came, under the newest key"),
        "sealed": Column("boolean", "whether the job encrypted it: what came was no token"),
        "stage": Column("string", "what found it: item, decrypt, parse, validate or merge"),
        "reason": Column("string", "why it is no record, such as unknown_key or bad_time"),
        "source": Column("string", "object, or for a conflict the hour, that it came in"),
    }
)
"""One row an item that is no good record; never in plaintext."""

STAGES = ("item", "decrypt", "parse", "validate", "merge")
REASONS = {
    "no_token": "item",  # no JSON object with a text `data`
    "malformed_token": "decrypt",  # not the layout of a Fernet token
    "unknown_key": "decrypt",  # no key verifies it: the key is missing, or the token was damaged
    "too_large": "parse",
    "not_utf8": "parse",
    "unparsable": "parse",  # neither JSON nor a Python literal of plain values
    "not_an_object": "parse",
    "duplicate_key": "parse",
    "too_deep": "parse",
    "not_unicode": "parse",  # half of a surrogate pair: no file format can hold it
    "missing_field": "validate",
    "wrong_type": "validate",
    "bad_time": "validate",  # no ISO time or epoch, or outside of 2000 to 2099
    "conflict": "merge",  # the same record_id in the same hour with another content; the first is kept
}
"""Why a record is not in `logs` -> the stage that found it."""


class Rejected(Exception):  # noqa: N818 - it says what became of the record
    """The record goes to quarantine; ``reason`` is a key of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


COMPLETE = "COMPLETE"
INCOMPLETE = "INCOMPLETE"  # an object could not be read to its end; the rest is in
REFUSED = "REFUSED"  # more bad records than the budget: nothing was committed

_NOT_COMMITTED = "where nothing was committed"
_TAKEN_OVER = "where a later run had to publish for it"

RUNS = arrow_schema(
    {
        "run_id": Column("string", "name of the run"),
        "run_time": Column("string", "when the run began, ISO 8601 in UTC"),
        "status": Column("string", "COMPLETE, INCOMPLETE (an object could not be read), REFUSED (over the budget)"),
        "source": Column("string", "URL without its query, place, or quarantine"),
        "since": Column("string", "start of the window of an API, ISO 8601 in UTC", "where no API was asked"),
        "until": Column("string", "end of the window of an API, ISO 8601 in UTC", "where no API was asked"),
        "watermark": Column("string", "where the next window starts, less the overlap", "before the first window"),
        "extracted": Column("bigint", "items that came: written + duplicates + quarantined"),
        "written": Column("bigint", "records that are new in logs"),
        "duplicates": Column("bigint", "records that logs had already"),
        "quarantined": Column("bigint", "items that are no good record, conflicts among them"),
        "conflicts": Column("bigint", "records with an id of their hour and another content"),
        "reasons": Column("string", "quarantined items by reason, a JSON object"),
        "hours": Column("string", "dt=.../hour=... -> extracted, written, duplicates, conflicts, a JSON object"),
        "errors": Column("string", "objects that could not be read: a JSON array of object, code, detail"),
        "table_version": Column("bigint", "version of logs up to which all is published", _NOT_COMMITTED),
        "published_objects": Column("bigint", "objects that the run published", f"{_NOT_COMMITTED}, or {_TAKEN_OVER}"),
        "seconds": Column("double", "what the run took", _TAKEN_OVER),
        "exit_code": Column("int", "what the job returned: 0, 1 or 3", _TAKEN_OVER),
    }
)
"""One row a run; the account of a run is also in the commit of its data."""
