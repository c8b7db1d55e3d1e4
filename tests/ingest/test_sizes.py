"""What each form of the same records takes: the order of the published figures."""

from __future__ import annotations

import gzip
import json
import random

import pytest

from tallymark.ingest.compact import Dictionary
from tallymark.ingest.plaintext import read_fields
from tallymark.ingest.record import LogRecord, to_record
from tallymark.ingest.sizes import measure

DICTIONARY = Dictionary({"GET": 1, "POST": 2}, {"/api/products/product/": 1})


def records(count: int) -> list[tuple[bytes, LogRecord]]:
    """Records of one minute of a service with few users and one url, written as Python writes a dictionary."""
    rng = random.Random(7)
    users = [rng.randbytes(32).hex() for _ in range(8)]
    found = []
    for number in range(count):
        fields = {
            "user_id": rng.choice(users),
            "record_id": number,
            "method": rng.choice(["GET", "POST"]),
            "url": "/api/products/product/",
            "inDate": f"2023-03-17T14:01:{number * 60 // count:02}.{rng.randrange(10**6):06}",
        }
        plain = repr(fields | {"record_id": f"{rng.randrange(16**8):08x}"}).encode()
        found.append((plain, to_record(read_fields(plain))))
    return found


def test_a_hundred_records_are_compared_in_every_form() -> None:
    """The published figures: about 14 % saved by the short forms, far more by gzip, most by both."""
    of = {size.form: size for size in measure(records(100), DICTIONARY)}

    assert list(of) == [
        "original",
        "compacted",
        "gzip",
        "compacted + gzip",
        "zstd",
        "compacted + zstd",
        "Parquet",
    ]
    assert of["original"].saved == 0
    assert of["compacted"].saved > 10
    assert of["compacted"].saved < of["gzip"].saved < of["compacted + gzip"].saved
    assert of["zstd"].saved < of["compacted + zstd"].saved


def test_the_bytes_are_those_of_lines() -> None:
    (plain, record), *_ = records(1)
    more = plain[:-1] + b", 'more': [1, None]}"
    of = {size.form: size for size in measure([(plain, record), (more, to_record(read_fields(more)))], DICTIONARY)}

    original = plain + b"\n" + more + b"\n"
    assert of["original"].bytes == len(original)
    assert of["gzip"].bytes == len(gzip.compress(original, 6, mtime=0))
    short = {"record_id": record.record_id, "user_id": "x" * 44, "method": 1, "url": 1, "inDate": "2" * 18}
    lines = [json.dumps(line, separators=(",", ":")) for line in (short, short | {"extra": {"more": "[1,null]"}})]
    assert of["compacted"].bytes == sum(len(line) + 1 for line in lines)
    assert of["compacted"].saved == pytest.approx(100 - 100 * of["compacted"].bytes / len(original))


def test_no_records_take_nothing() -> None:
    assert [size.bytes for size in measure([], DICTIONARY)[:2]] == [0, 0]
