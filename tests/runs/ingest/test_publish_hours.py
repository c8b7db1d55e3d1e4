"""A publishing task, without Spark: T3, T15, T16, T17; and what a reader that is not Spark makes of it."""

from __future__ import annotations

import gzip
import json
import pickle
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tallymark.ingest.compact import Dictionary, expand
from tallymark.ingest.plaintext import read_fields
from tallymark.ingest.record import to_record
from tallymark.ingest.travelling import place_of, record_batch
from tallymark.io.lock import hold_lock
from tallymark.io.objects import ObjectStore
from tallymark.runs.ingest import publish_hours
from tallymark.runs.ingest.merge_places import as_stored
from tallymark.runs.ingest.publish_hours import PUBLISHED, HourPart, Publishing, publish_parts

DICTIONARY = Dictionary({"GET": 1}, {"/api/products/product/": 1})
STORE = ObjectStore()
Records = list[dict[str, Any]]


@dataclass
class Broadcast:
    value: list[bytes]


def record(number: int, minute: int = 0, hour: int = 7, **more: Any) -> dict[str, Any]:
    fields = {"user_id": "0f" * 32, "record_id": f"r{number:03}", "method": "GET", "url": "/api/products/product/"}
    return fields | {"inDate": f"2026-03-07T{hour:02}:{minute:02}:02.{number:06}"} | more


def stored(path: Path, records: Records) -> str:
    """A file of the table with these records."""
    found = [(at, to_record(read_fields(json.dumps(fields).encode()))) for at, fields in enumerate(records)]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_batches([as_stored(record_batch(found))]), path)
    return str(path)


def publish(out: Path, *parts: HourPart, **options: Any) -> Records:
    """Publish the parts under the lock; return what the task says of them."""
    with hold_lock(STORE, str(out), "run", 60) as lock:
        publishing = Publishing(STORE, str(out), lock.fence, str(out / "published"), "hive", DICTIONARY)
        return published(replace(publishing, **options), *parts)


def published(publishing: Publishing, *parts: HourPart) -> Records:
    tasks = Broadcast([pickle.dumps(list(parts))])
    batches = list(publish_parts(iter([pa.RecordBatch.from_pydict({"id": [0]})]), tasks, publishing))
    assert all(batch.schema == PUBLISHED for batch in batches)
    return [row for batch in batches for row in batch.to_pylist()]


def hour(*files: str, at: int = 7, part: int = 0, parts: int = 1) -> HourPart:
    return HourPart(place_of("2026-03-07", f"{at:02}"), part, parts, files)


def lines(path: Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).splitlines(keepends=True)


def ids(path: Path) -> list[str]:
    return [json.loads(line)["record_id"] for line in lines(path)]


def test_an_hour_is_one_object_in_the_order_of_time_and_id(tmp_path: Path) -> None:
    late = stored(tmp_path / "late.parquet", [record(1), record(9, inDate="2026-03-07T07:00:02.000003")])
    file = stored(tmp_path / "a.parquet", [record(3), record(2, minute=5), record(0)])

    (row,) = publish(tmp_path, hour(file, late))
    path = tmp_path / "published/dt=2026-03-07/hour=07/logs.json.gz"
    assert row == {
        "uri": str(path), "records": 5, "size": path.stat().st_size, "superseded": [], "locked": False, "error": None,
    }  # fmt: skip
    assert ids(path) == ["r000", "r001", "r003", "r009", "r002"]


