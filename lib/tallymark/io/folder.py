"""A folder that a job fills file by file, local or on S3: each file is whole or not there.

A file is written to a local path first (`temporary`) and published when it is finished: by fsync and rename where the
folder is local, by one upload where it is on S3. Knows no business.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tallymark.errors import IncompleteError
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import is_remote, join

_TEMPORARY = ".tmp"
_BLOCK = 1 << 17


@dataclass(frozen=True)
class Folder:
    """A folder; ``scratch`` is where unfinished files lie, in the folder itself where that is local.

    ``check`` raises where nothing more may be published, such as that of a lock.
    """

    store: ObjectStore
    uri: str
    scratch: Path
    check: Callable[[], None]

    @classmethod
    def at(cls, store: ObjectStore, uri: str, check: Callable[[], None] = lambda: None) -> Folder:
        """Makes the folder where it is missing.

        Raises:
            IncompleteError: it cannot be made.
        """
        try:
            if is_remote(uri):
                return cls(store, uri, Path(tempfile.mkdtemp(prefix="tallymark-")), check)
            Path(uri).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _failed(uri, error) from error
        return cls(store, uri, Path(uri), check)

    def temporary(self, name: str) -> Path:
        """Where the file ``name`` is written before it is published."""
        return self.scratch / f".{name}{_TEMPORARY}"

    def publish(self, name: str) -> None:
        """Makes the temporary file the file ``name``; an older one of this name is replaced.

        Its content is on the disk then, its name only after the next `write` into this folder.

        Raises:
            IncompleteError: it could not be written; and whatever ``check`` raises.
        """
        self.check()
        temporary = self.temporary(name)
        if is_remote(self.uri):
            self.store.put_file(temporary, join(self.uri, name))
            temporary.unlink()
            return
        try:
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, self.scratch / name)
        except OSError as error:
            raise _failed(str(self.scratch / name), error) from error

    def write(self, name: str, content: bytes) -> None:
        """Publishes a small file, and makes it and all that was published before outlast a loss of power."""
        try:
            self.temporary(name).write_bytes(content)
            self.publish(name)
            if not is_remote(self.uri):
                _sync(self.scratch)
        except OSError as error:
            raise _failed(f"{self.uri}/{name}", error) from error

    def copy(self, name: str, target: str) -> None:
        """Publishes a small file once more under another name; nothing happens where there is none."""
        if is_remote(self.uri):
            content = self.read(name)
            if content is not None:
                self.write(target, content)
        elif (self.scratch / name).exists():
            temporary = self.temporary(target)
            temporary.unlink(missing_ok=True)
            os.link(self.scratch / name, temporary)  # what is replaced later keeps its content under this name
            os.replace(temporary, self.scratch / target)

    def read(self, name: str) -> bytes | None:
        """Returns the content of a file, or None if there is none."""
        found = self.store.stat(join(self.uri, name))
        return None if found is None else b"".join(self.store.read_chunks(found))

    def chunks(self, name: str) -> Iterator[bytes]:
        """Streams a file that must be there.

        Raises:
            IncompleteError: it is not, or it cannot be read.
        """
        found = self.store.stat(join(self.uri, name))
        if found is None:
            raise _gone(join(self.uri, name))
        return self.store.read_chunks(found, _BLOCK)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """Gives a local path to a file that must be there; one on S3 is fetched for the time of the context.

        Raises:
            IncompleteError: it is not there, or it cannot be read.
        """
        if not is_remote(self.uri):
            if not Path(self.uri, name).exists():
                raise _gone(join(self.uri, name))
            yield Path(self.uri, name)
            return
        path = self.scratch / Path(name).name
        if not self.store.get_file(join(self.uri, name), path):
            raise _gone(join(self.uri, name))
        try:
            yield path
        finally:
            path.unlink()

    def read_size(self, name: str) -> int | None:
        """Returns the size of a file in bytes, or None if there is none."""
        found = self.store.stat(join(self.uri, name))
        return None if found is None else found.size

    def sizes(self) -> dict[str, int]:
        """Returns the files and their sizes in bytes, without the temporary ones."""
        found = {obj.path: obj.size for obj in self.store.list_objects(self.uri)}
        return {path: size for path, size in found.items() if not path.endswith(_TEMPORARY)}

    def remove(self, name: str) -> None:
        """Removes a file that may be missing."""
        self.store.delete_object(join(self.uri, name))

    def discard(self, names: str) -> None:
        """Removes unfinished files whose names match a glob."""
        for path in self.scratch.glob(f".{names}{_TEMPORARY}"):
            path.unlink()

    def close(self) -> None:
        """Removes the scratch folder where it is not the folder itself."""
        if is_remote(self.uri):
            shutil.rmtree(self.scratch, ignore_errors=True)


def remove_if_empty(uri: str) -> None:
    """Removes a local folder in which nothing is left; S3 has no empty folders."""
    if not is_remote(uri):
        with suppress(OSError):
            Path(uri).rmdir()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _gone(place: str) -> IncompleteError:
    return IncompleteError(f"{place} is gone: make it again")


def _failed(place: str, error: OSError) -> IncompleteError:
    cause = error.strerror or type(error).__name__
    return IncompleteError(f"cannot write {place}: {cause}; check the rights and the free space of its folder")
