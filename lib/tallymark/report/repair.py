"""Writes the files with which a backup is repaired: what to copy again, and the records that one side lacks.

Every file is written on every run and may be empty, so that a script need not ask. The records are exact, as they
were read, one a line. Called by the reconcile job; copying is left to the user and to rclone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

COPY_AGAIN = "copy_again.txt"
LEFT_OUT = "copy_again_left_out.jsonl"
RECORDS = {
    "source_only": ("missing_in_backup.jsonl", "missing_in_backup_invalid.jsonl"),
    "backup_only": ("missing_in_source.jsonl", "missing_in_source_invalid.jsonl"),
}
_CHUNK = 1 << 20
# S3 takes them for names. In a folder ../x lies outside of it, and rclone takes a//b for a/b.
_LEADS_NOWHERE = {"", ".", ".."}


def write_repair(
    files: Iterable[pa.RecordBatch],
    mismatches: Iterable[pa.RecordBatch],
    folder: Path,
    *,
    source: str = "",
    backup: str = "",
) -> list[Path]:
    """Writes the six files into ``folder``; returns their paths.

    - ``copy_again.txt``: source objects whose copy lacks records, has changed ones, or is absent or unreadable; one
      path below the source prefix a line, for ``rclone copy --files-from-raw copy_again.txt SOURCE BACKUP`` (not
      ``--files-from``, which takes lines that start with ``#`` or ``;`` for comments). A file whose records were all
      found in other files of the backup is not in it, nor one of which only the source cannot be read.
    - ``copy_again_left_out.jsonl``: such paths that a line cannot hold (a newline inside, a carriage return at the
      end) or that could lead a copying tool elsewhere (``..``, ``.`` or nothing between slashes), as JSON strings.
    - ``missing_in_backup.jsonl``, ``missing_in_source.jsonl``: the valid records, each as often as it is missing, on
      one line each (newlines between tokens become spaces).
    - ``missing_in_..._invalid.jsonl``: the others as objects ``{content, count, file_path, hash, reason}``.

    Args:
        source: the source prefix; needed where ``source_path`` is a whole URI.
        backup: the backup prefix; with it an ERROR row is told to be the backup's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in (COPY_AGAIN, LEFT_OUT, *RECORDS["source_only"], *RECORDS["backup_only"])]
    with ExitStack() as stack:
        again, left_out, *records = [stack.enter_context(path.open("wb")) for path in paths]
        for path in _copy_again(files, source, backup):
            if "\n" in path or path.endswith("\r") or not _LEADS_NOWHERE.isdisjoint(path.split("/")):
                left_out.write(json.dumps(path).encode() + b"\n")
            else:
                again.write(path.encode("utf-8", "surrogateescape") + b"\n")
        for batch in mismatches:
            for kind, (valid, invalid) in zip(RECORDS, (records[:2], records[2:])):
                _write_records(batch.filter(pc.equal(batch.column("bucket_type"), kind)), valid, invalid)
    return paths


def _copy_again(files: Iterable[pa.RecordBatch], source: str, backup: str) -> Iterator[str]:
    names = ("source_path", "backup_path", "missing_in_backup", "mismatched_records", "moved_out", "error")
    for batch in files:
        for original, copy, missing, changed, moved, error in zip(*(batch.column(name).to_pylist() for name in names)):
            if original is None:
                continue
            absent = copy is None and not moved
            if missing or changed or absent or _names_backup(error, copy, original, source, backup):
                yield _relative(original, source)


def _names_backup(error: str | None, copy: str | None, original: str, source: str, backup: str) -> bool:
    """Tells whether the error is of the backup's object; when in doubt no, as a copy could overwrite a sound backup."""
    if not error or copy is None:
        return False
    its_uri, other_uri = (_uri(path, prefix) for path, prefix in ((copy, backup), (original, source)))
    return its_uri in error and its_uri != other_uri and not (other_uri in error and its_uri in other_uri)


def _uri(path: str, prefix: str) -> str:
    return path if not prefix or path.startswith(prefix) else f"{prefix.rstrip('/')}/{path}"


def _relative(path: str, prefix: str) -> str:
    root = prefix.rstrip("/") + "/"
    return path.removeprefix(root) if prefix else path


def _write_records(batch: pa.RecordBatch, valid: BinaryIO, invalid: BinaryIO) -> None:
    content = pc.coalesce(batch.column("json_content"), batch.column("backup_content"))
    sound = pc.and_(pc.is_null(batch.column("reason")), pc.is_valid(content))
    lines = pc.replace_substring_regex(content.filter(sound), r"[\r\n]", " ")
    for line, count in zip(lines.to_pylist(), batch.column("count").filter(sound).to_pylist()):
        _repeat(line.encode() + b"\n", count, valid)
    broken = batch.append_column("content", content).filter(pc.invert(sound))
    invalid.writelines(
        json.dumps(row, ensure_ascii=False).encode() + b"\n"
        for row in broken.select(["content", "count", "file_path", "hash", "reason"]).to_pylist()
    )


def _repeat(line: bytes, count: int, file: BinaryIO) -> None:
    at_once = max(1, _CHUNK // len(line))
    while count > 0:
        file.write(line * min(count, at_once))
        count -= at_once
