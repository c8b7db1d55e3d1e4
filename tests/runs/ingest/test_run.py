"""Whole runs over files of items: exactly once, bad records, keys that come and go, late and drifting records."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.fernet import Fernet, MultiFernet
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from table_nulls import undocumented_nulls
from tallymark.config.maintain import MaintainConfig
from tallymark.errors import ConfigError, LockedError
from tallymark.ingest.compact import Dictionary, expand
from tallymark.io.lock import hold_lock
from tallymark.io.objects import ObjectStore
from tallymark.runs.ingest.result import IngestResult
from tallymark.runs.ingest.run import ingest
from tallymark.runs.maintain.run import maintain

OLD, NEW = "b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2w=", "bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmU="
USER = "0123456789abcdef" * 4
DICTIONARY = Dictionary({"GET": 1, "POST": 2}, {"/api/products/product/": 1})

Run = Callable[..., IngestResult]


def record(number: int, time: str = "2026-03-17T10:00:00.000000", **more: Any) -> dict[str, Any]:
    return {
        "user_id": USER, "record_id": f"r{number}", "method": "GET", "url": "/api/products/product/", "inDate": time,
        **more,
    }  # fmt: skip


def token(plaintext: str | bytes | dict[str, Any], key: str = NEW) -> str:
    text = json.dumps(plaintext) if isinstance(plaintext, dict) else plaintext
    return Fernet(key).encrypt(text.encode() if isinstance(text, str) else text).decode()


@pytest.fixture
def run(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Write a list of items (tokens, or whatever `data` holds) to the input and run on it, into OUT."""
    monkeypatch.setenv("TALLYMARK_FERNET_KEYS", f"{NEW},{OLD}")
    numbers = iter(range(1000))

    def run_on(*data: Any, **options: Any) -> IngestResult:
        folder = tmp_path / f"in-{next(numbers)}"
        folder.mkdir()
        (folder / "page.json").write_text(json.dumps([{"data": item} for item in data]))
        source = {} if options.get("replay") else {"input": str(folder)}
        defaults: dict[str, Any] = {"out": str(tmp_path / "out"), "methods": DICTIONARY.methods, **source}
        return ingest(spark, **{**defaults, **options})

    return run_on


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def table(out: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = DeltaTable(out / "delta" / name).to_pyarrow_table().to_pylist()
    return rows


def hours(out: Path) -> dict[str, int]:
    """Return how many records the objects of each hour hold."""
    folder = out / "published"
    return {
        str(path.relative_to(folder)): len(gzip.decompress(path.read_bytes()).splitlines())
        for path in sorted(folder.rglob("*.gz"))
    }


def state(out: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(out.rglob("*.gz"))}


def counts(result: IngestResult) -> tuple[int, int, int, int]:
    account = result.account
    return account.extracted, account.written, account.duplicates, account.quarantined


def test_late_and_repeated_records_land_in_their_own_hour_once(run: Run, out: Path) -> None:
    """T1, T3, T5: the copy of one comes under another key, so its token is another one."""
    first = [token(record(n, f"2026-03-17T{10 + n % 2}:00:00.000000")) for n in range(10)]
    rotated = MultiFernet([Fernet(OLD), Fernet(NEW)]).rotate(first[0]).decode()
    late = [token(str(record(n, "2026-03-17T08:59:59.999999"))) for n in range(100, 105)]

    assert counts(run(*first, first[0], first[3])) == (12, 10, 2, 0)
    before = state(out)
    assert counts(run(*first, rotated)) == (11, 0, 11, 0)
    assert state(out) == before
    assert len(list((out / "delta/logs").rglob("*.parquet"))) == 2
    assert counts(run(*late, first[0], first[1])) == (7, 5, 2, 0)
    assert hours(out) == {
        "dt=2026-03-17/hour=08/logs.json.gz": 5,
        "dt=2026-03-17/hour=10/logs.json.gz": 5,
        "dt=2026-03-17/hour=11/logs.json.gz": 5,
    }
    assert {name: after for name, after in state(out).items() if name in before} == before
    assert sorted((row["table_version"], row["status"], row["extracted"]) for row in table(out, "runs")) == [
        (1, "COMPLETE", 12),
        (2, "COMPLETE", 11),
        (3, "COMPLETE", 7),
    ]


def test_upkeep_of_the_tables_changes_nothing_for_the_next_run(run: Run, out: Path, tmp_path: Path) -> None:
    """T14: joined files are not sorted by the id any more; duplicates are found in them, and hours publish the same."""
    even, odd = ([token(record(n, more=n)) for n in range(start, 40, 2)] for start in (0, 1))
    bad, late = token("[1"), [token(record(99, "2026-03-17T10:30:00.000000")), token(record(98))]
    run(*odd, bad, budget=50)
    run(*even, token(record(3)), budget=50)  # the last one contradicts
    before, records = state(out), len(table(out, "logs"))

    done = {one.table: one for one in maintain(MaintainConfig(out=str(out)), os.environ, datetime.now(timezone.utc))}

    assert (done["logs"].files_before, done["logs"].files_after, done["logs"].rows) == (2, 1, records)
    assert (done["quarantine"].files_before, done["quarantine"].files_after) == (2, 1)
    assert counts(run(*even, *odd, bad, token(record(3)), budget=50)) == (42, 0, 40, 2)
    assert (len(table(out, "logs")), len(table(out, "quarantine"))) == (40, 2)
    assert state(out) == before
    assert counts(run(*late, even[0])) == (3, 2, 1, 0)
    run(*even, *odd, *late, out=str(tmp_path / "anew"))
    assert [path.read_bytes() for path in out.rglob("*.gz")] == [
        path.read_bytes() for path in (tmp_path / "anew").rglob("*.gz")
    ]
    assert undocumented_nulls(out, "ingest") == []


def test_one_id_with_two_contents_keeps_the_first_and_shows_the_other(run: Run, out: Path) -> None:
    """T5: in one batch, and against what the table has."""
    result = run(token(record(1)), token(record(1, url="/other")), token(record(2, extra=1)))
    again = run(token(record(1, url="/third")), token(record(2, extra=2)), token(record(2, extra=1)), token(record(1)))

    assert counts(result) == (3, 2, 0, 1)
    assert counts(again) == (4, 0, 2, 2)
    assert again.account.reasons == {"conflict": 2}
    assert again.exit_code == 0
    assert [(row["record_id"], row["url"]) for row in table(out, "logs")] == [
        ("r1", "/api/products/product/"),
        ("r2", "/api/products/product/"),
    ]
    kept = [json.loads(Fernet(NEW).decrypt(row["ciphertext"])) for row in table(out, "quarantine")]
    assert sorted(kept, key=lambda row: str(row["url"] + str(row.get("extra")))) == [
        record(2, extra=2),
        record(1, url="/other"),
        record(1, url="/third"),
    ]


BAD: dict[str, Any] = {
    "none": (None, "no_token"),
    "number": (7, "no_token"),
    "empty": ("", "malformed_token"),
    "not ASCII": ("é", "malformed_token"),
    "plain text": ("{'user_id': 'SECRET-MARKER'}", "malformed_token"),
    "cut": (token(record(1))[:-9], "malformed_token"),
    "damaged": (token(record(1))[:60] + "AAAA" + token(record(1))[64:], "unknown_key"),
    "foreign key": (token(record(1), Fernet.generate_key().decode()), "unknown_key"),
    "not UTF-8": (token(b"\xff\xfe"), "not_utf8"),
    "cut JSON": (token("[1"), "unparsable"),
    "a list": (token("[1]"), "not_an_object"),
    "deep": (token("[" * 100_000), "too_deep"),
    "code": (token("__import__('os').system('touch SECRET-MARKER')"), "unparsable"),
    "large": (token(" " * (1 << 20) + "1"), "too_large"),
    "a surrogate": (token('{"record_id":"\\ud800"}'), "not_unicode"),
    "two of a name": (token('{"record_id":"a","record_id":"b"}'), "duplicate_key"),
    "no time": (token(record(1, inDate="SECRET-MARKER")), "bad_time"),
    "a leap second": (token(record(1, "2026-12-31T23:59:60.000000")), "bad_time"),
    "year 9999": (token(record(1, "9999-01-01T00:00:00.000000")), "bad_time"),
    "an object as url": (token(record(1, url={"a": 1})), "wrong_type"),
    "no method": (token({name: value for name, value in record(1).items() if name != "method"}), "missing_field"),
    "another case": (token(json.dumps(record(1)).replace("record_id", "Record_Id")), "missing_field"),
}  # fmt: skip


def test_bad_records_go_to_quarantine_as_ciphertext_and_stop_nobody(run: Run, out: Path, tmp_path: Path) -> None:
    """T7, T9, T11, T18: one good record among all kinds of bad ones."""
    result = run(*(data for data, _ in BAD.values()), token(record(99)), budget="100")

    assert counts(result) == (len(BAD) + 1, 1, 0, len(BAD))
    expected: dict[str, int] = {}
    for _, reason in BAD.values():
        expected[reason] = expected.get(reason, 0) + 1
    assert result.account.reasons == expected
    files = [path for path in out.rglob("*") if path.is_file()]
    assert [path for path in files if b"SECRET-MARKER" in path.read_bytes()] == []
    assert not Path("SECRET-MARKER").exists()
    assert {row["sealed"] for row in table(out, "quarantine") if row["reason"] == "unknown_key"} == {False}


def test_more_bad_records_than_the_budget_write_nothing(run: Run, out: Path) -> None:
    """T8: an outage must not hide in the quarantine."""
    foreign = Fernet.generate_key().decode()
    good = [token(record(n)) for n in range(95)]

    refused = run(*good, *(token(record(n), foreign) for n in range(95, 101)))
    passed = run(*good, *(token(record(n), foreign) for n in range(95, 100)))

    assert (refused.status, refused.exit_code) == ("REFUSED", 1)
    assert (passed.status, passed.exit_code) == ("COMPLETE", 0)
    assert len(table(out, "logs")) == 95
    assert len(table(out, "quarantine")) == 5
    assert len(list((out / "delta/logs").rglob("*.parquet"))) == 1
    assert sorted(row["status"] for row in table(out, "runs")) == ["COMPLETE", "REFUSED"]


def test_a_key_that_is_back_brings_its_records_back_once(run: Run, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T10, T11: what is still bad stays in quarantine, whoever replays how often."""
    third = Fernet.generate_key().decode()
    run(token(record(1), OLD), token(record(2), third), token("[1"), "é", budget="100")
    assert {row["reason"] for row in table(out, "quarantine")} == {"unknown_key", "unparsable", "malformed_token"}

    assert counts(run(replay=True)) == (3, 0, 0, 3)
    monkeypatch.setenv("TALLYMARK_FERNET_KEYS", f"{third},{NEW}")
    assert counts(run(replay=True)) == (3, 1, 0, 2)
    assert counts(run(replay=True)) == (2, 0, 0, 2)

    assert sorted(row["record_id"] for row in table(out, "logs")) == ["r1", "r2"]
    assert hours(out) == {"dt=2026-03-17/hour=10/logs.json.gz": 2}
    assert {row["reason"] for row in table(out, "quarantine")} == {"unparsable", "malformed_token"}


def test_a_malformed_key_is_named_by_its_position(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYMARK_FERNET_KEYS", f"{NEW},hunter2")

    with pytest.raises(ConfigError, match="Fernet key 2 of 2 is malformed") as raised:
        run(token(record(1)))

    assert "hunter2" not in str(raised.value)


def test_a_file_that_is_cut_is_named_and_the_rest_is_in(
    run: Run, out: Path, tmp_path: Path, spark: SparkSession
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    whole = gzip.compress(b"".join(b'{"data":"%s"}\n' % token(record(n)).encode() for n in range(3)))
    (folder / "a.jsonl.gz").write_bytes(whole)
    (folder / "b.jsonl.gz").write_bytes(whole[:-20])

    result = run(input=str(folder))

    assert (result.status, result.exit_code) == ("INCOMPLETE", 3)
    ((uri, reason, _),) = result.account.errors
    assert (uri, reason) == (str(folder / "b.jsonl.gz"), "TRUNCATED_GZIP")
    assert len(table(out, "logs")) == 3
    assert hours(out) == {"dt=2026-03-17/hour=10/logs.json.gz": 3}


def test_a_large_hour_is_split_by_its_minutes_and_every_line_expands_to_its_record(run: Run, out: Path) -> None:
    """T16, and the way back from what is published."""
    records = [
        record(1, "2026-03-17T10:00:00.000000", note='a\nb\u2028"\U0001f600'),
        record(2, "2026-03-17T10:29:59.999999", user_id="not hex", method="BREW", url="/x"),
        record(3, "2026-03-17T10:30:00.000000", status=200, ratio=1.50, nested={"b": [1, None], "a": True}),
        record(4, "2026-03-17T15:59:59+05:30"),
    ]

    run(*map(token, records), layout="folders", records_per_object=2)

    folder = out / "published/data/2026_y/03_m/17_d/10_h"
    parts = {path.name: gzip.decompress(path.read_bytes()) for path in sorted(folder.iterdir())}
    assert list(parts) == ["logs-00-of-02.json.gz", "logs-01-of-02.json.gz"]
    lines = [line for part in parts.values() for line in part.splitlines()]
    assert all(part.endswith(b"\n") for part in parts.values())
    dictionary = Dictionary(**json.loads((out / "published/_dictionary.json").read_text()))
    assert [expand(line, dictionary) for line in lines] == [records[0], records[3], records[1], records[2]]


def test_an_hour_that_is_split_in_another_way_has_no_record_twice(run: Run, out: Path) -> None:
    run(token(record(1)), token(record(2, "2026-03-17T10:59:00.000000")))
    first = hours(out)
    run(token(record(3)), records_per_object=2)
    second = hours(out)
    run(token(record(4)))

    assert first == {"dt=2026-03-17/hour=10/logs.json.gz": 2}
    assert second == {
        "dt=2026-03-17/hour=10/logs-00-of-02.json.gz": 2,
        "dt=2026-03-17/hour=10/logs-01-of-02.json.gz": 1,
    }
    assert hours(out) == {"dt=2026-03-17/hour=10/logs.json.gz": 4}


def test_the_table_is_readable_by_old_readers_and_has_exactly_these_columns(run: Run, out: Path) -> None:
    """T18, T24."""
    run(token(record(1, "2026-03-17T10:00:00.000001", agent="x", status=1)), token(record(2, inDate=1773741600)))

    logs = DeltaTable(out / "delta/logs")
    assert (logs.protocol().min_reader_version, logs.protocol().min_writer_version) == (1, 2)
    rows = sorted(logs.to_pyarrow_table().to_pylist(), key=lambda row: str(row["record_id"]))
    assert list(rows[0]) == [
        "record_id", "user_id", "method", "url", "inDate", "event_time", "extra", "not_text", "dt", "hour",
    ]  # fmt: skip
    assert (rows[0]["extra"], rows[0]["not_text"], rows[0]["hour"]) == (
        [("agent", '"x"'), ("status", "1")],
        None,
        "10",
    )
    assert (rows[1]["inDate"], rows[1]["not_text"], rows[1]["hour"]) == ("1773741600", '{"inDate": "1773741600"}', "10")
    assert pa.types.is_timestamp(logs.to_pyarrow_table().schema.field("event_time").type)


def test_a_number_that_was_published_keeps_its_meaning(run: Run, out: Path) -> None:
    run(token(record(1)))
    before = state(out)

    with pytest.raises(ConfigError, match="number 2 stands for POST in what is published"):
        run(token(record(2)), methods={"GET": 1, "PUT": 2})

    assert state(out) == before


def test_a_run_beside_another_one_writes_nothing(run: Run, out: Path) -> None:
    """T20."""
    with hold_lock(ObjectStore(), str(out), "the other run"), pytest.raises(LockedError, match="the other run"):
        run(token(record(1)))

    assert {path.name for path in out.iterdir()} <= {"lock.json", "lock.json.guard"}
