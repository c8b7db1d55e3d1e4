"""The story of the job: from its conf file to its exit code, on a cluster whose tasks die, with a secret kept."""

from __future__ import annotations

import gzip
import json
import threading
from pathlib import Path

from bulkload_loads import PEOPLE, counts, execute, people, query, write
from conftest import IS_SPARK35, NO_JAVA, PYTHON, ROOT, Submit
from s3_server import Bucket
from tallymark.bulkload.result import Counts
from tallymark.io.embedded_postgres import RunningPostgres
from tallymark.io.postgres import Server

PASSWORD = "S3cr3t!@#:/?%'\\ x"
DEADLY_JOB = '''
import os, pathlib, runpy, sys
from tallymark.runs.bulkload import load

FOLDER = pathlib.Path({folder!r})
original = load.load_units


def deadly(task, shares):
    run = original(task, shares)

    def wrapped(batches):
        """Ends the process once, between a COMMIT and the end of the task."""
        from tallymark.runs.bulkload import loading

        attempt = loading._Loader._attempt

        def die_once(*arguments):
            done = attempt(*arguments)
            try:
                (FOLDER / "died").open("x").close()
            except FileExistsError:
                return done
            os._exit(1)

        loading._Loader._attempt = die_once
        yield from run(batches)

    return wrapped


load.load_units = deadly
sys.argv[0] = {job!r}
runpy.run_path({job!r}, run_name="__main__")
'''


def require_password(running: RunningPostgres, database: Server) -> None:
    if query(database, "SELECT FROM pg_roles WHERE rolname = 'loader'"):
        return
    execute(database, f"CREATE ROLE loader LOGIN SUPERUSER PASSWORD {quoted(PASSWORD)}")
    rules = running.folder / "data/pg_hba.conf"
    rules.write_text("host all loader 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
    query(database, "SELECT pg_reload_conf()")


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def watch_processes(stop: threading.Event, seen: set[bytes]) -> None:
    while not stop.wait(0.5):
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(place.read_bytes())
            except OSError:
                continue


def test_a_task_that_dies_after_a_commit_loads_every_record_once_and_the_password_is_found_nowhere(
    submit: Submit, standalone_cluster: str, running_postgres: RunningPostgres, fresh_database: Server, tmp_path: Path
) -> None:
    require_password(running_postgres, fresh_database)
    for number in range(4):
        write(tmp_path, f"people-{number}.json", people(number * 100, number * 100 + 100))
    (tmp_path / "secret").write_text(PASSWORD + "\n")
    conf = {
        "input": f"{tmp_path}/input", "output_dir": f"{tmp_path}/out", "tables": [PEOPLE], "load": True,
        "method": ["copy_text"], "batch_size": [10], "connections": [2], "run_id": "month",
        "host": "127.0.0.1", "port": fresh_database.port, "user": "loader", "dbname": fresh_database.dbname,
        "password_from": f"file:{tmp_path}/secret",
    }  # fmt: skip
    (tmp_path / "month.yaml").write_text(json.dumps(conf))
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    (jobs / "bulkload.py").write_text(DEADLY_JOB.format(folder=str(tmp_path), job=str(ROOT / "jobs/bulkload.py")))
    events = tmp_path / "events"
    events.mkdir()
    told = {"enabled": "true", "dir": f"file:{events}", "compress": "false"}
    options = [word for name, value in told.items() for word in ("--conf", f"spark.eventLog.{name}={value}")]
    stop, commands = threading.Event(), set[bytes]()
    watching = threading.Thread(target=watch_processes, args=(stop, commands))
    watching.start()
    arguments = ("--master", standalone_cluster, *options, "bulkload", "--conf", str(tmp_path / "month.yaml"))
    ended = submit(*arguments, TALLYMARK_JOBS=str(jobs), PYSPARK_PYTHON=str(PYTHON))
    stop.set()
    watching.join()

    assert ended.code == 0, ended.err
    assert "read 400 = loaded 400 + skipped 0 + rejected 0" in ended.out
    assert query(fresh_database, "SELECT count(*), count(DISTINCT id) FROM people") == [(400, 400)]
    assert counts(fresh_database, "month") == Counts(read=400, loaded=400)
    log = b"".join(path.read_bytes() for path in events.rglob("*") if path.is_file())
    assert (tmp_path / "died").exists()
    assert b'"Reason":"ExceptionFailure"' in log
    written = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    for text in (ended.out.encode(), ended.err.encode(), log, *written, *commands):
        assert b"S3cr3t" not in text
    assert any(b"month.yaml" in command for command in commands)


def test_files_on_s3_are_loaded_into_the_server_that_a_dotenv_file_names_and_the_table_is_whole_in_a_pipe(
    bucket: Bucket, submit: Submit, running_postgres: RunningPostgres, fresh_database: Server, tmp_path: Path
) -> None:
    require_password(running_postgres, fresh_database)
    for number in range(2):
        path = write(tmp_path, f"people-{number}.json", people(number * 500, number * 500 + 500))
        bucket.put(f"in/{path.name}.gz", gzip.compress(path.read_bytes()))
    (submit.folder / ".env").write_text(
        f"GCP_DB_HOST=127.0.0.1\nGCP_DB_PORT={fresh_database.port}\nGCP_DB_USER=loader\n"
        f'GCP_DB_NAME={fresh_database.dbname}\nGCP_DB_PASSWORD="{PASSWORD}"\nGCP_DB_SSLMODE=disable\n'
    )
    conf = {"input": f"s3://{bucket.name}/in/", "output_dir": f"{tmp_path}/out", "tables": [PEOPLE], "repeat": 1}
    (tmp_path / "matrix.yaml").write_text(json.dumps(conf))

    matrix = ("--method", "copy_text", "--batch-size", "100", "--connections", "1,2")
    # The executors of a cluster's Spark have started before .env is read: they need the variable of their own.
    executors = {"GCP_DB_PASSWORD": PASSWORD} if IS_SPARK35 else {}
    ended = submit("bulkload", "--conf", str(tmp_path / "matrix.yaml"), *matrix, **executors)

    assert ended.code == 0, ended.said
    assert "read 1,000 = loaded 1,000 + skipped 0 + rejected 0" in ended.out
    heading = next(line for line in ended.out.splitlines() if line.startswith("cell"))
    assert heading.endswith("p50 ms  p99 ms  WAL B/row  % roofline")
    results = json.loads((tmp_path / "out/migration_results.json").read_text())
    assert (results["cloud_provider"], results["total_records"]) == ("gcp", 1000)
    assert "S3cr3t" not in ended.said


def test_a_wrong_option_ends_with_2_before_spark_starts(submit: Submit) -> None:
    ended = submit("bulkload", "--metod", "copy_text", **NO_JAVA)

    assert ended.code == 2
    assert "--method" in ended.said
    assert "Traceback" not in ended.said
