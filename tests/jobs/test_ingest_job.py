"""The story of the job `ingest`: from its conf file to its exit code, and killed at each stage."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from deltalake import DeltaTable

from conftest import NO_JAVA, Submit, kill_when

KEY = Fernet.generate_key().decode()
MARKER = "PAYLOAD-MARKER"


def write_items(folder: Path, records: int, hours: int) -> None:
    """Write items in two files; of each record number n the hour is n modulo ``hours``, every fifth comes twice."""
    folder.mkdir()
    items = []
    for number in range(records):
        hour = number % hours
        text = {
            "user_id": f"{number:064x}",
            "record_id": f"r{number}",
            "method": "GET",
            "url": f"/{MARKER}",
            "inDate": f"2026-03-{17 + hour // 24}T{hour % 24:02}:00:00.{number:06}",
        }
        token = Fernet(KEY).encrypt(str(text).encode()).decode()
        items += [{"data": token}] * (2 if number % 5 == 0 else 1)
    half = len(items) // 2
    for name, part in (("a.json.gz", items[:half]), ("b.json.gz", items[half:])):
        (folder / name).write_bytes(gzip.compress(json.dumps(part).encode()))


def test_a_run_from_its_conf_file_to_its_exit_code_tells_no_secret(submit: Submit, tmp_path: Path) -> None:
    """T12: neither the key nor what the records hold is in any output, log, event log or Delta log."""
    write_items(tmp_path / "in", records=50, hours=2)
    (tmp_path / "in/c.json").write_text(json.dumps([{"data": Fernet(KEY).encrypt(f"[{MARKER}".encode()).decode()}]))
    (tmp_path / "events").mkdir()
    conf = tmp_path / "ingest.yaml"
    conf.write_text(f"input: {tmp_path}/in\nout: {tmp_path}/out\nkeys_from: env:LOG_KEYS\nlog_level: DEBUG\n")
    events = ["--conf", "spark.eventLog.enabled=true", "--conf", f"spark.eventLog.dir=file://{tmp_path}/events"]

    ended = submit(*events, "ingest", "--conf", str(conf), LOG_KEYS=KEY)
    without_key = submit("ingest", "--conf", str(conf), **NO_JAVA)

    assert ended.code == 0, ended.err
    assert "extracted 61 = written 50 + duplicates 10 + quarantined 1" in ended.out
    assert without_key.code == 2
    assert "env:LOG_KEYS is not there" in without_key.said
    told = [path for path in tmp_path.rglob("*") if path.is_file() and tmp_path / "in" not in path.parents]
    texts = {str(path.relative_to(tmp_path)): path.read_bytes() for path in told} | {"output": ended.said.encode()}
    assert any(name.startswith("events/") for name in texts)
    assert [name for name, text in texts.items() if KEY.encode() in text] == []
    holds_records = ("out/published", "out/delta/logs/dt=")
    assert [
        name for name, text in texts.items() if MARKER.encode() in text and not name.startswith(holds_records)
    ] == []


# What each stage leaves: rows in files that no commit names, rows without their published hours, some of the hours.
STAGES: dict[str, Callable[[Path], bool]] = {
    "files written": lambda out: any((out / "delta/logs").glob("dt=*/*/*.parquet")),
    "committed": lambda out: (out / "delta/logs/_delta_log/00000000000000000001.json").exists(),
    "publishing": lambda out: any((out / "published").rglob("*.gz")),
}


@pytest.mark.parametrize(
    "stages", [pytest.param(["publishing"]), pytest.param(list(STAGES), marks=pytest.mark.kills)], ids=" and ".join
)
def test_a_run_killed_after_a_stage_ends_as_if_it_had_not_been(
    submit: Submit, tmp_path: Path, stages: list[str]
) -> None:
    """T4: kill -9 once files are written, once they are committed, and while hours are published."""
    write_items(tmp_path / "in", records=2_000, hours=48)
    out = tmp_path / "out"
    options = ["ingest", "--input", str(tmp_path / "in")]

    for stage in stages:
        kill_when(partial(STAGES[stage], out), *options, "--out", str(out), TALLYMARK_FERNET_KEYS=KEY)
    last = submit(*options, "--out", str(out), TALLYMARK_FERNET_KEYS=KEY)
    undisturbed = submit(*options, "--out", str(tmp_path / "undisturbed"), TALLYMARK_FERNET_KEYS=KEY)

    assert (last.code, undisturbed.code) == (0, 0), last.err
    assert "extracted 2,400 = written 2,000 + duplicates 400 + quarantined 0" in undisturbed.out
    assert records(out) == records(tmp_path / "undisturbed")
    assert len(records(out)) == 2_000
    assert published(out) == published(tmp_path / "undisturbed")
    assert len(published(out)) == 48
    versions = [row["table_version"] for row in DeltaTable(out / "delta/runs").to_pyarrow_table().to_pylist()]
    assert sorted(versions) == list(range(1, len(versions) + 1))


def records(out: Path) -> list[tuple[object, ...]]:
    return sorted(tuple(row.values()) for row in DeltaTable(out / "delta/logs").to_pyarrow_table().to_pylist())


def published(out: Path) -> dict[str, bytes]:
    folder = out / "published"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.gz")}
