"""Every record is loaded once, skipped or rejected, whatever breaks: tasks, connections, replies, files, records."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from bulkload_loads import PEOPLE, config_of, counts, execute, people, prepared, query, run_task, write
from postgres_server import TcpProxy
from tallymark.bulkload import units as units_module
from tallymark.bulkload.result import Counts
from tallymark.io.embedded_postgres import RunningPostgres
from tallymark.io.postgres import Server
from tallymark.io.slow_link import slow_link
from tallymark.runs.bulkload import loading
from tallymark.runs.bulkload.isolating import land
from tallymark.runs.bulkload.sending import send_bytes
from tallymark.runs.bulkload.targets import targets_of

METHODS = ("copy_text", "copy_binary", "insert_multi")
WAITING = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'tests-load' AND wait_event_type = 'Lock'"
)
COUNTED = "SELECT count(*), count(DISTINCT id) FROM people"


@pytest.fixture(autouse=True)
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units_module, "UNIT_BYTES", 4000)
    monkeypatch.setattr("tallymark.records.formats.BLOCK_BYTES", 2000)


def test_a_later_run_of_the_same_name_with_other_batches_connections_and_method_loads_nothing(
    fresh_database: Server, tmp_path: Path
) -> None:
    write(tmp_path, "people.json", people(0, 1000))
    config = config_of(tmp_path)

    first = run_task(fresh_database, config, "copy_text", 100, 2)
    again = run_task(fresh_database, config, "insert_multi", 7, 5)

    assert counts(fresh_database) == Counts(read=1000, loaded=1000)
    assert query(fresh_database, COUNTED) == [(1000, 1000)]
    assert sum(row["records_count"] for row in first) == 1000
    assert again == []


def die_after_commit(server: Server, config: object) -> None:
    attempt = loading._Loader._attempt

    def then_die(*arguments: object) -> bool:
        attempt(*arguments)  # type: ignore[arg-type]
        os._exit(1)

    loading._Loader._attempt = then_die  # type: ignore[method-assign,assignment]
    run_task(server, config)  # type: ignore[arg-type]


def test_a_task_killed_after_a_commit_is_repeated_without_a_second_row(fresh_database: Server, tmp_path: Path) -> None:
    """Not an exception: the process ends between the COMMIT and the end of its task."""
    write(tmp_path, "people.json", people(0, 1000))
    config = config_of(tmp_path)
    prepared(fresh_database, config)
    died = multiprocessing.get_context("fork").Process(target=die_after_commit, args=(fresh_database, config))
    died.start()
    died.join(60)
    (landed,) = query(fresh_database, "SELECT count(*) FROM people")

    run_task(fresh_database, config)

    assert died.exitcode == 1
    assert 0 < landed[0] < 1000
    assert query(fresh_database, COUNTED) == [(1000, 1000)]
    assert counts(fresh_database) == Counts(read=1000, loaded=1000)


def test_a_lost_reply_to_the_commit_is_found_in_the_ledger(
    fresh_database: Server, postgres_proxy: TcpProxy, tmp_path: Path
) -> None:
    write(tmp_path, "people.json", people(0, 1000))
    config = config_of(tmp_path)
    prepared(fresh_database, config)
    postgres_proxy.cuts = 1
    postgres_proxy.cut_reply_to = b"COMMIT"

    rows = run_task(fresh_database, config, connections=1, through=replace(fresh_database, port=postgres_proxy.port))

    assert postgres_proxy.cuts < 1
    assert query(fresh_database, COUNTED) == [(1000, 1000)]
    assert sum(row["records_count"] for row in rows) == 1000
    assert max(row["retries"] for row in rows) == 1


def test_a_second_attempt_waits_for_the_first_and_then_skips(fresh_database: Server, tmp_path: Path) -> None:
    """As with speculation: two tasks have the same unit at the same time."""
    write(tmp_path, "people.json", people(0, 20))
    config = config_of(tmp_path)
    prepared(fresh_database, config)
    second = threading.Thread(target=run_task, args=(fresh_database, config))
    with fresh_database.connect("first") as first:
        first.execute("BEGIN")
        first.execute("INSERT INTO tallymark.bulkload_units SELECT 'run', 'people.json', 0, 0, true, '', 'x'")
        second.start()
        end = time.monotonic() + 20
        while query(fresh_database, WAITING) == [(0,)] and time.monotonic() < end:
            time.sleep(0.02)
        waiting, rows = query(fresh_database, WAITING), query(fresh_database, "SELECT count(*) FROM people")
        first.execute("ROLLBACK")
    second.join(30)

    assert (waiting, rows) == ([(1,)], [(0,)])
    assert query(fresh_database, COUNTED) == [(20, 20)]
    assert counts(fresh_database) == Counts(read=20, loaded=20)


def test_a_deadlock_is_tried_again_and_loads_every_record_once(fresh_database: Server, tmp_path: Path) -> None:
    """When the record 150 comes for the first time, this transaction is the victim; a sequence remembers."""
    write(tmp_path, "people.json", people(0, 200))
    execute(
        fresh_database,
        "CREATE SEQUENCE attempts",
        """CREATE FUNCTION given_way() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('attempts') = 1 THEN RAISE EXCEPTION 'no' USING ERRCODE = '40P01'; END IF; RETURN true; END $$""",
        "CREATE TABLE people (id bigint PRIMARY KEY, name text, CHECK (id <> 150 OR given_way()))",
    )

    rows = run_task(fresh_database, config_of(tmp_path), connections=3)

    assert counts(fresh_database) == Counts(read=200, loaded=200)
    assert query(fresh_database, COUNTED) == [(200, 200)]
    assert max(row["retries"] for row in rows) == 1


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_does_not_grow_where_the_server_is_slower_than_the_client(
    fresh_database: Server, tmp_path: Path
) -> None:
    """L10: what the network does not take yet must not pile up in the client."""
    write(tmp_path, "people.json", [])
    prepared(fresh_database, config_of(tmp_path))
    (target,) = targets_of(config_of(tmp_path))
    line = b"%d\t" + b"x" * 1_000 + b"\n"
    blocks = (b"".join(line % (100 * block + row) for row in range(100)) for block in range(400))
    most = before = resident()

    def watched() -> Iterator[bytes]:
        nonlocal most
        for block in blocks:
            most = max(most, resident())
            yield block

    with slow_link((str(fresh_database.host), fresh_database.port or 0), 0.0, 160) as port:
        slowed = replace(fresh_database, port=port)
        with slowed.connect("tests") as connection:
            assert send_bytes(connection, target, watched()) == 40_000

    assert most - before < 20 << 20


def test_what_fails_in_a_unit_leaves_nothing_of_it_visible(
    fresh_database: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches are no transactions: the unit is."""
    write(tmp_path, "people.json", people(0, 50))
    config = config_of(tmp_path)
    sent = []
    original = land

    def fail_after_sending(*arguments: object) -> object:
        sent.append(original(*arguments).loaded)  # type: ignore[arg-type]
        raise psycopg.errors.DiskFull("no space left")

    monkeypatch.setattr(loading, "land", fail_after_sending)

    run_task(fresh_database, config, batch_size=10)

    assert sent == [50]
    assert query(fresh_database, "SELECT count(*) FROM people") == [(0,)]
    assert counts(fresh_database) == Counts()
    ((status, error),) = query(fresh_database, "SELECT status, error FROM tallymark.bulkload_files")
    assert status == "FAILED"
    assert "people.json" in error


