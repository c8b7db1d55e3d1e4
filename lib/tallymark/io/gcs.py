"""Objects on Google Cloud Storage, through google-cloud-storage: the verbs. Called by ``objects`` only.

Clients are in ``gcs_client``, what an error means in ``gcs_errors``. Retries are those of ``tallymark.retry``, as for
every other store; the client's own are off.

An object is read as the generation that was listed, in its stored bytes (``Content-Encoding: gzip`` is not undone),
and their CRC32C is compared with the one that GCS keeps. A composite object has no MD5, and a CRC32C of 32 bits proves
no two objects equal: such a pair is compared.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import google_crc32c
from google.cloud.storage import Blob

from tallymark.errors import ConfigError, ObjectError
from tallymark.io.gcs_client import bucket
from tallymark.io.gcs_errors import FAILURES, is_passing, object_error, place_error, reading_error, status_of
from tallymark.io.read_ahead import read_chunks
from tallymark.io.remote import Sleep
from tallymark.io.stored import GENERATION, GcsSettings, StoredObject, changed_meanwhile, holds, split_uri
from tallymark.retry import call

T = TypeVar("T")

_TIMEOUTS = (5, 60)  # seconds to connect, and between bytes
_ONCE: dict[str, Any] = {"timeout": _TIMEOUTS, "retry": None}
_FIELDS = "items(name,size,generation,md5Hash,crc32c,timeCreated),nextPageToken"


@dataclass(frozen=True, slots=True)
class Gcs:
    """The verbs of ``remote.Remote``; every uri is normalised."""

    settings: GcsSettings

    def list_objects(self, uri: str) -> Iterator[StoredObject]:
        """Yield every object below a prefix taken as a folder, or else the one object of that name."""
        name, key = split_uri(uri)
        folder = f"{key}/" if key else ""
        found = False
        try:
            for blob in self._listed(name, folder):
                if blob.size or not blob.name.endswith("/"):
                    found = True
                    yield _stored(blob, blob.name[len(folder) :])
            one = self.stat(uri) if key and not found else None
        except FAILURES as error:
            raise place_error(error, uri, f"storage.objects.list on {name}") from error
        if one is not None:
            yield one

    def _listed(self, name: str, prefix: str) -> Iterator[Blob]:
        page, token = self._page(name, prefix, None)
        yield from page
        while token is not None:
            page, token = self._page(name, prefix, token)
            yield from page

    def _page(self, name: str, prefix: str, token: str | None) -> tuple[list[Blob], str | None]:
        def ask() -> tuple[list[Blob], str | None]:
            found = bucket(self.settings, name).list_blobs(prefix=prefix, page_token=token, fields=_FIELDS, **_ONCE)
            return list(next(found.pages, ())), found.next_page_token

        return self._call(ask)

    def stat(self, uri: str) -> StoredObject | None:
        """Return the object at exactly this uri, or None."""
        name, key = split_uri(uri)
        if not key:
            return None
        try:
            blob = self._call(lambda: bucket(self.settings, name).get_blob(key, **_ONCE))
        except FAILURES as error:
            raise place_error(error, uri, f"storage.objects.get and storage.objects.list on {name}") from error
        return None if blob is None else _stored(blob, key.rpartition("/")[2])

    def put_file(self, source: Path, uri: str) -> None:
        """Upload a file in one step: GCS shows an object only when it is whole."""
        try:
            self._put(source, uri)
        except FAILURES as error:
            raise self._writing_error(error, uri) from error

    def put_file_if(self, source: Path, uri: str, etag: str | None) -> str:
        """Upload a file, which GCS refuses unless the object is still of the generation ``etag``.

        A reply can get lost and the request be repeated, and then GCS refuses what it did a moment ago. So an object
        that holds the very bytes of ``source`` counts as written.
        """
        try:
            return self._put(source, uri, if_generation_match=int(etag or 0))
        except FAILURES as error:
            if status_of(error) != 412:
                raise self._writing_error(error, uri) from error
            now = self.stat(uri)
            if now is None or not holds(now.size, read_chunks(self, now, 1 << 20), source):
                raise changed_meanwhile(uri) from error
            return now.state

    def _put(self, source: Path, uri: str, **condition: int) -> str:
        """Upload a file with its CRC32C, and return its generation."""
        name, key = split_uri(uri)
        if not key:
            raise ConfigError(f"{uri} is a bucket, not an object: write gs://BUCKET/KEY")

        def put() -> str:
            blob = bucket(self.settings, name).blob(key)
            blob.upload_from_filename(str(source), checksum="crc32c", **condition, **_ONCE)
            return str(blob.generation)

        return self._call(put)

    def _writing_error(self, error: BaseException, uri: str) -> Exception:
        right = "storage.objects.create, and storage.objects.delete to replace an object,"
        return place_error(error, uri, f"{right} on {split_uri(uri)[0]}")

    def delete_object(self, uri: str) -> None:
        """Remove an object; one that is not there is no error."""
        name, key = split_uri(uri)
        try:
            self._call(lambda: bucket(self.settings, name).blob(key).delete(**_ONCE))
        except FAILURES as error:
            if status_of(error) != 404:
                raise place_error(error, uri, f"storage.objects.delete on {name}") from error

    def checksum(self, obj: StoredObject) -> str | None:
        """Return the MD5 of the whole object, which the listing of an encrypted one (CMEK) leaves out."""
        md5 = self._asked(obj).md5_hash
        return f"MD5:{md5}" if md5 else None

    def _asked(self, obj: StoredObject) -> Blob:
        """Return what GCS tells of exactly the listed generation."""
        name, key = split_uri(obj.uri)

        def ask() -> Blob:
            blob = bucket(self.settings, name).blob(key)
            blob.reload(if_generation_match=_generation(obj), **_ONCE)
            return blob

        try:
            return self._call(ask)
        except FAILURES as error:
            raise reading_error(error, obj) from error

    def read_span(self, obj: StoredObject, span: range, chunk_size: int, sleep: Sleep) -> Generator[bytes, None, None]:
        """Yield a part of an object in chunks, when all of it has come."""
        name, key = split_uri(obj.uri)
        ends = {} if span == range(obj.size) else {"start": span.start, "end": span.stop - 1}

        def get() -> tuple[bytes, int | None]:
            blob = bucket(self.settings, name).blob(key)
            pinned = {"if_generation_match": _generation(obj), **ends}
            return blob.download_as_bytes(raw_download=True, checksum=None, **pinned, **_ONCE), blob.generation

        try:
            content, generation = self._call(get, sleep)
        except FAILURES as error:
            raise reading_error(error, obj) from error
        if generation != _generation(obj):  # a store that ignores the condition
            raise object_error(obj, "CHANGED_DURING_RUN", f"generation {generation} came")
        if len(content) != len(span):
            detail = f"{len(content)} of {len(span)} bytes came from byte {span.start} on; run again"
            raise ObjectError(obj.uri, "SHORT_READ", detail)
        for start in range(0, len(content), chunk_size):
            yield content[start : start + chunk_size]

    def verified(self, obj: StoredObject, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass on the bytes of an object; raise CHECKSUM_MISMATCH at their end where GCS keeps another CRC32C."""
        expected = obj.crc32c or self._asked(obj).crc32c  # the listing of an encrypted one (CMEK) leaves it out
        found = google_crc32c.Checksum()
        for chunk in chunks:
            found.update(chunk)
            yield chunk
        told = base64.b64encode(found.digest()).decode("ascii")
        if expected and told != expected:
            raise object_error(obj, "CHECKSUM_MISMATCH", f"{told}, and {expected} is kept")

    def _call(self, action: Callable[[], T], sleep: Sleep = time.sleep) -> T:
        return call(action, self.settings.retry, is_passing, sleep)


def _generation(obj: StoredObject) -> int:
    return int(obj.version or 0)


def _stored(blob: Blob, path: str) -> StoredObject:
    """Return the object that an answer of GCS tells of."""
    etag = base64.b64decode(blob.md5_hash).hex() if blob.md5_hash else f"{GENERATION}{blob.generation}"
    # When this generation was made: `updated` moves with labels and rights, too.
    modified_ns = round(blob.time_created.timestamp() * 1000) * 1_000_000
    uri = f"gs://{blob.bucket.name}/{blob.name}"
    return StoredObject(path, uri, blob.size, etag, modified_ns, None, str(blob.generation), blob.crc32c)
