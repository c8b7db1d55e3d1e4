"""What is around the run of every job."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from py4j.protocol import Py4JNetworkError
from pyspark.errors import PySparkException
from rich.console import Console

from tallymark.errors import IncompleteError
from tallymark.runs.job import exit_code_of


def test_a_driver_on_a_cluster_has_the_variables_of_whoever_submitted_and_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGHOST", "of the cluster")
    monkeypatch.setenv("TALLYMARK_SENT", "")
    monkeypatch.delenv("TALLYMARK_SENT")
    Path("tallymark-environment.json").write_text(json.dumps({"PGHOST": "sent", "TALLYMARK_SENT": "key"}))
    seen: list[str] = []

    def work(_: Console) -> int:
        seen.extend(os.environ[name] for name in ("PGHOST", "TALLYMARK_SENT"))
        return 4

    assert exit_code_of("probe", work, "") == 4
    assert seen == ["of the cluster", "key"]


CRASHED = PySparkException("Job aborted: task 0 failed: SparkException: Python worker exited unexpectedly (crashed)")
FULL = OSError(errno.ENOSPC, "No space left on device", "/tmp/tallymark-x/page.html")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Py4JNetworkError("Answer from Java side is empty"), "Spark's Java process has ended, killed perhaps"),
        (CRASHED, "a Python worker of Spark was killed, perhaps for want of memory"),
        (PySparkException("... java.io.IOException: No space left on device ..."), "SPARK_LOCAL_DIRS"),
        (FULL, "cannot use /tmp/tallymark-x/page.html: No space left on device; free some space"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_comes_from_outside_is_told_in_one_line_with_the_next_step(
    error: Exception, words: str, wrapped: bool, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """An out-of-memory killer is no defect of the job; nor is what fails next, since it cannot go on."""

    def work(_: Console) -> int:
        if wrapped and error is not FULL:
            raise IncompleteError("cannot use the table x; check the place") from error
        raise error

    assert exit_code_of("probe", work, "half of it is there") == 3
    told = capfd.readouterr().err
    assert words in told
    assert len(told.splitlines()) == 1
    assert caplog.records == []
