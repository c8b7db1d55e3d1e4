"""Which server is taken: the options, one provider's variables, libpq's own, or one from the wheel."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from bulkload_loads import config_of
from tallymark.errors import ConfigError
from tallymark.io.embedded_postgres import RunningPostgres
from tallymark.io.postgres import Server
from tallymark.runs.bulkload.begun import free_port
from tallymark.runs.bulkload.places import open_place


def variables(server: Server, provider: str) -> dict[str, str]:
    found = {"HOST": server.host, "PORT": server.port, "USER": server.user, "NAME": server.dbname}
    return {f"{provider}_DB_{name}": str(value) for name, value in found.items()}


def test_the_only_provider_that_is_set_is_taken_and_two_need_a_choice(fresh_database: Server, tmp_path: Path) -> None:
    gcp, aws = variables(fresh_database, "GCP"), variables(fresh_database, "AWS") | {"AWS_DB_NAME": "postgres"}

    with open_place(config_of(tmp_path), gcp, free_port()) as only:
        assert (only.provider, only.server.dbname, only.measurement) == ("gcp", fresh_database.dbname, "measured")
    with open_place(config_of(tmp_path, provider="aws"), gcp | aws, free_port()) as chosen:
        assert (chosen.provider, chosen.server.dbname) == ("aws", "postgres")
    with (
        pytest.raises(ConfigError, match="GCP_DB_HOST and AWS_DB_HOST are set"),
        open_place(config_of(tmp_path), gcp | aws, free_port()),
    ):
        pass


def test_without_any_name_a_server_of_the_wheel_runs_for_the_time_of_the_run(tmp_path: Path) -> None:
    with open_place(config_of(tmp_path), {}, free_port()) as place, place.server.connect("tests") as connection:
        row = connection.execute("SELECT current_setting('server_version_num')::int >= 180000").fetchone()
        assert (row, place.provider) == ((True,), "local")

    with pytest.raises(psycopg.OperationalError):
        place.server.connect("tests")


def test_a_server_of_one_s_own_is_refused_where_executors_are_elsewhere_or_its_folder_would_be_on_s3(
    tmp_path: Path,
) -> None:
    on_s3 = config_of(tmp_path, output_dir="s3://bucket/out")

    for config, port in ((config_of(tmp_path), None), (on_s3, free_port())):
        with pytest.raises(ConfigError, match="give --host or PGHOST"), open_place(config, {}, port):
            pass


def test_a_server_without_tls_is_refused_where_tls_is_required(fresh_database: Server, tmp_path: Path) -> None:
    options = {"host": "127.0.0.1", "port": fresh_database.port, "user": "postgres", "sslmode": "require"}

    with pytest.raises(ConfigError, match="SSL"), open_place(config_of(tmp_path, **options), {}, free_port()):
        pass


def test_the_certificate_is_held_against_the_name_of_the_host(old_postgres: RunningPostgres, tmp_path: Path) -> None:
    options = {"port": old_postgres.server.port, "user": "postgres", "dbname": "postgres", "sslmode": "verify-full"}
    options["sslrootcert"] = f"{old_postgres.folder}/server.crt"

    with open_place(config_of(tmp_path, **options, host="localhost"), {}, free_port()) as place:
        assert place.server.sslmode == "verify-full"
    with (
        pytest.raises(ConfigError, match="certificate"),
        open_place(config_of(tmp_path, **options, host="127.0.0.1"), {}, free_port()),
    ):
        pass