def test_records_are_loaded_skipped_or_rejected_and_their_neighbours_land(
    fresh_database: Server, tmp_path: Path
) -> None:
    rows = [
        *people(0, 100),
        {"id": 7, "name": "이름 7"},
        {"id": 8, "name": "other"},
        {"id": "x"},
        b'{"id":1',
        {"id": 100},
    ]
    write(tmp_path, "people.json", rows)
    prepared(fresh_database, config_of(tmp_path))
    with fresh_database.connect("tests") as connection:
        connection.execute("ALTER TABLE people ADD CONSTRAINT not_42 CHECK (id <> 42)")

    run_task(fresh_database, config_of(tmp_path))

    reasons = query(
        fresh_database, "SELECT reason, convert_from(record, 'UTF8') FROM tallymark.bulkload_rejected ORDER BY 1"
    )
    assert counts(fresh_database) == Counts(read=105, loaded=100, skipped=1, rejected=4)
    assert query(fresh_database, COUNTED) == [(100, 100)]
    assert reasons == [
        ("23514 not_42", '{"id": 42, "name": "이름 42"}'),
        ("INVALID_JSON", '{"id":1'),
        ("KEY_TAKEN", '{"id": 8, "name": "other"}'),
        ("NOT_A_NUMBER id", '{"id": "x"}'),
    ]


