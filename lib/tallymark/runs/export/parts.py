"""Makes one chunk: COPY into a temporary file, then its publication; and reads it again for a proof.

What a file looks like inside is decided by a `Form`: raw bytes here, Arrow in `arrow_parts`. Called by the workers of
`tallymark.runs.export.run`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql

from tallymark.errors import IncompleteError
from tallymark.export.checkpoint import Chunk
from tallymark.export.spans import Cutter, Span, free_name
from tallymark.io.copy_out import Block, CopyOut
from tallymark.io.folder import Folder
from tallymark.runs.export.sessions import Sessions

# JSON text has no control characters but between its tokens, where they may as well be blanks. A quote and a
# delimiter that never occur keep COPY from quoting it.
_JSON = (
    "COPY (SELECT pg_catalog.translate(pg_catalog.row_to_json({row})::text, E'\\r\\n\\t', '   ') FROM ({query}) {row}) "
    "TO STDOUT (FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01')"
)
CSV = "COPY ({query}) TO STDOUT (FORMAT csv)"
_HEADER = "COPY (SELECT {} FROM {} LIMIT 0) TO STDOUT (FORMAT csv, HEADER)"
_GRACE_SECONDS = 15  # a server that times out a statement tells so within this time


class PartFile(Protocol):
    """A file being written."""

    def write(self, block: Block) -> None: ...

    def close(self) -> None: ...


class Comparison(PartFile, Protocol):
    """Rows being compared with those of a part."""

    differs: bool


@dataclass(frozen=True)
class Form:
    """The form of the parts: the ending of their names, the COPY, what comes before the first row, how a file is made.

    ``publish`` is None where a part is a file in the folder. ``compare`` makes what is given the source's rows again,
    and knows then whether a part holds them; None where checksums tell.
    """

    suffix: str
    copy: str
    header: bytes
    open: Callable[[Path], PartFile]
    publish: Callable[[Span, Path, int], None] | None = None
    compare: Callable[[Chunk], Comparison] | None = None

    @property
    def is_raw(self) -> bool:
        """Whether the file holds what COPY sent, so that they have one checksum."""
        return self.suffix in {"csv", "jsonl"}


class RawPart:
    """What COPY sent, as it came."""

    def __init__(self, path: Path, header: bytes) -> None:
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 - closed by close
        self.write(header)

    def write(self, block: Block) -> None:
        rest = memoryview(block)
        while rest:
            rest = rest[self._file.write(rest) :]

    def close(self) -> None:
        self._file.close()


def raw_form(
    connection: psycopg.Connection[Any], cutter: Cutter, table: sql.Composable, kind: str, merge: bool
) -> Form:
    """Returns the form of CSV or JSON Lines; parts that will be merged have no header of their own."""
    if kind == "jsonl":
        return Form("jsonl", _JSON, b"", lambda path: RawPart(path, b""))
    header = b"" if merge else csv_header(connection, cutter, table)
    return Form("csv", CSV, header, lambda path: RawPart(path, header))


def csv_header(connection: psycopg.Connection[Any], cutter: Cutter, table: sql.Composable) -> bytes:
    """Returns the header as PostgreSQL writes it."""
    statement = sql.SQL(_HEADER).format(cutter.selection.column_list, table)
    return b"".join(map(bytes, CopyOut(connection, statement.as_bytes(connection), _GRACE_SECONDS, header=True)))


class Parts:
    """Makes and checks the parts of one export.

    Args:
        workers: how many are copied at the same time; while one is being published another may be copied.
        wall_clock: seconds since 1970; ``memory``: bytes that the process holds now.
    """

    def __init__(
        self,
        sessions: Sessions,
        cutter: Cutter,
        form: Form,
        folder: Folder,
        *,
        workers: int,
        timeout: float,
        wall_clock: Callable[[], float],
        memory: Callable[[], int],
    ) -> None:
        self._sessions = sessions
        self._cutter = cutter
        self._form = form
        self._folder = folder
        self._workers = workers
        self._slots = threading.BoundedSemaphore(workers)
        self._patience = timeout + _GRACE_SECONDS
        self._wall_clock = wall_clock
        self._memory = memory
        self.rows_read = 0  # for the progress, so it may be a little wrong while two threads add to it

    def make(self, span: Span) -> Chunk:
        """Copies and publishes one chunk.

        Raises:
            TallymarkError: it could not be read or written.
        """
        name = f"part-{span.number:08}.{self._form.suffix}"
        with self._slots:
            started, begin = self._wall_clock(), time.monotonic()
            copied, attempts = self._sessions.run(
                lambda connection: self._copy(connection, span, self._folder.temporary(name)), f"chunk {span.number}"
            )
            seconds, memory = time.monotonic() - begin, self._memory()
        rows, source_bytes, digest = copied
        path = self._folder.temporary(name)
        file_digest, size = digest if self._form.is_raw else _digest_of(path), path.stat().st_size
        has_part = bool(rows) or span.number == 1
        if not has_part:
            path.unlink()
        elif self._form.publish is None:
            self._folder.publish(name)
        else:
            self._folder.check()
            self._form.publish(span, path, rows)
            path.unlink()
        is_file = has_part and self._form.publish is None
        return Chunk(
            span=span,
            part=name if is_file else None,
            rows=rows,
            bytes=size if has_part else 0,
            source_bytes=source_bytes,
            sha256=file_digest if is_file else None,
            source_sha256=digest,
            attempts=attempts,
            started=started,
            seconds=seconds,
            memory=memory,
        )

    def _copy(self, connection: psycopg.Connection[Any], span: Span, path: Path) -> tuple[int, int, str]:
        try:
            file = self._form.open(path)
            try:
                read = self._read(connection, span, file.write)
            finally:
                file.close()
            self.rows_read += read[0]
            return read
        except OSError as error:
            cause = error.strerror or type(error).__name__
            raise IncompleteError(f"cannot write {path}: {cause}; check the rights and the free space") from error

    def _read(
        self, connection: psycopg.Connection[Any], span: Span, write: Callable[[Block], None]
    ) -> tuple[int, int, str]:
        """Returns rows, bytes and SHA-256 of what the source holds of a span, and passes it on."""
        row = free_name(self._cutter.selection.columns)
        statement = sql.SQL(self._form.copy).format(query=self._cutter.query(span), row=row)
        copy = CopyOut(connection, statement.as_bytes(connection), self._patience)
        digest, size = sha256(self._form.header), 0
        for block in copy:
            digest.update(block)
            write(block)
            size += len(block)
        return copy.rows, size, digest.hexdigest()

    def source_holds(self, chunk: Chunk) -> bool:
        """Reads the chunk's rows again from the source: whether they are those that were copied."""
        return self._holds(chunk, lambda _chunk: None)

    def both_hold(self, chunk: Chunk) -> bool:
        """The same, and whether the part, read again too, holds these rows."""
        return self._holds(chunk, self._form.compare or (lambda _chunk: None))

    def _holds(self, chunk: Chunk, compare: Callable[[Chunk], Comparison | None]) -> bool:
        def read(connection: psycopg.Connection[Any]) -> bool:
            comparison = compare(chunk)
            if comparison is None:
                rows, _, digest = self._read(connection, chunk.span, lambda _block: None)
            else:
                rows, _, digest = self._read(connection, chunk.span, comparison.write)
                comparison.close()
            is_same = comparison is None or not comparison.differs
            return is_same and (rows, digest) == (chunk.rows, chunk.source_sha256)

        with self._slots:
            return self._sessions.run(read, f"reading chunk {chunk.span.number} again")[0]

    def differing(self, chunks: Iterable[Chunk], holds: Callable[[Chunk], bool]) -> set[int]:
        """Returns the numbers of the chunks that a proof denies; as many are looked at at once as are copied."""
        chunks = list(chunks)
        with ThreadPoolExecutor(self._workers, thread_name_prefix="proof") as pool:
            return {chunk.span.number for chunk, held in zip(chunks, pool.map(holds, chunks)) if not held}

    def file_holds(self, chunk: Chunk) -> bool:
        """Reads the chunk's file again: whether it is the one that was written."""
        if chunk.part is None:
            return True
        digest = sha256()
        for block in self._folder.chunks(chunk.part):
            digest.update(block)
        return digest.hexdigest() == chunk.sha256


def _digest_of(path: Path) -> str:
    digest = sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
