"""Upkeep of real tables, local and on S3: fewer files, the same rows, the open hour as it was, nobody disturbed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

import dashboard_tables as tables
from s3_server import Bucket
from tallymark.config.maintain import MaintainConfig
from tallymark.errors import AccountingError, ConfigError, LockedError
from tallymark.ingest.tables import LOGS, PARTITION, RUNS
from tallymark.io import delta, delta_upkeep
from tallymark.io.delta_rs import storage_options
from tallymark.io.lock import hold_lock
from tallymark.io.objects import ObjectStore
from tallymark.maintain.result import Maintained
from tallymark.runs.maintain.run import maintain

NOW = datetime(2026, 3, 17, 14, 30, tzinfo=timezone.utc)
HOURS = (("2026-03-16", "23"), ("2026-03-17", "13"), ("2026-03-17", "14"))


def write_logs(out: str, options: Any = None, times: int = 3) -> None:
    """Write ``times`` files of two rows into each of three hours, the last of which is open."""
    for number in range(times):
        rows = [
            {"record_id": f"{number}-{hour}-{n}", "inDate": "x", "extra": [("a", "1")] if n else None,
             "dt": day, "hour": hour}
            for day, hour in HOURS for n in range(2)
        ]  # fmt: skip
        place = delta.table_uri(out, "logs")
        found = pa.Table.from_pylist(rows, LOGS)
        write_deltalake(place, found, mode="append", partition_by=list(PARTITION), storage_options=options)
        runs = pa.Table.from_pylist([{"run_id": f"run-{number}"}], RUNS)
        write_deltalake(delta.table_uri(out, "runs"), runs, mode="append", storage_options=options)


def files_by_hour(out: str, options: Any = None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {hour: [] for _, hour in HOURS}
    for uri in sorted(DeltaTable(delta.table_uri(out, "logs"), storage_options=options).file_uris()):
        found[uri.split("hour=")[1][:2]].append(uri)
    return found


def content(out: str, table: str = "logs", options: Any = None) -> str:
    """Return a hash of all rows that does not depend on their order."""
    rows = DeltaTable(delta.table_uri(out, table), storage_options=options).to_pyarrow_table().to_pylist()
    digests = sorted(hashlib.sha256(repr(sorted(row.items(), key=str)).encode()).hexdigest() for row in rows)
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def run(out: str, environ: Mapping[str, str] = os.environ, **options: Any) -> dict[str, Maintained]:
    return {done.table: done for done in maintain(MaintainConfig(out=out, **options), environ, NOW)}


def age(folder: Path, days: int) -> None:
    """Make every data file look that old."""
    then = time.time() - days * 86_400
    for file in folder.rglob("*.parquet"):
        os.utime(file, (then, then))


def test_closed_hours_become_one_file_each_and_the_open_one_is_not_touched(tmp_path: Path) -> None:
    """T14."""
    out = str(tmp_path)
    write_logs(out)
    before, rows = files_by_hour(out), content(out)

    done = run(out)

    after = files_by_hour(out)
    assert {hour: len(files) for hour, files in after.items()} == {"23": 1, "13": 1, "14": 3}
    assert after["14"] == before["14"]
    assert content(out) == rows
    assert done == {
        "runs": Maintained("runs", files_before=3, files_after=1, rows=3, removed=0),
        "logs": Maintained("logs", files_before=9, files_after=5, rows=18, removed=0),
    }


def test_a_second_run_finds_nothing_to_do_and_commits_nothing(tmp_path: Path) -> None:
    out = str(tmp_path)
    write_logs(out)
    run(out)
    version = DeltaTable(tmp_path / "delta/logs").version()

    run(out)

    assert DeltaTable(tmp_path / "delta/logs").version() == version


def test_a_dry_run_tells_the_same_and_writes_nothing_not_even_a_lock(tmp_path: Path) -> None:
    out = str(tmp_path)
    write_logs(out)
    before = {str(path): path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    told = run(out, dry_run=True)

    assert {str(path): path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert told == run(out)


def test_files_that_no_version_needs_go_after_the_retention_and_not_before(tmp_path: Path) -> None:
    """Of a killed run there may be files that no commit ever named; a run that still writes has young ones."""
    out, logs = str(tmp_path), tmp_path / "delta/logs"
    write_logs(out)
    run(out)
    joined = [path for files in files_by_hour(out).values() for path in files]
    left = logs / "dt=2026-03-16/hour=23/left-by-a-killed-run.parquet"
    left.write_bytes(b"x")
    age(logs, days=8)
    young = left.with_name("of-a-run-in-work.parquet")
    young.write_bytes(b"x")

    done = run(out, retention_days=10)
    assert (done["logs"].removed, left.exists(), young.exists()) == (0, True, True)

    rows = content(out)
    forget(logs, days=8)
    assert run(out, dry_run=True)["logs"].removed == 7  # six that were joined, and the one of the killed run
    assert run(out)["logs"].removed == 7
    assert (left.exists(), young.exists()) == (False, True)
    assert sorted(map(str, logs.rglob("hour=*/part*.parquet"))) == sorted(joined)
    assert content(out) == rows


def test_logs_whose_last_account_could_leave_the_log_are_left_alone(tmp_path: Path) -> None:
    """`ingest` finds its watermark in its last commit, and delta-rs shortens the log as it commits."""
    out = str(tmp_path)
    write_logs(out)
    run(out)
    write_logs(out, times=2)
    before = files_by_hour(out)
    later = datetime.now(timezone.utc) + timedelta(days=29, hours=1)

    done = maintain(MaintainConfig(out=out), os.environ, later)

    assert [one.table for one in done] == ["runs"]
    assert files_by_hour(out) == before
    sooner = maintain(MaintainConfig(out=out), os.environ, later - timedelta(hours=2))
    assert [one.table for one in sooner] == ["runs", "logs"]
    assert {hour: len(files) for hour, files in files_by_hour(out).items()} == {"23": 1, "13": 1, "14": 1}
    assert [one.table for one in maintain(MaintainConfig(out=out), os.environ, later)] == ["runs"]


def forget(table: Path, days: int) -> None:
    """Make the log say that its files were removed so many days ago."""
    for entry in (table / "_delta_log").glob("*.json"):
        lines = [json.loads(line) for line in entry.read_text().splitlines()]
        for line in lines:
            if "remove" in line:
                line["remove"]["deletionTimestamp"] -= days * 86_400_000
        entry.write_text("\n".join(map(json.dumps, lines)) + "\n")


def test_it_works_on_s3(bucket: Bucket) -> None:
    out = f"{bucket.uri}/out"
    options = storage_options(bucket.store, out)
    write_logs(out, options)
    rows = content(out, options=options)

    told = run(out, dry_run=True)
    done = run(out)

    assert told == done
    assert {hour: len(files) for hour, files in files_by_hour(out, options).items()} == {"23": 1, "13": 1, "14": 3}
    assert content(out, options=options) == rows


def test_it_never_runs_beside_a_job(tmp_path: Path) -> None:
    out = str(tmp_path)
    write_logs(out)
    before = files_by_hour(out)

    with hold_lock(ObjectStore(), out, "an ingest"), pytest.raises(LockedError, match="an ingest"):
        run(out)

    assert files_by_hour(out) == before


def test_one_table_that_forbids_it_stops_all(tmp_path: Path) -> None:
    """T26: nothing is half done because of a setting."""
    out = str(tmp_path)
    write_logs(out)
    forbidding = DeltaTable(tmp_path / "delta/runs")
    forbidding.alter.set_table_properties({"delta.deletedFileRetentionDuration": "interval 20 days"})
    before = files_by_hour(out)

    with pytest.raises(ConfigError, match="the table runs promises to keep old files for 20 days"):
        run(out)

    assert files_by_hour(out) == before


def test_a_row_that_got_lost_is_noticed_before_anything_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If delta-rs ever joined wrongly, the version before must still have its files."""
    out, logs = str(tmp_path), tmp_path / "delta/logs"
    write_logs(out)
    left = logs / "dt=2026-03-16/hour=23/left-by-a-killed-run.parquet"
    left.write_bytes(b"x")
    age(logs, days=8)

    def lose_a_row(table: DeltaTable, filters: object) -> None:
        if table.metadata().partition_columns:
            table.delete("record_id = '0-23-0'")

    monkeypatch.setattr(delta_upkeep, "join_small_files", lose_a_row)

    with pytest.raises(AccountingError, match="the table logs had 18 rows and has 17"):
        run(out)

    assert left.exists()
    assert DeltaTable(logs, version=2).to_pyarrow_table().num_rows == 18


