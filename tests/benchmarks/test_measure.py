from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks/reconcile"


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from importlib import import_module

    return import_module("measure").measure


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def by_a_grandchild(code: str, then: str = "run") -> list[str]:
    child = f"import subprocess; subprocess.{then}({python(code)!r})"
    return python(f"import subprocess; subprocess.run({python(child)!r})")


def test_the_memory_of_a_grandchild_is_seen(measure: Any) -> None:
    taken = measure(by_a_grandchild("import time; held = bytearray(150 << 20); time.sleep(1)"))

    assert 150 <= taken.peak_mb < 300
    assert taken.exit_code == 0
    assert taken.wall_s > 1


def test_what_a_grandchild_reads_counts_once(measure: Any, tmp_path: Path) -> None:
    """Linux adds it to every parent that waits: a sum over all processes would count it three times."""
    (tmp_path / "file").write_bytes(bytes(30 << 20))

    taken = measure(by_a_grandchild(f"open({str(tmp_path / 'file')!r}, 'rb', buffering=0).read()"))

    assert 30 << 20 <= taken.bytes_read < 40 << 20


def test_what_a_command_reads_in_its_last_moment_counts_too(measure: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(30 << 20))

    taken = measure(python(f"import os; open({str(tmp_path / 'file')!r}, 'rb', buffering=0).read(); os._exit(0)"))

    assert taken.bytes_read >= 30 << 20


def test_the_time_limit_ends_every_process(measure: Any, tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    code = f"import time, pathlib; time.sleep(1.5); pathlib.Path({str(mark)!r}).touch()"

    taken = measure(by_a_grandchild(code), time_limit=0.5)
    time.sleep(1.5)

    assert taken.timed_out
    assert taken.exit_code == -9
    assert 0.5 <= taken.wall_s < 1.0
    assert not mark.exists()


def test_a_process_that_outlives_the_command_is_waited_for_but_not_timed(measure: Any, tmp_path: Path) -> None:
    """The next command would otherwise be measured beside it."""
    mark = tmp_path / "ended"
    code = f"import time, pathlib; time.sleep(1); pathlib.Path({str(mark)!r}).touch()"

    taken = measure(by_a_grandchild(code, then="Popen"))

    assert taken.wall_s < 0.9
    assert mark.exists()


def test_a_script_that_is_terminated_leaves_nothing_behind(tmp_path: Path) -> None:
    started, mark = tmp_path / "started", tmp_path / "alive"
    touch = "pathlib.Path({!r}).touch()".format
    code = f"import time, pathlib; {touch(str(started))}; time.sleep(2); {touch(str(mark))}"
    with subprocess.Popen([sys.executable, str(SCRIPTS / "measure.py"), *by_a_grandchild(code)]) as script:
        while not started.exists():
            time.sleep(0.02)
        script.terminate()
    time.sleep(2)

    assert script.returncode == 143
    assert not mark.exists()


def test_as_a_command_it_prints_one_line_of_json_and_passes_the_exit_code_on() -> None:
    command = [sys.executable, str(SCRIPTS / "measure.py"), *python("print('hello'); raise SystemExit(3)")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 3
    assert done.stdout.splitlines()[0] == "hello"
    assert json.loads(done.stdout.splitlines()[1])["exit_code"] == 3
