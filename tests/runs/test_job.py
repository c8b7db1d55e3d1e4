"""What is around the run of every job."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from rich.console import Console

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
