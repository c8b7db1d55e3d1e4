"""The columns of the tables of `ingest`, and the words in them. They are a contract: readers rely on them."""

from __future__ import annotations

import pyarrow as pa

FIELDS = ("record_id", "user_id", "method", "url", "inDate")
"""The fields that a record is known by. Whatever else it has is kept in `extra`."""

LOGS = pa.schema(
    [
        *((name, pa.string()) for name in FIELDS),
        ("event_time", pa.timestamp("us", "UTC")),  # what inDate means; without an offset it is UTC
        ("extra", pa.map_(pa.string(), pa.string())),  # other fields: name -> JSON text; null if there are none
        ("not_text", pa.string()),  # known fields that are no JSON string: JSON object name -> value; mostly null
        ("dt", pa.string()),  # YYYY-MM-DD and HH of event_time: the partition
        ("hour", pa.string()),
    ]
)
PARTITION = ("dt", "hour")

QUARANTINE = pa.schema(
    [
        ("digest", pa.string()),  # SHA-256 of the token (of the raw item where it has none): one row per bad record
        ("ciphertext", pa.string()),  # the token as it came, or, where `sealed`, what came, under the newest key
        ("sealed", pa.bool_()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("source", pa.string()),  # the object that it came in
    ]
)

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

RUNS = pa.schema(
    [
        ("run_id", pa.string()),
        ("run_time", pa.string()),
        ("status", pa.string()),  # COMPLETE, INCOMPLETE, REFUSED
        ("source", pa.string()),
        ("since", pa.string()),  # the window of an API
        ("until", pa.string()),
        ("watermark", pa.string()),  # where the next window starts, less the overlap
        ("extracted", pa.int64()),
        ("written", pa.int64()),
        ("duplicates", pa.int64()),
        ("quarantined", pa.int64()),
        ("conflicts", pa.int64()),
        ("reasons", pa.string()),  # reason -> count, as JSON
        ("hours", pa.string()),  # dt=.../hour=... -> counts, as JSON
        ("errors", pa.string()),  # objects that could not be read, as JSON
        ("table_version", pa.int64()),  # of `logs`, all of which is published; null if nothing was committed
        ("published_objects", pa.int64()),  # null where a later run had to publish
        ("seconds", pa.float64()),
        ("exit_code", pa.int32()),
    ]
)
