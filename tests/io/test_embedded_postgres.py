"""The PostgreSQL of the wheel, in a folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

from postgres_fixtures import QUICK
from tallymark.io.embedded_postgres import RunningPostgres, embedded_postgres, embedded_programs


def test_a_server_that_a_killed_process_left_behind_makes_way_and_its_data_stay() -> None:
    """The socket of the old one is in a folder that nobody knows any more."""
    with tempfile.TemporaryDirectory(prefix="tallymark-tests-") as scratch:
        folder = Path(scratch) / "postgres"
        left = RunningPostgres(folder, embedded_programs(), settings=QUICK)
        left.start()
        with left.server.connect("tests") as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")

        with embedded_postgres(folder, settings=QUICK) as running, running.server.connect("tests") as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
