"""Tells people when what a job does begins to fail, and when it is well again: once each, not at each run.

What has been told is kept in the output folder, because a run that dies leaves no row in any table: `OUT/failing` holds
one small file for each thing whose failure somebody was told of and whose recovery nobody yet. Used by all jobs that
take the option `notify`; `tallymark.runs.announce` sends.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tallymark.config.notify import NotifyOptions
from tallymark.errors import ConfigError, LockedError, TallymarkError
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import join
from tallymark.report.notice import Notice
from tallymark.runs.announce import PATIENCE, announce

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watched:
    """What a run is about. ``thing``: names and values that are the same for each run of it, such as its places."""

    job: str
    thing: Mapping[str, str]
    run_id: str | None
    out: str
    store: ObjectStore
    notify: NotifyOptions | None

    @property
    def mark(self) -> str:
        """The uri of the file that is there while the thing fails."""
        name = hashlib.sha256(json.dumps(self.thing, sort_keys=True).encode()).hexdigest()[:16]
        return join(self.out, f"failing/{self.job}-{name}.json")


@dataclass(frozen=True)
class Outcome:
    """How a run ended, in words that quote no record; ``records`` only where the user asked for them."""

    passed: bool
    word: str
    sentence: str
    facts: tuple[tuple[str, str], ...] = ()
    records: tuple[str, ...] = ()


@contextmanager
def telling(watched: Watched) -> Iterator[Callable[[Outcome], None]]:
    """Gives what tells the outcome of a run; an error that ends the run is told too, and goes on.

    A wrong option and a held lock are no failure of the thing. Telling never raises, and takes a minute at most.
    """
    try:
        yield partial(_tell_in_time, watched)
    except (ConfigError, LockedError):
        raise
    except Exception as error:
        _tell_in_time(watched, _failure(error))
        raise


def sentence_of(lines: Iterable[str]) -> str:
    """Returns lines as one.

    >>> sentence_of(["the rows fail:", "  has_id: 3 of 4 rows", "see x"])
    'the rows fail: has_id: 3 of 4 rows; see x'
    """
    return "; ".join(map(str.strip, lines)).replace(":; ", ": ")


def _failure(error: Exception) -> Outcome:
    if not isinstance(error, TallymarkError):  # only our own errors are known to quote no record
        return Outcome(False, "it did not finish", f"stopped by an unexpected {type(error).__name__}")
    return Outcome(False, "it did not finish", sentence_of(str(error).splitlines()))


def _tell_in_time(watched: Watched, outcome: Outcome) -> None:
    if watched.notify is None:
        return
    # A daemon: the store that made the run fail may not answer here either.
    thread = threading.Thread(target=_tell, args=(watched, watched.notify, outcome), name="telling", daemon=True)
    thread.start()
    thread.join(2 * PATIENCE)
    if thread.is_alive():
        _log.warning("it is not known whether people were told; the job itself is not touched by it")


def _tell(watched: Watched, options: NotifyOptions, outcome: Outcome) -> None:
    try:
        was_failing = _is_failing(watched)
        if outcome.passed == was_failing and announce(_notice(watched, outcome), options, os.environ):
            _remember(watched, outcome)
    except TallymarkError as error:
        _log.warning("what people were told could not be kept: %s; the job itself is not touched by it", error)
    except Exception as error:  # noqa: BLE001 - telling must not end the job; the text may be secret
        _log.warning("telling people ended with %s; the job itself is not touched by it", type(error).__name__)


def _is_failing(watched: Watched) -> bool:
    try:
        return watched.store.exists(watched.mark)
    except TallymarkError:  # the place that failed may be the one that would know: a failure is told once more
        return False


def _notice(watched: Watched, outcome: Outcome) -> Notice:
    state = "is well again" if outcome.passed else "failed"
    run = (("run", watched.run_id),) if watched.run_id else ()
    facts = (*run, *watched.thing.items(), *outcome.facts)
    title = f"{watched.job} {state}: {outcome.word}"
    return Notice(watched.job, outcome.passed, title, outcome.sentence, facts, outcome.records)


def _remember(watched: Watched, outcome: Outcome) -> None:
    if outcome.passed:
        watched.store.delete_object(watched.mark)
        return
    with tempfile.TemporaryDirectory(prefix="tallymark-") as scratch:
        file = Path(scratch) / "failing.json"
        since = {"job": watched.job, **watched.thing, "run_id": watched.run_id, "failed": outcome.word}
        file.write_text(json.dumps(since, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        watched.store.put_file(file, watched.mark)
