"""The stages leave the Spark session of a notebook as they found it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pyspark.sql import SparkSession

import tallymark
from tallymark.runs.reconcile.distributed import Stages

SET_BY_USER, NOT_SET = "spark.sql.codegen.factoryMode", "spark.sql.codegen.wholeStage"


@pytest.fixture
def notebook(spark: SparkSession) -> Iterator[SparkSession]:
    spark.conf.set(SET_BY_USER, "CODEGEN_ONLY")
    yield spark
    spark.conf.unset(SET_BY_USER)


@pytest.mark.parametrize("fails", [False, True])
def test_a_run_leaves_the_session_as_it_was_also_when_it_fails(
    notebook: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    for side, record in (("source", b'{"a":1}'), ("backup", b'{"a":2}')):
        (tmp_path / side).mkdir()
        (tmp_path / side / "x.json").write_bytes(record)
    places: dict[str, Any] = {name: str(tmp_path / name) for name in ("source", "backup", "out")}
    before = kept(notebook)
    seen: list[str | None] = []
    frames: set[int] = set()
    explain = Stages.explain

    def observed(*arguments: Any) -> Any:
        seen.append(notebook.conf.get(SET_BY_USER))
        frames.update(kept(notebook) - before)
        return stop() if fails else explain(*arguments)

    monkeypatch.setattr(Stages, "explain", observed)
    if fails:
        with pytest.raises(ZeroDivisionError):
            tallymark.reconcile(notebook, **places)
    else:
        assert tallymark.reconcile(notebook, **places).exit_code == 1

    assert (seen, len(frames)) == (["NO_CODEGEN"], 2)
    assert (notebook.conf.get(SET_BY_USER), notebook.conf.get(NOT_SET, None)) == ("CODEGEN_ONLY", None)
    assert not frames & kept(notebook)


def stop() -> NoReturn:
    raise ZeroDivisionError


def kept(spark: SparkSession) -> set[int]:
    """Returns the numbers of the frames that the executors hold; Delta has some of its own there."""
    held: Any = spark.sparkContext._jsc.getPersistentRDDs()
    return set(map(int, held))
