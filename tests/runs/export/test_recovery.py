"""What is killed, lost or damaged loses and doubles nothing: kill -9, servers, networks, snapshots, checkpoints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from conftest import ROOT
from export_runs import Export, copied, rows
from postgres_server import TcpProxy
from tallymark.errors import ConfigError, IncompleteError
from tallymark.io.embedded_postgres import RunningPostgres
from tallymark.io.postgres import Server

Connection = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def table(database: Connection) -> None:
    database.execute("CREATE TABLE t AS SELECT i AS id, repeat('x', i % 50) AS v FROM generate_series(1, 9500) i")
    database.execute("ALTER TABLE t ADD PRIMARY KEY (id)")


@pytest.fixture
def killed(fresh_database: Server, tmp_path: Path) -> Callable[..., None]:
    """Starts an export that dies by SIGKILL at a moment."""

    def start(moment: str, nth: int, **given: Any) -> None:
        place = {name: getattr(fresh_database, name) for name in ("host", "port", "user", "dbname")}
        options = {
            "table": "t", "to": str(tmp_path / "out"), "batch_size": 1_000, "adapt": False, "snapshot_linger": 30,
            **place, **given,
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, str(ROOT / "tests/export_child.py"), json.dumps(options), moment, str(nth)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "lib")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr

    return start


def end_keeper(database: Connection) -> None:
    ended = database.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name LIKE '%(keeper)' AND datname = current_database()"
    ).fetchall()
    assert ended == [(True,)]


@pytest.mark.parametrize(
    ("moment", "nth"),
    [
        ("write:after", 4),
        ("read:after", 3),
        ("publish:before", 6),
        ("publish:after", 6),
        ("checkpoint:before", 4),
        ("checkpoint:after", 4),
        ("finish:before", 1),
        ("remove:after", 5),
    ],
)
def test_a_killed_export_goes_on_in_its_snapshot_and_ends_as_if_nothing_had_been(
    database: Connection, killed: Callable[..., None], run: Export, tmp_path: Path, moment: str, nth: int
) -> None:
    """What is written between the kill and the resume must not show."""
    before = copied(database, "SELECT * FROM t ORDER BY id")
    target = tmp_path / "t.csv"
    killed(moment, nth, merge=True, to=str(target))
    database.execute("UPDATE t SET v = 'new'; DELETE FROM t WHERE id % 2 = 0; INSERT INTO t VALUES (-1, 'late')")
    result = run(merge=True, to=str(target), resume=True)

    assert target.read_bytes() == b"id,v\n" + before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.csv.manifest.json"]
    assert result.manifest["consistency"]["achieved"] == "snapshot"
    assert result.manifest["consistency"]["rechecks"] == 0


@pytest.mark.parametrize(("moment", "nth"), [("delta:before", 3), ("delta:after", 3)])
def test_a_chunk_is_in_a_delta_table_once(
    database: Connection, killed: Callable[..., None], run: Export, tmp_path: Path, moment: str, nth: int
) -> None:
    killed(moment, nth, format="delta")
    run(format="delta", resume=True)
    found = DeltaTable(tmp_path / "out").to_pyarrow_table()

    assert sorted(found.column("id").to_pylist()) == list(range(1, 9501))
    assert found.num_rows == 9_500


def test_a_commit_that_the_checkpoint_does_not_know_is_not_taken_for_changed_rows(
    database: Connection, killed: Callable[..., None], run: Export
) -> None:
    """It is of the snapshot that was lost; the one Delta table would be of two moments, and nobody would know."""
    killed("delta:after", 3, format="delta", workers=1)
    end_keeper(database)
    database.execute("UPDATE t SET v = 'new' WHERE id = 2500")

    with pytest.raises(IncompleteError, match="chunk 3 was committed"):
        run(format="delta", resume=True)


def test_without_its_keeper_finished_chunks_are_compared_and_made_again_where_they_differ(
    database: Connection, killed: Callable[..., None], run: Export, tmp_path: Path
) -> None:
    killed("checkpoint:after", 4, workers=1)
    end_keeper(database)
    database.execute(
        "UPDATE t SET v = 'new' WHERE id = 10; DELETE FROM t WHERE id = 20; INSERT INTO t VALUES (-1, 'x')"
    )
    result = run(resume=True)

    assert len(rows(tmp_path / "out")) == 9_500
    assert rows(tmp_path / "out")[0] == ["-1", "x"]
    assert ["10", "new"] in rows(tmp_path / "out")
    assert result.manifest["consistency"]["achieved"] == "snapshot"
    assert result.manifest["consistency"]["rechecks"] == 1


def test_two_moments_are_mixed_only_where_that_is_asked_for(
    database: Connection, killed: Callable[..., None], run: Export
) -> None:
    killed("checkpoint:after", 4, workers=1)
    end_keeper(database)
    with pytest.raises(IncompleteError, match="--on-lost-snapshot"):
        run(resume=True, on_lost_snapshot="refuse")
    result = run(resume=True, on_lost_snapshot="mix")

    assert result.manifest["consistency"]["achieved"] == "mixed"


def test_other_settings_or_another_table_are_refused_with_the_difference(
    database: Connection, killed: Callable[..., None], run: Export
) -> None:
    killed("checkpoint:after", 4, workers=1)
    with pytest.raises(ConfigError, match=r'(?s)where: it was null, now it is "id < 5".*--overwrite'):
        run(resume=True, where="id < 5")
    with pytest.raises(ConfigError, match=r"format: it was .csv., now it is .jsonl"):
        run(resume=True, format="jsonl")
    with pytest.raises(ConfigError, match="--resume goes on with it"):
        run()
    end_keeper(database)
    database.execute("ALTER TABLE t ADD w int")
    with pytest.raises(ConfigError, match="columns: it was"):
        run(resume=True)


def test_a_damaged_checkpoint_is_replaced_by_its_backup_and_two_are_refused(
    database: Connection, killed: Callable[..., None], run: Export, tmp_path: Path
) -> None:
    killed("checkpoint:after", 4, workers=1)
    checkpoint, backup = (tmp_path / "out" / name for name in (".checkpoint.json", ".checkpoint.backup.json"))
    checkpoint.write_bytes(checkpoint.read_bytes()[:-40])
    kept = backup.read_bytes()
    backup.write_bytes(b"")
    with pytest.raises(IncompleteError, match="damaged"):
        run(resume=True)
    backup.write_bytes(kept)
    run(resume=True)

    assert [int(row[0]) for row in rows(tmp_path / "out")] == list(range(1, 9501))


def test_a_part_that_is_missing_or_torn_is_made_again(
    database: Connection, killed: Callable[..., None], run: Export, tmp_path: Path
) -> None:
    killed("checkpoint:after", 4, workers=1)
    (tmp_path / "out/part-00000001.csv").unlink()
    (tmp_path / "out/part-00000002.csv").write_bytes(b"id,v\n1001")
    run(resume=True, verify=True)

    assert [int(row[0]) for row in rows(tmp_path / "out")] == list(range(1, 9501))


def test_a_file_that_was_changed_is_found_by_verifying(
    database: Connection, killed: Callable[..., None], run: Export, tmp_path: Path
) -> None:
    killed("checkpoint:after", 4, workers=1)
    part = tmp_path / "out/part-00000002.csv"
    part.write_bytes(part.read_bytes().replace(b"x", b"y", 1))

    with pytest.raises(IncompleteError, match=r"the file, read again, is not what was written for 1 chunks \(2\)"):
        run(resume=True, verify=True)


@pytest.mark.parametrize("change", ["value", "gone", "row"])
def test_a_delta_table_that_holds_other_rows_than_the_source_is_found_by_verifying(
    database: Connection, killed: Callable[..., None], run: Export, tmp_path: Path, change: str
) -> None:
    killed("checkpoint:after", 4, workers=1, format="delta")
    file = sorted((tmp_path / "out").glob("*.parquet"))[1]
    there = pq.read_table(file)
    if change == "gone":
        file.unlink()
    elif change == "row":
        pq.write_table(there.slice(0, there.num_rows - 1), file)
    else:
        ids = [*there.column("id").to_pylist()[:-1], 7]
        pq.write_table(there.set_column(0, "id", pa.array(ids, pa.int32())), file)

    with pytest.raises(IncompleteError, match="is gone" if change == "gone" else r"other rows than the parts for 1 "):
        run(resume=True, verify=True, format="delta")


def test_lost_connections_are_made_again(
    database: Connection, fresh_database: Server, postgres_proxy: TcpProxy, run: Export, tmp_path: Path
) -> None:
    """The network drops twice in the middle of a COPY, then all workers are terminated."""
    postgres_proxy.delay = 0.002
    postgres_proxy.cut_after, postgres_proxy.cuts = 20_000, 2
    stop = threading.Event()

    def terminate() -> None:
        with fresh_database.connect("tests") as connection:
            for _ in range(3):
                stop.wait(0.4)
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'tallymark export t'"
                )

    ender = threading.Thread(target=terminate, daemon=True)
    ender.start()
    result = run(server=replace(fresh_database, port=postgres_proxy.port), workers=2, refresh_every=3)
    stop.set()
    ender.join()

    assert [int(row[0]) for row in rows(tmp_path / "out")] == list(range(1, 9501))
    assert result.manifest["retries"] >= 2
    assert result.manifest["refreshes"] >= 1


@pytest.mark.parametrize(("consistency", "achieved"), [("snapshot", "snapshot"), ("per-chunk", "per-chunk")])
def test_a_server_that_restarts_is_waited_for(
    database: Connection,
    running_postgres: RunningPostgres,
    fresh_database: Server,
    postgres_proxy: TcpProxy,
    run: Export,
    tmp_path: Path,
    consistency: str,
    achieved: str,
) -> None:
    """Its snapshot is gone, so what is finished is compared in a new one."""
    postgres_proxy.delay = 0.02

    def restart() -> None:
        while not (tmp_path / "out/part-00000002.csv").exists():
            time.sleep(0.01)
        running_postgres.stop("fast")
        running_postgres.start()

    restarter = threading.Thread(target=restart, daemon=True)
    restarter.start()
    result = run(
        server=replace(fresh_database, port=postgres_proxy.port), consistency=consistency, workers=1, batch_size=300
    )
    restarter.join()

    assert [int(row[0]) for row in rows(tmp_path / "out")] == list(range(1, 9501))
    assert result.manifest["consistency"]["achieved"] == achieved
    assert result.manifest["retries"] >= 1


def test_wrong_sql_is_not_tried_again(database: Connection, run: Export) -> None:
    begun = time.monotonic()
    with pytest.raises(IncompleteError, match="22012"):
        run(where="1 / (id - 5) >= 0")

    assert time.monotonic() - begun < 10
