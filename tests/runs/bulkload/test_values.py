"""What stands in the table is what stood in the record, whatever the method and the server's version."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkload_loads import config_of, execute, run_task, write
from bulkload_values import RECORDS, TABLE, check_stored
from postgres_fixtures import make_database
from tallymark.errors import ConfigError
from tallymark.io.embedded_postgres import RunningPostgres
from tallymark.io.postgres import Server


@pytest.fixture
def all_kinds(tmp_path: Path) -> Path:
    write(tmp_path, "kinds.json", RECORDS)
    return tmp_path


@pytest.mark.parametrize("method", ["copy_text", "copy_binary", "insert_multi"])
@pytest.mark.parametrize("version", ["new", "old"])
def test_every_value_is_stored_exactly(
    method: str, version: str, all_kinds: Path, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue("fresh_database") if version == "new" else old_database(request)
    run_task(server, config_of(all_kinds, TABLE), method, batch_size=7)

    check_stored(server, "kinds")


def old_database(request: pytest.FixtureRequest) -> Server:
    running: RunningPostgres = request.getfixturevalue("old_postgres")
    return make_database(running.server)


def test_a_column_of_another_type_is_named_before_anything_is_sent(fresh_database: Server, all_kinds: Path) -> None:
    execute(fresh_database, "CREATE TABLE kinds (k bigint PRIMARY KEY, s integer)")

    with pytest.raises(ConfigError, match='the column s of the table "kinds" is integer, not smallint'):
        run_task(fresh_database, config_of(all_kinds, TABLE), "copy_binary")
