"""The story of the job: from its conf file to its exit code, without Spark."""

from __future__ import annotations

from pathlib import Path

import dashboard_tables as tables
from conftest import NO_JAVA, Submit
from tallymark.io.lock import hold_lock
from tallymark.io.objects import ObjectStore


def test_tables_are_kept_up_by_the_conf_file_and_a_job_in_work_is_left_alone(submit: Submit, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for _ in range(3):
        tables.bulkload_out(str(out))
    conf = tmp_path / "maintain.yaml"
    conf.write_text(f"out: {out}\nretention_days: 30\n")

    with hold_lock(ObjectStore(), str(out), "run october of bulkload"):
        refused = submit("maintain", "--conf", str(conf), **NO_JAVA)
    ended = submit("maintain", "--conf", str(conf), **NO_JAVA)
    too_short = submit("maintain", "--conf", str(conf), "--retention-days", "1", **NO_JAVA)

    assert refused.code == 4
    assert "is held by run october of bulkload" in refused.said
    assert ended.code == 0, ended.err
    figures = [line.split() for line in ended.out.splitlines() if line.startswith(" bulkload_")]
    assert figures == [["bulkload_cells", "30", "12", "4", "0"], ["bulkload_batches", "9", "3", "1", "0"]]
    assert too_short.code == 2
    assert "maintain: --retention-days: '1' cannot be used" in too_short.said
    assert "Traceback" not in refused.said + too_short.said
