"""The order in which chunks are planned, copied, published and saved; what does each of it is given.

Pure: it knows threads, but no database, no files and no clock. Spans are planned ahead of the workers, each from the
end of the one before; a chunk is saved once it is published, never before. Called by `tallymark.runs.export`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from tallymark.export.batch_size import BatchSize, Observed
from tallymark.export.checkpoint import Change, Chunk, State
from tallymark.export.keys import Position
from tallymark.export.spans import Span

# A chunk may be published while its worker copies the next one.
OPEN_PER_WORKER = 2


@dataclass(frozen=True)
class Work:
    """What the engine is given.

    ``next_upper`` finds where a chunk of that many rows ends. ``make`` copies and publishes a chunk, in a thread of its
    own. ``save`` keeps the state, after each chunk.
    """

    next_upper: Callable[[Position | None, int], Position | None]
    make: Callable[[Span], Chunk]
    save: Callable[[State], None]


class Engine:
    """Makes all chunks of one export."""

    def __init__(self, work: Work, workers: int, size: BatchSize, *, adapts: bool, whole: bool = False) -> None:
        """Args: adapts: whether the size may change. whole: one chunk over everything."""
        self._work = work
        self._ahead = OPEN_PER_WORKER * workers
        self._adapts = adapts
        self._whole = whole
        self._observed = 0
        self.size = size
        self.changes: list[Change] = [] if size.reason == "as given" else [Change(1, size.rows, size.reason)]

    def run(self, state: State) -> State:
        """Makes what the state lacks; returns the finished state.

        Raises:
            Exception: of ``make`` or ``next_upper``, after the chunks under way were published and saved.
        """
        self._state = state
        self._again = list(state.planned)
        self._end = _end_of([*(chunk.span for chunk in state.chunks), *state.planned])
        under_way: dict[Future[Chunk], Span] = {}
        with ThreadPoolExecutor(self._ahead, thread_name_prefix="export") as pool:
            try:
                while True:
                    self._fill(pool, under_way)
                    if not under_way:
                        return self._state
                    self._settle(wait(under_way, return_when=FIRST_COMPLETED).done, under_way)
            except BaseException:  # Ctrl-C too: what is under way ends first
                self._settle_rest(under_way)
                raise

    def _fill(self, pool: ThreadPoolExecutor, under_way: dict[Future[Chunk], Span]) -> None:
        while len(under_way) < self._ahead:
            oldest = min((span.number for span in under_way.values()), default=None)
            span = self._next_span(oldest)
            if span is None:
                return
            under_way[pool.submit(self._work.make, span)] = span

    def _next_span(self, oldest: int | None) -> Span | None:
        if self._again:
            return self._again.pop(0)
        last = self._end
        if last is not None and last.upper is None:
            return None
        number = 1 if last is None else last.number + 1
        # What the size is made of must not depend on which worker was quicker.
        if oldest is not None and number - oldest >= self._ahead:
            return None
        self._adapt(number)
        lower = None if last is None else last.upper
        upper = None if self._whole else self._work.next_upper(lower, self.size.rows)
        self._end = Span(number, self.size.rows, lower, upper)
        self._state = replace(self._state, planned=(*self._state.planned, self._end))
        return self._end

    def _adapt(self, number: int) -> None:
        """Looks at the chunks that are surely finished when the chunk ``number`` is planned, in their order."""
        while self._adapts and self._observed < number - self._ahead:
            chunk = self._state.chunks[self._observed]
            first_memory = self._state.chunks[0].memory
            self._observed += 1
            growth = chunk.memory - first_memory
            seen = Observed(chunk.span.number, chunk.rows, chunk.source_bytes, chunk.seconds, growth)
            changed = self.size.after(seen)
            # A chunk that was cut before an earlier change says nothing about the size after it.
            if changed is not self.size and (chunk.span.rows_wanted == self.size.rows):
                self.size = changed
                self.changes.append(Change(self._observed + self._ahead, changed.rows, changed.reason))

    def _settle(self, done: Iterable[Future[Chunk]], under_way: dict[Future[Chunk], Span]) -> None:
        errors, before = [], self._state
        for future in done:
            del under_way[future]
            try:
                self._state = self._state.with_chunk(future.result())
            except Exception as error:  # noqa: BLE001 - raised below, when all others are kept
                errors.append(error)
        if self._state is not before:
            self._work.save(self._state)
        if errors:
            raise errors[0]

    def _settle_rest(self, under_way: dict[Future[Chunk], Span]) -> None:
        for future in under_way:
            future.cancel()
        for future in wait(under_way).done:
            if not future.cancelled() and future.exception() is None:
                self._state = self._state.with_chunk(future.result())
                self._work.save(self._state)

    @property
    def state(self) -> State:
        """What is published and saved so far."""
        return self._state


def _end_of(spans: list[Span]) -> Span | None:
    return max(spans, key=lambda span: span.number, default=None)
