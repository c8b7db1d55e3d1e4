"""Objects in local folders: list, read and publish files. Called by ``objects`` only.

A file is read as the state that was listed (size, time of change, inode) or not at all. Publishing
goes through a hidden file in the target's own folder, so that a crash never leaves half an object.
Inodes and times are those of the file system: two writes of equal size within one tick of its clock
(4 ms on ext4) look the same.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat as mode
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from tallymark.errors import ConfigError, IncompleteError, ObjectError
from tallymark.io.stored import StoredObject, changed_meanwhile, shown
from tallymark.retry import RetryPolicy, call

_Folder = tuple[int, int]  # device and inode: what makes two folders one
_OTHER_WRITER = RetryPolicy(attempts=20, base_seconds=0.01, cap_seconds=0.2)  # it only renames: that is quick


def list_files(root: str) -> Iterator[StoredObject]:
    """Yield the file ``root``, or every file below the folder ``root``, ordered by the shown path.

    Links to files and folders are followed; a link to a folder that contains it is not.
    """
    try:
        status = os.stat(root)
    except (FileNotFoundError, NotADirectoryError) as error:
        advice = "check the path given to the job (such as --source)"
        raise ConfigError(f"no such folder or file: {shown(root)}; {advice}") from error
    except OSError as error:
        raise _listing_error(root, error) from error
    if not mode.S_ISDIR(status.st_mode):
        yield _stored(root, os.path.basename(root), status)
        return
    stack = [(root, status, frozenset[_Folder]())]
    while stack:
        path, status, above = stack.pop()
        if not mode.S_ISDIR(status.st_mode):
            yield _stored(path, _relative(path, root), status)
            continue
        folder = (status.st_dev, status.st_ino)
        if folder not in above:
            children = _children(path)
            stack.extend((child, child_status, above | {folder}) for child, child_status in reversed(children))


def _children(folder: str) -> list[tuple[str, os.stat_result]]:
    """Return the entries of a folder in the order in which the paths below them sort."""
    current = folder
    found: list[tuple[str, str, os.stat_result]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                current = entry.path
                status = os.stat(current)
                slash = "/" if mode.S_ISDIR(status.st_mode) else ""
                found.append((shown(entry.name) + slash, current, status))
    except OSError as error:
        raise _listing_error(current, error) from error
    return [(path, status) for _, path, status in sorted(found, key=lambda item: item[:2])]


def _relative(path: str, root: str) -> str:
    relative = path[len(root.rstrip("/")) + 1 :]
    readable = shown(relative)
    if readable != relative and os.path.lexists(os.path.join(root, readable)):
        raise IncompleteError(
            f"two files below {shown(root)} are both shown as {readable}: the name of one is not UTF-8; rename it"
        )
    return readable


def _stored(path: str, relative: str, status: os.stat_result) -> StoredObject:
    if not mode.S_ISREG(status.st_mode):
        raise IncompleteError(f"{shown(path)} is a device, pipe or socket, not a file: move it out of the folder")
    return StoredObject(shown(relative), path, status.st_size, None, status.st_mtime_ns, status.st_ino, None)


def _listing_error(path: str, error: OSError) -> IncompleteError:
    if isinstance(error, PermissionError):
        return IncompleteError(f"no permission to list {shown(path)}: give this user read and execute rights on it")
    if isinstance(error, FileNotFoundError):
        cause = "its link leads nowhere" if os.path.islink(path) else "it vanished while the folder was listed"
        return IncompleteError(f"cannot list {shown(path)}: {cause}; repair or remove it and run again")
    return IncompleteError(f"cannot list {shown(path)}: {_cause(error)}; repair or remove it and run again")


def stat(path: str) -> StoredObject | None:
    """Return the file at exactly this path, or None if there is none or a folder."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise IncompleteError(f"cannot look at {shown(path)}: {_cause(error)}; check its folder's rights") from error
    return None if mode.S_ISDIR(status.st_mode) else _stored(path, os.path.basename(path), status)


