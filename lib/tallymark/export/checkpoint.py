"""What a run has done so far, as text that tells whether it is whole, and whether another run may go on from it.

Pure: bytes in, bytes out. Saved after each published chunk by `tallymark.runs.export`; a corrupt one is refused
here, and the caller falls back on the copy before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import Any

from tallymark.errors import ConfigError, IncompleteError
from tallymark.export.spans import Span

VERSION = 1
SNAPSHOT, PER_CHUNK, MIXED = "snapshot", "per-chunk", "mixed"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A published chunk. ``part`` is its file (None without rows, and in a Delta table), ``sha256`` that of the file,
    ``source_sha256`` that of what COPY sent (with the header, so both are equal for CSV and JSON Lines);
    ``bytes`` of the file, ``started`` seconds since 1970.
    """

    span: Span
    part: str | None
    rows: int
    bytes: int
    source_bytes: int
    sha256: str | None
    source_sha256: str
    attempts: int
    started: float
    seconds: float
    memory: int
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the batch size before the chunk ``number``."""

    number: int
    rows: int
    reason: str


@dataclass(frozen=True, slots=True)
class State:
    """Everything that a resumed run must know."""

    run_id: str
    started: float
    fingerprint: Mapping[str, Any]
    consistency: str
    snapshot: Mapping[str, Any] = field(default_factory=dict)
    bytes_per_row: float = 0.0
    chunks: tuple[Chunk, ...] = ()
    planned: tuple[Span, ...] = ()
    retries: int = 0
    refreshes: int = 0
    longest_transaction: float = 0.0
    resumes: int = 0
    rechecks: int = 0

    @property
    def rows(self) -> int:
        return sum(chunk.rows for chunk in self.chunks)

    def with_chunk(self, chunk: Chunk) -> State:
        """Returns the state after a chunk was published."""
        chunks = sorted([*self.chunks, chunk], key=lambda each: each.span.number)
        planned = tuple(span for span in self.planned if span.number != chunk.span.number)
        return replace(self, chunks=tuple(chunks), planned=planned)

    def without(self, numbers: set[int]) -> State:
        """Returns the state in which some chunks must be made again."""
        again = [chunk.span for chunk in self.chunks if chunk.span.number in numbers]
        planned = sorted([*self.planned, *again], key=lambda span: span.number)
        chunks = tuple(chunk for chunk in self.chunks if chunk.span.number not in numbers)
        return replace(self, chunks=chunks, planned=tuple(planned))


def encode(state: State) -> bytes:
    """Writes the state with its checksum."""
    body = json.dumps({"version": VERSION, **asdict(state)}, ensure_ascii=False, sort_keys=True)
    return f"{sha256(body.encode()).hexdigest()}\n{body}\n".encode()


def decode(content: bytes) -> State | None:
    """Reads what `encode` wrote; None where it is not whole.

    Raises:
        IncompleteError: it is whole, but of another version.
    """
    checksum, _, body = content.removesuffix(b"\n").partition(b"\n")
    if sha256(body).hexdigest().encode() != checksum:
        return None
    read: dict[str, Any] = json.loads(body)
    if read.pop("version") != VERSION:
        raise IncompleteError("the checkpoint is of another version of Tallymark: resume with that one, or start again")
    read["chunks"] = tuple(Chunk(**{**chunk, "span": _span(chunk["span"])}) for chunk in read["chunks"])
    read["planned"] = tuple(map(_span, read["planned"]))
    return State(**read)


def _span(read: dict[str, Any]) -> Span:
    lower, upper = (None if read[end] is None else tuple(read[end]) for end in ("lower", "upper"))
    return Span(read["number"], read["rows_wanted"], lower, upper)


def require_equal(before: Mapping[str, Any], now: Mapping[str, Any], place: str) -> None:
    """Refuses to go on with another table or other settings than those of the checkpoint.

    Raises:
        ConfigError: it lists what differs, before and now.
    """
    plain = json.loads(json.dumps(now))
    changed = [name for name in sorted({*before, *plain}) if before.get(name) != plain.get(name)]
    if changed:
        lines = [
            f"  {name}: it was {_short(before.get(name))}, now it is {_short(plain.get(name))}" for name in changed
        ]
        raise ConfigError(
            f"{place} holds an unfinished export with other settings or of a table that was changed since:\n"
            + "\n".join(lines)
            + "\nResume with the settings of then, or start again with --overwrite."
        )


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else text[:297] + "..."