def test_the_same_rows_give_the_same_bytes_from_whatever_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T3, T17: whoever publishes an hour again changes nothing, though gzip shows where its input was cut."""
    monkeypatch.setattr(publish_hours, "_ROWS", 7)
    records = [record(number, number % 60, more={"b": 1, "a": number}) for number in range(50)]
    whole = stored(tmp_path / "whole.parquet", records)
    random.Random(1).shuffle(records)
    cut = [stored(tmp_path / f"{at}.parquet", records[at : at + 20]) for at in (0, 20, 40)]

    for name, files in (("one", [whole]), ("three", cut), ("backwards", cut[::-1])):
        publish(tmp_path / name, hour(*files))
    objects = [
        (tmp_path / name / "published/dt=2026-03-07/hour=07/logs.json.gz") for name in ("one", "three", "backwards")
    ]
    assert objects[0].read_bytes() == objects[1].read_bytes() == objects[2].read_bytes()
    assert objects[0].read_bytes()[4:8] == bytes(4), "no time in the header"


@pytest.mark.parametrize(("dictionary", "short"), [(DICTIONARY, True), (None, False)])
def test_a_record_is_one_line_and_comes_back(tmp_path: Path, dictionary: Dictionary | None, short: bool) -> None:
    """T16."""
    texts = ['a\nb"\r', "\u2028\u2029\x85", "😀", "", "=x"]
    records = [record(at, url=text, more=text) for at, text in enumerate(texts)]

    publish(tmp_path, hour(stored(tmp_path / "a", records)), dictionary=dictionary)
    found = lines(tmp_path / "published/dt=2026-03-07/hour=07/logs.json.gz")
    assert len(found) == len(records)
    assert all(line.endswith(b"}\n") for line in found)
    assert [expand(line, dictionary) for line in found] == records
    assert [isinstance(json.loads(line)["method"], int) for line in found] == [short] * len(records)


def test_a_large_hour_is_split_by_its_minutes(tmp_path: Path) -> None:
    file = stored(tmp_path / "a", [record(minute, minute) for minute in range(60)])

    rows = publish(tmp_path, *(hour(file, part=part, parts=4) for part in range(4)))
    folder = tmp_path / "published/dt=2026-03-07/hour=07"
    assert [row["records"] for row in rows] == [15, 15, 15, 15]
    assert [ids(folder / f"logs-0{part}-of-04.json.gz")[0] for part in range(4)] == ["r000", "r015", "r030", "r045"]


def test_the_objects_of_another_split_are_named_to_be_removed(tmp_path: Path) -> None:
    """T17: with the former object beside the new ones a reader would see every record twice."""
    file = stored(tmp_path / "a", [record(1)])
    folder = tmp_path / "published/dt=2026-03-07/hour=07"
    publish(tmp_path, hour(file))
    (folder / "logs-old.json.gz").touch()

    rows = publish(tmp_path, hour(file, parts=2), hour(file, part=1, parts=2))
    assert [row["superseded"] for row in rows] == [[str(folder / "logs.json.gz")], []]
    (again,) = publish(tmp_path, hour(file))
    assert again["superseded"] == [str(folder / f"logs-0{part}-of-02.json.gz") for part in (0, 1)]


def test_a_run_that_lost_its_lock_changes_nothing(tmp_path: Path) -> None:
    """T20."""
    old, new = (stored(tmp_path / name, [record(number)]) for number, name in enumerate(("old", "new")))
    publishing = Publishing(STORE, str(tmp_path), 0, str(tmp_path / "published"), "hive", None)
    with hold_lock(STORE, str(tmp_path), "first", 60) as lock:
        lost = replace(publishing, fence=lock.fence)
    publish(tmp_path, hour(new))

    (row,) = published(lost, hour(old))
    assert (row["locked"], row["records"]) == (True, 0)
    assert ids(tmp_path / "published/dt=2026-03-07/hour=07/logs.json.gz") == ["r001"]


def test_a_file_that_is_gone_is_the_error_of_its_object(tmp_path: Path) -> None:
    good = stored(tmp_path / "a", [record(1)])

    rows = publish(tmp_path, hour(str(tmp_path / "gone")), hour(good, at=8))
    assert [bool(row["error"]) for row in rows] == [True, False]
    assert rows[0]["error"].startswith(f"MISSING on {tmp_path}/gone: ")
    assert not (tmp_path / "published/dt=2026-03-07/hour=07/logs.json.gz").exists()


@pytest.fixture
def two_hours(tmp_path: Path) -> Path:
    early = [record(1), record(2, method="PURGE", status=200), record(3, url="/x", record_id=3)]
    files = [stored(tmp_path / "7", early), stored(tmp_path / "23", [record(4, hour=23)])]
    for layout in ("hive", "folders"):
        publish(tmp_path, hour(files[0]), hour(files[1], at=23), layout=layout)
    return tmp_path / "published"


def test_duckdb_reads_the_hive_layout(two_hours: Path) -> None:
    """T15: the partition is text with its zero, and no column of the body."""
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT dt, hour, record_id, method::VARCHAR, url::VARCHAR, indate, extra, not_text "
            "FROM read_json(?, hive_partitioning = true, hive_types = {dt: VARCHAR, hour: VARCHAR}, "
            "columns = {record_id: 'VARCHAR', user_id: 'VARCHAR', method: 'VARCHAR', url: 'VARCHAR', "
            "inDate: 'VARCHAR', extra: 'MAP(VARCHAR, VARCHAR)', not_text: 'MAP(VARCHAR, VARCHAR)'}) ORDER BY record_id",
            [f"{two_hours}/dt=*/hour=*/*.json.gz"],
        ).fetchall()
    assert found == [
        ("2026-03-07", "07", "3", "1", "/x", "260307070002000003", None, {"record_id": "3"}),
        ("2026-03-07", "07", "r001", "1", "1", "260307070002000001", None, None),
        ("2026-03-07", "07", "r002", "PURGE", "1", "260307070002000002", {"status": "200"}, None),
        ("2026-03-07", "23", "r004", "1", "1", "260307230002000004", None, None),
    ]


def test_duckdb_guesses_it_as_well_and_reads_one_hour_alone(two_hours: Path) -> None:
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT hour, count(*) FROM read_json(?, hive_partitioning = true, hive_types_autocast = false) "
            "WHERE hour = '07' GROUP BY ALL",
            [f"{two_hours}/dt=*/hour=*/*.json.gz"],
        ).fetchall()
    assert found == [("07", 3)]


def test_both_layouts_hold_the_same_objects(two_hours: Path) -> None:
    hive, folders = two_hours / "dt=2026-03-07/hour=07", two_hours / "data/2026_y/03_m/07_d/07_h"

    assert (hive / "logs.json.gz").read_bytes() == (folders / "logs.json.gz").read_bytes()
    assert not any(key in json.loads(lines(hive / "logs.json.gz")[0]) for key in ("dt", "hour", "event_time"))