def read_chunks(obj: StoredObject, chunk_size: int) -> Iterator[bytes]:
    """Stream the bytes of a file that is still as it was listed."""
    try:
        with open(obj.uri, "rb", buffering=0) as file:
            _check_unchanged(file.fileno(), obj)
            delivered = 0
            while chunk := file.read(chunk_size):
                delivered += len(chunk)
                yield chunk
            _check_unchanged(file.fileno(), obj)
    except OSError as error:
        raise _reading_error(obj, error) from error
    if delivered != obj.size:
        raise ObjectError(shown(obj.uri), "SHORT_READ", f"{delivered} of {obj.size} bytes came; check the disk")


def _check_unchanged(descriptor: int, obj: StoredObject) -> None:
    now = os.fstat(descriptor)
    if (now.st_size, now.st_mtime_ns, now.st_ino) != (obj.size, obj.modified_ns, obj.inode):
        detail = f"it had {obj.size} bytes when it was listed and was written since; run again when it is at rest"
        raise ObjectError(shown(obj.uri), "CHANGED_DURING_RUN", detail)


def _reading_error(obj: StoredObject, error: OSError) -> ObjectError:
    if isinstance(error, FileNotFoundError):
        return ObjectError(shown(obj.uri), "DELETED_DURING_RUN", "it was listed and is gone; restore it and run again")
    if isinstance(error, PermissionError):
        return ObjectError(shown(obj.uri), "ACCESS_DENIED", "give this user the right to read it")
    return ObjectError(shown(obj.uri), "UNREADABLE", f"{_cause(error)}; check the disk")


def publish_file(source: Path, path: str) -> None:
    """Copy a finished file to ``path``, all or nothing."""

    def copy(target: BinaryIO) -> None:
        with open(source, "rb") as file:
            shutil.copyfileobj(file, target, 1 << 20)

    _publish(copy, path)


def publish_file_if(source: Path, path: str, etag: str | None) -> str:
    """Copy a finished file to ``path`` if that is still in the state ``etag`` (None: not there); returns the new state.

    A new name is made by a hard link, which the file system refuses where there is one. An old file is replaced under
    an ``flock`` on that file itself: who comes later finds another file under its name. So no guard lies beside it.
    """

    def replace(hidden: str, target: str) -> None:
        with suppress(FileNotFoundError, BlockingIOError), open(target, "rb+") as known:
            call(lambda: fcntl.flock(known, fcntl.LOCK_EX | fcntl.LOCK_NB), _OTHER_WRITER, _is_busy)
            now = stat(target)
            if now and now.state == etag:
                return os.replace(hidden, target)
        raise changed_meanwhile(path)

    def create(hidden: str, target: str) -> None:
        try:
            os.link(hidden, target)
        except FileExistsError:
            raise changed_meanwhile(path) from None
        os.unlink(hidden)

    with open(source, "rb") as file:
        status = _publish(lambda target: shutil.copyfileobj(file, target, 1 << 20), path, replace if etag else create)
    return _stored(path, path, status).state


def delete_file(path: str) -> None:
    """Remove a file."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise IncompleteError(f"cannot remove {shown(path)}: {_cause(error)}; check its folder's rights") from error


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, BlockingIOError)


def publish_chunks(chunks: Iterable[bytes], path: str) -> None:
    """Write chunks to ``path``, all or nothing."""
    _publish(lambda target: target.writelines(chunks), path)


def _publish(
    write: Callable[[BinaryIO], None], path: str, place: Callable[[str, str], None] = os.replace
) -> os.stat_result:
    folder, name = os.path.split(os.path.abspath(path))
    hidden = os.path.join(folder, f".tallymark-{uuid4().hex}.tmp")
    try:
        os.makedirs(folder, exist_ok=True)
        try:
            with open(hidden, "xb") as target:
                write(target)
                target.flush()
                os.fsync(target.fileno())
                status = os.fstat(target.fileno())
            place(hidden, os.path.join(folder, name))
            _sync_folder(folder)
            return status
        except BaseException:  # Ctrl-C too must leave no half-written file
            with suppress(FileNotFoundError):
                os.unlink(hidden)
            raise
    except OSError as error:
        advice = "check the rights and the free space of its folder"
        raise IncompleteError(f"cannot write {shown(path)}: {_cause(error)}; {advice}") from error


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cause(error: OSError) -> str:
    return error.strerror or type(error).__name__
