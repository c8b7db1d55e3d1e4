"""A decoding task, without Spark: T7, T10, T11. Whatever comes, each item becomes one row."""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.fernet import Fernet

from tallymark.ingest.tables import QUARANTINE
from tallymark.ingest.tokens import Keys, digest
from tallymark.ingest.travelling import TRAVELLING
from tallymark.ingest.usual_records import usual_records
from tallymark.io.objects import ObjectStore
from tallymark.runs.ingest import decode_items
from tallymark.runs.ingest.decode_items import Decoding, decode, token_of

KEY, LOST = (base64.urlsafe_b64encode(bytes([number]) * 32).decode() for number in (1, 2))
KEYS = Keys([KEY])
RECORD = {"user_id": "u", "record_id": "r", "method": "GET", "url": "/a", "inDate": "2023-03-17T14:01:02.123456"}
Rows = list[dict[str, Any]]


@dataclass
class Broadcast:
    value: list[bytes]


def token(plain: bytes, key: str = KEY) -> str:
    return Fernet(key).encrypt(plain).decode()


def good(record_id: str) -> str:
    return token(repr(RECORD | {"record_id": record_id}).encode())


def decoded(folder: Path, keys: Keys = KEYS, quarantined: bool = False) -> tuple[Rows, dict[str, Any]]:
    """The rows of one task that reads the folder, and what it counted."""
    store = ObjectStore()
    tasks = Broadcast([pickle.dumps(list(enumerate(store.list_objects(str(folder)))))])
    batches = list(
        decode(iter([pa.RecordBatch.from_pydict({"id": [0]})]), tasks, Decoding(store, keys, frozenset(), quarantined))
    )
    assert all(batch.schema == TRAVELLING for batch in batches)
    *rows, counted = [row for batch in batches for row in batch.to_pylist()]
    assert counted["place"] == "counted"
    return rows, json.loads(counted["note"])


def write(folder: Path, *items: Any, name: str = "page.json") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(list(items)))
    return folder


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"data": "abc"}', "abc"),
        (b'"abc"', "abc"),
        (b'{"id": 1, "data": "\\u0061bc", "more": [1]}', "abc"),
        (b'{"data": null}', None),
        (b'{"data": 7}', None),
        (b'{"data": ["abc"]}', None),
        (b'{"Data": "abc"}', None),
        (b"{}", None),
        (b"[]", None),
        (b"null", None),
        (b'{"data": "abc"', None),
        (b'{"data": "\xff"}', None),
        (b'{"data": "\\ud800"}', None),
        (b"[" * 100_000, None),
        (b"", None),
    ],
)
def test_the_token_of_an_item_is_its_data_or_the_item_itself(raw: bytes, expected: str | None) -> None:
    assert token_of(raw) == expected


BAD = {
    "None": (None, "no_token", True),
    "nothing": ("", "malformed_token", True),
    "not ASCII": ("é", "malformed_token", True),
    "cut": (good("x")[:-3], "malformed_token", True),
    "a flipped bit": (good("x")[:50] + ("A" if good("x")[50] != "A" else "B") + good("x")[51:], "unknown_key", False),
    "a lost key": (token(b"{}", LOST), "unknown_key", False),
    "invalid UTF-8": (token(b"\xff"), "not_utf8", False),
    "cut text": (token(b"[1"), "unparsable", False),
    "deep nesting": (token(b"[" * 100_000), "too_deep", False),
    "a large body": (token(bytes((1 << 20) + 1)), "too_large", False),
    "a call": (token(b"__import__('os').system('touch X')"), "unparsable", False),
    "a text in clear": ("{'user_id': 'PLAINTEXT'}", "malformed_token", True),
}


