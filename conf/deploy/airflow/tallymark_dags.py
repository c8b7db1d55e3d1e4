"""Airflow 2.9 or newer: a DAG for each job of Tallymark. Copy this file into the DAGs folder.

The worker starts ./spark-submit.sh of a checkout (TALLYMARK_HOME), on a machine that reaches the cluster, such as an
edge node. Airflow's own guard against overlap is not enough, because a retry may start while the lost job still runs:
the lock of the job is, and a run that meets it is skipped.
"""

from __future__ import annotations

import os
import subprocess
from datetime import datetime, timedelta, timezone

from airflow.decorators import dag, task
from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.models.dag import DAG

HOME = os.environ.get("TALLYMARK_HOME", "/opt/tallymark")
CONF = os.environ.get("TALLYMARK_CONF", "s3://CONF_BUCKET/CONF_PREFIX")
MASTER = os.environ.get("TALLYMARK_MASTER", "yarn")

SCHEDULES = {
    "reconcile": "0 4 * * *",
    "ingest": "*/5 * * * *",
    "bulkload": "0 5 * * *",
    "export": "0 2 * * *",
    "quality": "30 5 * * *",
    "maintain": "0 6 * * 0",
}
# Beside --conf. A run that is tried again has the name of the first try, and goes on with it or replaces it.
OPTIONS = {
    "reconcile": ["--run-id", "{run}"],
    "ingest": [],
    "bulkload": ["--load", "--run-id", "{run}"],
    "export": ["--resume"],
    "quality": ["--run-id", "{run}"],
    "maintain": [],
}
ENDINGS = {
    0: None,
    1: (AirflowFailException, "records differ, or too many are bad: see its report; another try would say the same"),
    2: (AirflowFailException, "an option, the file of --conf or a place is wrong"),
    3: (AirflowException, "incomplete: something could not be read or written; it is tried again"),
    4: (AirflowSkipException, "another run holds the lock of the output"),
}


def run(job: str, name: str) -> None:
    """Run a job to its end; its output becomes the log of the task."""
    options = [option.format(run=name) for option in OPTIONS[job]]
    command = [f"{HOME}/spark-submit.sh", "--master", MASTER, job, "--conf", f"{CONF}/{job}.yaml", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            for line in process.stdout or ():
                print(line, end="")
        except BaseException:  # Airflow ends the task: so must the job
            process.terminate()
            raise
    ending = ENDINGS.get(process.returncode, ENDINGS[3])
    if ending:
        kind, meaning = ending
        raise kind(f"{job} ended with {process.returncode}: {meaning}")


def make_dag(job: str) -> DAG:
    def start(ts_nodash: str | None = None) -> None:
        run(job, ts_nodash or job)

    return dag(
        dag_id=f"tallymark_{job}",
        schedule=SCHEDULES[job],
        start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        max_active_runs=1,
        default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
        tags=["tallymark"],
    )(task(task_id=job)(start))()


for job in SCHEDULES:
    globals()[f"tallymark_{job}"] = make_dag(job)