def test_a_broken_file_and_one_of_another_kind_do_not_stop_the_others(fresh_database: Server, tmp_path: Path) -> None:
    write(tmp_path, "people-1.json", people(0, 500))
    whole = write(tmp_path, "people-2.json", people(500, 1000))
    whole.write_bytes(b"[" + b",".join(whole.read_bytes().split(b"\n")[:400]))
    write(tmp_path, "people-3.json", people(1000, 1010))
    (tmp_path / "input/people-4.json").write_bytes(b"\x1f\x8b broken")

    run_task(fresh_database, config_of(tmp_path))

    states = query(
        fresh_database, "SELECT file_path, status, split_part(error, ' ', 1) FROM tallymark.bulkload_files ORDER BY 1"
    )
    assert states == [
        ("people-1.json", "LOADED", None),
        ("people-2.json", "FAILED", "CUT_ARRAY"),
        ("people-3.json", "LOADED", None),
        ("people-4.json", "FAILED", "TRUNCATED_GZIP"),
    ]
    assert query(fresh_database, "SELECT count(*) FROM people WHERE id < 500 OR id >= 1000") == [(510,)]


def test_a_file_that_changed_is_not_taken_for_loaded(fresh_database: Server, tmp_path: Path) -> None:
    write(tmp_path, "people.json", people(0, 10))
    run_task(fresh_database, config_of(tmp_path))
    write(tmp_path, "people.json", people(10, 20))

    run_task(fresh_database, config_of(tmp_path))

    ((error,),) = query(fresh_database, "SELECT error FROM tallymark.bulkload_files")
    assert error.startswith("CHANGED_SINCE_LOADED on people.json")
    assert query(fresh_database, COUNTED) == [(10, 10)]


def test_the_server_may_go_away_for_a_moment(
    fresh_database: Server, running_postgres: RunningPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "people.json", people(0, 1000))
    original = land
    crashes = [True]

    def crash_once(*arguments: object) -> object:
        landed = original(*arguments)  # type: ignore[arg-type]
        if crashes:
            crashes.clear()
            running_postgres.stop("fast")
            running_postgres.start()
        return landed

    monkeypatch.setattr(loading, "land", crash_once)

    run_task(fresh_database, config_of(tmp_path), connections=1)

    assert query(fresh_database, COUNTED) == [(1000, 1000)]
    assert counts(fresh_database) == Counts(read=1000, loaded=1000)


def test_names_are_composed_and_never_pasted(fresh_database: Server, tmp_path: Path) -> None:
    name = 'we"ird; DROP TABLE people--'
    odd = {**PEOPLE, "table": '"Sch ema"."' + name.replace('"', '""') + '"'}
    odd["columns"] = [
        {"name": 'i"d %s', "type": "bigint", "field": "id"},
        {"name": "이름", "type": "text", "field": "name"},
    ]
    odd["key"] = ['i"d %s']
    write(tmp_path, "people.json", [*people(0, 10), {"id": 3, "name": "이름 3"}])

    for method in METHODS:
        run_task(fresh_database, config_of(tmp_path, odd), method, run_id=method)

    found = query(fresh_database, 'SELECT count(*) FROM "Sch ema"."we""ird; DROP TABLE people--"')
    assert found == [(10,)]
    assert [counts(fresh_database, method).skipped for method in METHODS] == [1, 11, 11]