def test_poison_becomes_rejected_rows_and_the_others_go_on(tmp_path: Path) -> None:
    """T7. What was not encrypted goes to quarantine under our key (T11), what was as it came."""
    tokens = [data for data, _, _ in BAD.values()]
    folder = write(tmp_path / "in", {"data": good("a")}, *({"data": data} for data in tokens), good("b"), 7)

    rows, note = decoded(folder)
    assert note == {"extracted": len(BAD) + 3, "errors": []}
    assert [(row["place"], row["key"], row["position"]) for row in rows if row["reason"] is None] == [
        ("dt=2023-03-17/hour=14", "a", 1),
        ("dt=2023-03-17/hour=14", "b", len(BAD) + 2),
    ]
    rejected = [row for row in rows if row["place"] == "quarantine"]
    assert [(row["reason"], row["sealed"]) for row in rejected] == [
        *((reason, sealed) for _, reason, sealed in BAD.values()),
        ("no_token", True),
    ]
    assert {row["source"] for row in rejected} == {str(folder / "page.json")}
    assert "PLAINTEXT" not in json.dumps(rows)
    for row, data in zip(rejected, tokens):
        raw = json.dumps({"data": data}).encode()
        if row["sealed"]:
            assert (KEYS.decrypt(row["ciphertext"]), row["key"]) == (raw, digest(raw))
        else:
            assert (row["ciphertext"], row["key"]) == (data, digest(str(data)))


def test_rows_are_sent_on_by_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_items, "_BATCH_BYTES", 1_000)
    sent: list[int] = []
    as_it_is = usual_records

    def noted(plains: Sequence[bytes | None]) -> tuple[list[pa.RecordBatch], list[int]]:
        sent.append(len(plains))
        return as_it_is(plains)

    monkeypatch.setattr(decode_items, "usual_records", noted)
    rows, _ = decoded(write(tmp_path / "in", *(good(str(number)) for number in range(10))))
    assert [row["key"] for row in rows] == [str(number) for number in range(10)]
    assert max(sent) <= 5
    assert sum(sent) == 10


def test_an_object_that_is_cut_is_an_error_and_the_others_are_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", good("a"), name="1.json")
    (folder / "2.json").write_text(json.dumps([good("b"), good("c")])[:-20])
    write(folder, good("d"), name="3.json")

    rows, note = decoded(folder)
    assert [row["key"] for row in rows if row["reason"] is None] == ["a", "b", "d"]
    assert [(uri, reason) for uri, reason, _ in note["errors"]] == [(str(folder / "2.json"), "CUT_ARRAY")]
    assert note["extracted"] == len(rows)


def test_a_position_is_above_all_of_the_object_before(tmp_path: Path) -> None:
    """So the first of two equal ids is the same one in every run."""
    folder = write(tmp_path / "in", good("a"), good("b"), name="1.json")
    rows, _ = decoded(write(folder, good("c"), name="2.json"))

    assert [row["position"] for row in rows] == [1, 2, (1 << 40) + 1]


def test_the_quarantine_is_read_again(tmp_path: Path) -> None:
    """T10, T11: a key that is back opens its records; what stays bad is the same row as before."""
    rejected, _ = decoded(write(tmp_path / "in", token(repr(RECORD).encode(), LOST), 7, "in clear"))
    columns = {name: [row.get({"digest": "key"}.get(name, name)) for row in rejected] for name in QUARANTINE.names}
    (tmp_path / "quarantine").mkdir()
    pq.write_table(pa.table(columns, schema=QUARANTINE), tmp_path / "quarantine" / "a.parquet")

    rows, note = decoded(tmp_path / "quarantine", Keys([LOST, KEY]), quarantined=True)
    assert note == {"extracted": 3, "errors": []}
    assert [(row["key"], row["reason"]) for row in rows] == [
        ("r", None),
        *((row["key"], row["reason"]) for row in rejected[1:]),
    ]
    still = decoded(tmp_path / "quarantine", Keys([KEY]), quarantined=True)[0]
    assert [(row["key"], row["reason"], row["source"]) for row in still] == [
        (row["key"], row["reason"], row["source"]) for row in rejected
    ]
