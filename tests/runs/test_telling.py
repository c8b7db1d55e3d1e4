"""A failure and a recovery are told once each, whatever the runs leave in tables; telling never touches the job."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hook_server import NOTIFY, HookServer
from s3_server import Bucket
from tallymark.config.notify import NotifyOptions
from tallymark.errors import ConfigError, IncompleteError, LockedError, RefusedError
from tallymark.io.objects import ObjectStore
from tallymark.retry import RetryPolicy
from tallymark.runs.telling import Outcome, Watched, telling

GOOD, BAD = Outcome(True, "COMPLETE", "all is there"), Outcome(False, "REFUSED", "1 of 2 is bad")


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = RetryPolicy(attempts=2, base_seconds=0.01, cap_seconds=0.01)
    monkeypatch.setattr("tallymark.io.webhook.post_json.__defaults__", ((0.3, 0.3), quick, time.sleep))


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    notify = NotifyOptions.model_validate(NOTIFY)
    return Watched("ingest", {"source": "https://api/logs", "out": "o"}, "r1", str(tmp_path), ObjectStore(), notify)


def ended(watched: Watched, *ends: Outcome | Exception) -> None:
    for end in ends:
        if isinstance(end, Outcome):
            with telling(watched) as tell:
                tell(end)
        else:
            with pytest.raises(type(end)), telling(watched):
                raise end


def titles(hook: HookServer) -> list[str]:
    return [message["title"] for _, message in hook.received]


def test_a_failure_and_a_recovery_are_told_once_each(hook: HookServer, watched: Watched, tmp_path: Path) -> None:
    ended(watched, GOOD, BAD, BAD, IncompleteError("no answer"), GOOD, GOOD, BAD)

    assert titles(hook) == ["ingest failed: REFUSED", "ingest is well again: COMPLETE", "ingest failed: REFUSED"]
    assert hook.received[0][1] == {
        "job": "ingest",
        "state": "failed",
        "title": "ingest failed: REFUSED",
        "sentence": "1 of 2 is bad",
        "facts": {"run": "r1", "source": "https://api/logs", "out": "o"},
        "records": [],
    }
    (mark,) = (tmp_path / "failing").iterdir()
    assert json.loads(mark.read_text()) == {
        "job": "ingest", "source": "https://api/logs", "out": "o", "run_id": "r1", "failed": "REFUSED",
    }  # fmt: skip


def test_an_error_is_told_only_in_words_that_quote_no_record(hook: HookServer, watched: Watched) -> None:
    """A lock and a wrong option are no failure of what is watched; what Python or Spark says may quote a record."""
    ended(watched, LockedError("held"), ConfigError("wrong"), ValueError("s3cret"), GOOD)
    ended(watched, RefusedError("rows fail:\n  has_id: 3 of 4 rows\nsee x"), GOOD)

    told = [(message["state"], message["sentence"]) for _, message in hook.received]
    assert told == [
        ("failed", "stopped by an unexpected ValueError"),
        ("recovered", "all is there"),
        ("failed", "rows fail: has_id: 3 of 4 rows; see x"),
        ("recovered", "all is there"),
    ]


def test_two_things_in_one_output_do_not_meet(hook: HookServer, watched: Watched) -> None:
    other = replace(watched, thing={"source": "https://api/other", "out": "o"})
    ended(watched, BAD)
    ended(other, GOOD, BAD)
    ended(replace(watched, run_id="r2"), GOOD)

    assert [message["facts"]["source"][-5:] for _, message in hook.received] == ["/logs", "other", "/logs"]


def test_what_nobody_took_is_told_by_the_next_run(hook: HookServer, watched: Watched) -> None:
    hook.statuses += [404, 200, 404]
    ended(watched, BAD, BAD, GOOD, GOOD)

    assert [message["state"] for _, message in hook.received] == ["failed", "failed", "recovered", "recovered"]


def test_a_place_that_cannot_be_asked_hides_no_failure(
    hook: HookServer, watched: Watched, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "failing").write_text("a file where a folder must be")
    ended(watched, BAD)

    assert titles(hook) == ["ingest failed: REFUSED"]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith("the job itself is not touched by it")


def test_the_store_is_waited_for_no_longer_than_the_patience(
    hook: HookServer, watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Slow(ObjectStore):
        def stat(self, uri: str) -> None:
            time.sleep(60)

    monkeypatch.setattr("tallymark.runs.telling.PATIENCE", 0.1)
    begun = time.monotonic()
    ended(replace(watched, store=Slow()), BAD)

    assert time.monotonic() - begun < 30
    assert caplog.messages == ["it is not known whether people were told; the job itself is not touched by it"]


def test_what_was_told_is_kept_on_s3_too(hook: HookServer, watched: Watched, bucket: Bucket) -> None:
    ended(replace(watched, out=f"{bucket.uri}/out", store=bucket.store), BAD, BAD, GOOD, GOOD)

    assert [message["state"] for _, message in hook.received] == ["failed", "recovered"]
