"""Stored objects, on S3, on GCS or in local folders, behind one set of verbs: list, read, checksum, put, get.

``ObjectStore`` is a picklable value: the driver makes it from its environment and sends it to the
workers. It holds no credentials; each process finds its own through the default chain of boto3 or of Google.
The backends, ``local``, ``s3`` and ``gcs``, are imported when first needed: boto3 costs a Python worker
0.2 s that a run over local files need not pay, and the client of Google need not be installed.
Who may read what, and why, is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from tallymark.errors import ConfigError, ObjectError
from tallymark.io.stored import GENERATION, GcsSettings, S3Settings, StoredObject, shown
from tallymark.io.uris import is_remote, is_s3, normalise_uri

if TYPE_CHECKING:
    from tallymark.io.read_ahead import ReadAhead
    from tallymark.io.remote import Remote


CHUNK_SIZE = 1 << 20
_ASKED_AT_ONCE = 32
_PLAIN_MD5 = re.compile(r"[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """The verbs on stored objects, for S3, GCS and local files alike; every uri may be in any accepted form."""

    s3: S3Settings = field(default_factory=S3Settings)
    gcs: GcsSettings = field(default_factory=GcsSettings)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> ObjectStore:
        """Take the settings of the driver along to the executors."""
        return cls(S3Settings.from_environment(environ), GcsSettings.from_environment(environ))

    def _remote(self, uri: str) -> Remote:
        """Return the backend of a normalised uri that is not local."""
        if is_s3(uri):
            from tallymark.io.s3 import S3

            return S3(self.s3)
        try:
            from tallymark.io.gcs import Gcs
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"{shown(uri)}: {error.name} is not installed; for places on gs:// run: pip install 'tallymark[gcs]'"
            ) from error
        return Gcs(self.gcs)

    def list_objects(self, prefix_uri: str) -> Iterator[StoredObject]:
        """Yield every object below a folder, or the one object that the uri names, ordered by ``path``.

        Recursive; hidden and empty objects count, empty folder markers of a bucket do not. The order is that of
        code points (an S3 Express bucket promises none). A prefix in a bucket without objects yields nothing.

        Raises:
            ConfigError: the place or the credentials do not exist.
            IncompleteError: something could not be listed, so the listing would not be whole.
        """
        uri = normalise_uri(prefix_uri)
        if is_remote(uri):
            return self._remote(uri).list_objects(uri)
        from tallymark.io import local

        return local.list_files(uri)

    def read_chunks(self, obj: StoredObject, chunk_size: int = CHUNK_SIZE) -> Iterator[bytes]:
        """Stream the raw bytes of exactly the state that was listed, in bounded memory.

        Raises:
            ObjectError: CHANGED_DURING_RUN, DELETED_DURING_RUN, ACCESS_DENIED, SHORT_READ, and for S3 and GCS
                UNAVAILABLE, ARCHIVED, NO_CREDENTIALS, CHECKSUM_MISMATCH, UNREADABLE.
        """
        if is_remote(obj.uri):
            from tallymark.io.read_ahead import read_chunks

            return read_chunks(self._remote(obj.uri), obj, chunk_size)
        from tallymark.io import local

        return local.read_chunks(obj, chunk_size)

    @contextmanager
    def read_ahead(self, coming: Iterable[StoredObject]) -> Iterator[ObjectStore]:
        """Give a store that asks for the objects to come while others are read; local ones cost nothing.

        ``coming`` are the objects that will surely be read, in their order; it is only a hint. The store belongs to
        one thread, and what it reads to this context: at its end all requests and threads end.
        """
        remote = [obj for obj in coming if is_remote(obj.uri)]
        if not remote:
            yield self
            return
        from tallymark.io.read_ahead import ReadAhead

        with ReadAhead(lambda obj: self._remote(obj.uri), CHUNK_SIZE, remote) as ahead:
            yield _ReadingAhead(self.s3, self.gcs, ahead=ahead)

    def checksum(self, obj: StoredObject) -> str | None:
        """Return ``SHA256:...``, ``CRC64NVME:...`` or ``MD5:...`` if the store keeps one over the whole object."""
        return self._remote(obj.uri).checksum(obj) if is_remote(obj.uri) else None

    def checksums(self, objects: Iterable[StoredObject]) -> dict[str, str]:
        """Return what ``checksum`` tells of the objects whose ETag tells nothing of their bytes, by uri.

        One request an object, ``_ASKED_AT_ONCE`` at a time. An object that cannot be asked is left out.
        """
        vague = (obj for obj in objects if is_s3(obj.uri) and single_part_md5(obj) is None)
        with ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="tallymark-s3") as pool:
            found: dict[str, str] = {}
            while some := list(islice(vague, 100 * _ASKED_AT_ONCE)):
                told = zip(some, pool.map(self._checksum_or_none, some), strict=True)
                found |= {obj.uri: text for obj, text in told if text is not None}
        return found

    def _checksum_or_none(self, obj: StoredObject) -> str | None:
        with suppress(ObjectError):  # whoever reads it will say so
            return self.checksum(obj)
        return None

    def stat(self, uri: str) -> StoredObject | None:
        """Return the one object at exactly this uri (a folder is none), or None."""
        uri = normalise_uri(uri)
        if is_remote(uri):
            return self._remote(uri).stat(uri)
        from tallymark.io import local

        return local.stat(uri)

    def exists(self, uri: str) -> bool:
        """Tell whether there is an object (not a folder) at exactly this uri."""
        return self.stat(uri) is not None

    def put_file(self, source: Path, uri: str) -> None:
        """Publish a finished local file at a uri: readers see the old object or the new one, never a part.

        Missing folders are made; ``source`` stays where it is.
        """
        uri = normalise_uri(uri)
        if is_remote(uri):
            return self._remote(uri).put_file(source, uri)
        from tallymark.io import local

        return local.publish_file(source, uri)

    def put_file_if(self, source: Path, uri: str, etag: str | None) -> str:
        """Publish a file like ``put_file``, but only over the state that the caller knows; returns the new state.

        The store itself compares, so of any number of writers that know the same state one succeeds.

        Args:
            etag: ``StoredObject.state`` of what is replaced (``stat`` tells it), or None: there must be nothing.

        Raises:
            LockedError: the object is another one by now, or gone, or there although it must not be.
        """
        uri = normalise_uri(uri)
        if is_remote(uri):
            return self._remote(uri).put_file_if(source, uri, etag)
        from tallymark.io import local

        return local.publish_file_if(source, uri, etag)

    def delete_object(self, uri: str) -> None:
        """Remove the object at a uri; one that is not there is no error."""
        uri = normalise_uri(uri)
        if is_remote(uri):
            return self._remote(uri).delete_object(uri)
        from tallymark.io import local

        return local.delete_file(uri)

    def get_file(self, uri: str, target: Path) -> bool:
        """Copy the object at a uri into a local file, whole or not at all; False if there is none."""
        obj = self.stat(uri)
        if obj is None:
            return False
        from tallymark.io import local

        local.publish_chunks(self.read_chunks(obj), str(target))
        return True


@dataclass(frozen=True, slots=True)
class _ReadingAhead(ObjectStore):
    """An ``ObjectStore`` inside of ``read_ahead``; it stays in its process."""

    ahead: ReadAhead = field(kw_only=True)

    def read_chunks(self, obj: StoredObject, chunk_size: int = CHUNK_SIZE) -> Iterator[bytes]:
        if is_remote(obj.uri) and chunk_size == CHUNK_SIZE:
            return self.ahead.read_chunks(obj)
        return ObjectStore.read_chunks(self, obj, chunk_size)


def single_part_md5(obj: StoredObject) -> str | None:
    """Return the ETag if it looks like the plain MD5 of one upload; the ETag of many parts (``...-3``) does not."""
    return obj.etag.lower() if obj.etag and _PLAIN_MD5.fullmatch(obj.etag) else None


def is_told_by_generation(obj: StoredObject) -> bool:
    """Tell whether the ETag names the generation, which no other content of the object ever has."""
    return obj.etag is not None and obj.etag.startswith(GENERATION)
