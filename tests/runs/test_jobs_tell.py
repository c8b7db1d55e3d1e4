"""Each job tells the option `notify` of its failure and of its recovery, in counts and never with a record.

What is told once, and what becomes of a message that is not taken: `test_telling`. Reconcile and quality: elsewhere.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pyspark.sql import SparkSession

import tallymark
from bulkload_loads import config_of, people, write
from hook_server import NOTIFY, HookServer
from tallymark.config.export import ExportConfig
from tallymark.config.loading import load
from tallymark.errors import ConfigError, IncompleteError
from tallymark.io.postgres import Server
from tallymark.runs.bulkload.run import bulkload
from tallymark.runs.export.announcing import told
from tallymark.runs.export.run import export

MARKER = "marker-7f3a"


def messages(hook: HookServer) -> list[tuple[str, str]]:
    assert MARKER not in str(hook.received)
    return [(message["title"], message["sentence"]) for _, message in hook.received]


def at(server: Server) -> dict[str, object]:
    return {"host": server.host, "port": server.port, "user": server.user, "dbname": server.dbname}


def test_ingest_tells(spark: SparkSession, hook: HookServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmU="
    monkeypatch.setenv("TALLYMARK_FERNET_KEYS", key)
    known = {
        "user_id": "ab" * 32,
        "method": "GET",
        "url": "/",
        "inDate": "2026-03-17T10:00:00.000000",
        "secret": MARKER,
    }
    token = Fernet(key).encrypt(json.dumps(known | {"record_id": "r1"}).encode()).decode()
    (tmp_path / "in").mkdir()
    for items in ([token, MARKER], [token, MARKER], [token]):
        (tmp_path / "in/page.json").write_text(json.dumps([{"data": item} for item in items]))
        tallymark.ingest(spark, input=str(tmp_path / "in"), out=str(tmp_path / "out"), notify=NOTIFY)

    over = "more records are bad than the budget allows, so nothing is written"
    assert messages(hook) == [
        ("ingest failed: REFUSED", f"{over}: extracted 2 = written 1 + duplicates 0 + quarantined 1"),
        (
            "ingest is well again: COMPLETE",
            "all is accounted for: extracted 1 = written 1 + duplicates 0 + quarantined 0",
        ),
    ]
    assert hook.received[1][1]["facts"]["source"] == str(tmp_path / "in")


def test_bulkload_tells_and_a_replay_makes_its_load_well(
    spark: SparkSession, hook: HookServer, fresh_database: Server, tmp_path: Path
) -> None:
    write(tmp_path, "people-1.json", [*people(0, 3), {"id": 9, "name": f"{MARKER}\0"}])
    cell = {"method": ("copy_text",), "batch_size": (100,), "connections": (1,), "run_id": "month"}
    options = {**at(fresh_database), **cell, "notify": NOTIFY}
    bulkload(spark, config_of(tmp_path, **options, load=True))
    bulkload(spark, config_of(tmp_path, **options, replay=True, nul="strip"))

    assert messages(hook) == [
        ("bulkload failed: REJECTED", "read 4 = loaded 3 + skipped 0 + rejected 1"),
        ("bulkload is well again: LOADED", "read 4 = loaded 4 + skipped 0 + rejected 0"),
    ]
    assert hook.received[0][1]["facts"]["kind"] == "load"


def test_export_tells(hook: HookServer, fresh_database: Server, tmp_path: Path) -> None:
    """A finished export is whole, so it can only fail by an error."""
    given = {**at(fresh_database), "table": "orders", "order_by": "a", "out": str(tmp_path / "out"), "notify": NOTIFY}
    with fresh_database.connect("tests") as connection:
        for number, query in enumerate([f"SELECT '{MARKER}'::text AS a, 1/0 AS b", "SELECT 1 AS a"]):
            connection.execute("DROP VIEW IF EXISTS orders")
            connection.execute(f"CREATE VIEW orders AS {query}")
            options = load(ExportConfig, None, {**given, "to": str(tmp_path / f"to-{number}")}).options
            try:
                with told(options) as tell:
                    tell(export(options))
            except IncompleteError:
                assert number == 0

    (failed, cause), well = messages(hook)
    assert failed == "export failed: it did not finish"
    assert "division by zero" in cause
    assert well == ("export is well again: COMPLETE", f"1 rows are in {tmp_path}/to-1")


def test_an_export_that_could_not_keep_what_it_told_is_refused() -> None:
    with pytest.raises(ConfigError, match="--notify needs --out"):
        load(ExportConfig, None, {"table": "t", "to": "x", "notify": NOTIFY})
