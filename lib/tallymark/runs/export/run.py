"""One export, from its options to its manifest: begin or resume, copy, prove, finish.

The order of states: a chunk is written to a temporary file, made durable, renamed, and only then in the checkpoint; the
manifest comes last. Needs no Spark. Called by `jobs/export.py` and by `tallymark.runs.export.call`.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import Any

from tallymark.config.export_options import ExportOptions
from tallymark.errors import ConfigError, IncompleteError
from tallymark.export.batch_size import BatchSize, Limits
from tallymark.export.checkpoint import MIXED, PER_CHUNK, SNAPSHOT, State, require_equal
from tallymark.export.engine import Engine, Work
from tallymark.io.folder import remove_if_empty
from tallymark.io.lock import hold_lock
from tallymark.io.objects import ObjectStore
from tallymark.io.postgres import Server
from tallymark.io.snapshot_keeper import Keeper, Snapshot, SnapshotLostError, release
from tallymark.retry import RetryPolicy
from tallymark.runs.export.finish import Judge, finish, finish_again
from tallymark.runs.export.judging import open_judge
from tallymark.runs.export.live import Live
from tallymark.runs.export.place import Place, parts_uri, unfinished
from tallymark.runs.export.reading import Reading, open_reading
from tallymark.runs.export.sessions import Counts
from tallymark.runs.run_id import new_run_id

_SECONDS = {SNAPSHOT: 30.0, PER_CHUNK: 5.0}  # that a chunk, and so its transaction, may take
# By which the process may grow after its first chunk. Arrow keeps row groups of several chunks at once.
_MEMORY_GROWTH, _ARROW_GROWTH = 40 << 20, 96 << 20
_log = logging.getLogger(__name__)
ShowProgress = Callable[[Live], AbstractContextManager[object]]


@dataclass(frozen=True)
class ExportResult:
    """The manifest of the export, and where it lies."""

    manifest: Mapping[str, Any]
    place: str

    @property
    def rows(self) -> int:
        return int(self.manifest["rows"])


def export(
    options: ExportOptions,
    *,
    show_progress: ShowProgress = lambda _live: nullcontext(),
    policy: RetryPolicy | None = None,
    environ: Mapping[str, str] = os.environ,
) -> ExportResult:
    """Copies a table out of PostgreSQL; the files hold exactly the rows of the snapshot.

    Args:
        policy: how failures that may pass are tried again; else ``max_retries`` times, after up to 2, 4, 8 ... seconds.

    Raises:
        ConfigError: an option, the table or the place is wrong; nothing was written.
        LockedError: another run exports to the same place.
        RefusedError: the chunks fail their rules; there is no manifest, and --resume judges them again.
        IncompleteError: something could not be read or written; the checkpoint holds what was.
    """
    if options.merge and options.format not in {"csv", "jsonl"}:
        raise ConfigError(f"--merge joins text files; a {options.format} export is read as its folder")
    policy = policy or RetryPolicy(options.max_retries + 1, base_seconds=2.0, cap_seconds=30.0)
    store, parts = ObjectStore.from_environment(environ), parts_uri(options)
    judge = open_judge(options, store)
    try:
        with hold_lock(store, parts, f"the export of {options.table}", stays=False) as lock:
            return _Export(options, policy, Place.of(store, options, lock.check), judge).run(show_progress)
    finally:
        remove_if_empty(parts)


class _Export:
    def __init__(self, options: ExportOptions, policy: RetryPolicy, place: Place, judge: Judge) -> None:
        self._options = options
        self._policy = policy
        self._begun = time.monotonic()
        self._server = Server(
            **{name: getattr(options, name) for name in Server.__dataclass_fields__}  # the options bear their names
        )
        self._place = place
        self._judge = judge
        self._keeper: Keeper | None = None
        self._reading: Reading | None = None
        self._live = Live()
        self._counts = Counts()

    def run(self, show_progress: ShowProgress) -> ExportResult:
        """Does it, alone in its place."""
        try:
            return self._run(show_progress)
        finally:
            self._place.close()

    def _run(self, show_progress: ShowProgress) -> ExportResult:
        before = unfinished(self._place, self._options)
        done = self._place.manifest()
        if done is not None and (before is None or before.run_id == done["run_id"]):
            return ExportResult(finish_again(self._place, done), self._options.to)
        state = before or self._new_state()
        try:
            state, reading = self._open(state, is_new=before is None)
            with show_progress(self._live):
                state, engine, reading = self._make_all(state, reading)
                found = finish(
                    self._place,
                    self._options,
                    reading,
                    self._counted(state),
                    engine.changes,
                    time.monotonic() - self._begun,
                    self._judge,
                )
        except BaseException:  # Ctrl-C too: the snapshot is kept for --resume or let go
            self._leave()
            raise
        finally:
            if self._reading is not None:
                self._reading.close()
        if self._keeper is not None:
            self._keeper.dismiss()
        return ExportResult(found, self._options.to)

    def _new_state(self) -> State:
        now = datetime.now(timezone.utc)
        run_id = self._options.run_id or new_run_id(now)
        consistency = SNAPSHOT if self._options.consistency == SNAPSHOT else PER_CHUNK
        return State(run_id, now.timestamp(), {}, consistency)

    def _open(self, state: State, *, is_new: bool) -> tuple[State, Reading]:
        """Takes or adopts the snapshot, and looks at the table in it."""
        if is_new:
            reading = self._read(None, state.run_id)
            state = replace(state, fingerprint=reading.plan.fingerprint, bytes_per_row=reading.bytes_per_row)
            state = replace(state, snapshot=self._held())
            self._place.save(state)
            return state, reading
        state = replace(state, resumes=state.resumes + 1)
        adopt = Snapshot(**state.snapshot) if state.snapshot else None
        try:
            reading = self._read(adopt, state.run_id)
        except SnapshotLostError:
            state, reading = self._renew(state)
        require_equal(state.fingerprint, reading.plan.fingerprint, self._place.parts.uri)
        self._place.discard_unfinished()
        sizes = self._place.parts.sizes()
        torn = {
            chunk.span.number
            for chunk in state.chunks
            if chunk.part is not None and sizes.get(chunk.part) != chunk.bytes
        }
        state = replace(state.without(torn), snapshot=self._held())
        self._place.save(state)
        if adopt is not None:  # only now is ours the one that a further resume would find
            reading.sessions.run(lambda connection: release(connection, adopt), "ending the former session")
        return state, reading

    def _held(self) -> dict[str, Any]:
        held = self._keeper.snapshot if self._keeper is not None else None
        return {} if held is None else asdict(held)

    def _read(self, adopt: Snapshot | None, run_id: str) -> Reading:
        reading = open_reading(
            self._options, self._server, self._place.parts, self._policy, adopt, self._counts, run_id
        )
        self._reading, self._keeper = reading, reading.keeper
        self._live.expect(reading)
        return reading

    def _make_all(self, state: State, reading: Reading) -> tuple[State, Engine, Reading]:
        """Makes all chunks; a snapshot that gets lost meanwhile is replaced as ``on_lost_snapshot`` says."""
        lost = 0
        while True:
            engine = self._engine(state, reading)
            try:
                return engine.run(state), engine, reading
            except SnapshotLostError:
                lost += 1
                if lost > self._options.max_retries:
                    raise
                reading.close()
                state, reading = self._renew(engine.state)

    def _engine(self, state: State, reading: Reading) -> Engine:
        options = self._options
        limits = Limits(
            seconds=_SECONDS[options.consistency],
            memory_growth=_MEMORY_GROWTH if options.format in {"csv", "jsonl"} else _ARROW_GROWTH,
        )
        size = BatchSize(options.batch_size, limits=limits)
        if options.adapt:
            size = size.fitted(state.bytes_per_row)

        def save(now: State) -> None:
            self._place.save(self._counted(now))
            self._live.saw(now, engine.size.rows)

        work = Work(reading.next_upper, reading.parts.make, save)
        engine = Engine(work, options.workers, size, adapts=options.adapt, whole=not options.chunk_mode)
        self._live.saw(state, size.rows)
        return engine

    def _counted(self, state: State) -> State:
        """Adds what happened in this process to what happened before it."""
        counts = self._counts
        return replace(
            state,
            retries=state.retries + counts.retries,
            refreshes=state.refreshes + counts.refreshes,
            longest_transaction=max(state.longest_transaction, counts.longest_transaction),
        )

    def _renew(self, state: State) -> tuple[State, Reading]:
        """Goes on without the snapshot: by proving finished chunks in a new one, by mixing, or not at all."""
        choice = self._options.on_lost_snapshot
        if choice == "refuse":
            raise IncompleteError(
                "the snapshot of this export is gone, so the rest would be of another moment: --resume with "
                "--on-lost-snapshot recheck makes all of it one moment again, mix goes on and says so; if the server "
                "is a standby, set hot_standby_feedback = on there"
            )
        _log.warning("The snapshot is gone; going on in a new one: %s", choice)
        if self._keeper is not None:
            self._keeper.dismiss()
            self._keeper = None
        reading = self._read(None, state.run_id)
        require_equal(state.fingerprint, reading.plan.fingerprint, self._place.parts.uri)
        state = replace(state, snapshot=self._held())
        if choice == "mix":
            state = replace(state, consistency=MIXED if state.chunks else state.consistency)
        else:
            differing = reading.parts.differing(state.chunks, reading.parts.source_holds)
            if differing and self._options.format == "delta":
                raise IncompleteError(
                    f"{len(differing)} chunks were changed in the source since they were committed: "
                    "a Delta table does not take them back; export into another place"
                )
            state = replace(state.without(differing), rechecks=state.rechecks + 1)
        self._place.save(self._counted(state))
        return state, reading

    def _leave(self) -> None:
        """Leaves the snapshot to a resumed run, if one will find it."""
        if self._keeper is None:
            return
        saved = self._place.load() if self._options.checkpoint else None
        if saved is not None and saved.snapshot == self._held():
            self._keeper.leave()
        else:
            self._keeper.dismiss()