def test_a_folder_without_tables_is_named(tmp_path: Path) -> None:
    (tmp_path / "delta/somebody").mkdir(parents=True)

    with pytest.raises(ConfigError, match=f"--out {tmp_path} holds no table of a job"):
        run(str(tmp_path))


def test_every_table_of_every_job_can_be_kept_up(tmp_path: Path) -> None:
    """Lists, maps and partitions by run; written twice, so that there is something to join."""
    for job in ("reconcile", "bulkload", "export"):
        out = str(tmp_path / job)
        for _ in range(2):
            getattr(tables, f"{job}_out")(out)
        names = sorted(path.name for path in (tmp_path / job / "delta").iterdir())
        before = {name: content(out, name) for name in names}

        done = run(out)

        assert sorted(done) == names
        assert all(2 * one.files_after == one.files_before for one in done.values())
        assert {name: content(out, name) for name in names} == before


CHILD = """
import os, sys
from datetime import datetime, timezone
from tallymark.config.maintain import MaintainConfig
from tallymark.runs.maintain.run import maintain
maintain(MaintainConfig(out=sys.argv[1]), os.environ, datetime(2026, 3, 17, 14, 30, tzinfo=timezone.utc))
"""


def test_a_run_that_is_killed_midway_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """By SIGKILL, as soon as its first commit is there; the lock of a dead process is free at once."""
    out, log = str(tmp_path), tmp_path / "delta/runs/_delta_log"
    write_logs(out, times=12)
    rows, commits = content(out), len(list(log.glob("*.json")))
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "lib")}
    with subprocess.Popen([sys.executable, "-c", CHILD, out], env=environ) as child:
        while child.poll() is None and len(list(log.glob("*.json"))) == commits:
            time.sleep(0.002)
        child.kill()

    assert child.returncode == -9
    assert content(out) == rows
    run(out)
    assert content(out) == rows
    assert {hour: len(files) for hour, files in files_by_hour(out).items()} == {"23": 1, "13": 1, "14": 12}
