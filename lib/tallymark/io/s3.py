"""Objects on S3 and on stores that speak its protocol, through boto3: the verbs. Called by ``objects`` only.

Clients are in ``s3_client``, what an error means in ``s3_errors``, a long listing in ``s3_listing``, the stream of
an object in ``s3_reading``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boto3.exceptions import Boto3Error

from tallymark.errors import ConfigError
from tallymark.io.read_ahead import read_chunks
from tallymark.io.remote import Sleep
from tallymark.io.s3_client import client
from tallymark.io.s3_errors import FAILURES, answer, place_error, reading_error
from tallymark.io.s3_listing import Listing, stored
from tallymark.io.s3_reading import pinned, read_span
from tallymark.io.stored import S3Settings, StoredObject, changed_meanwhile, holds, split_uri
from tallymark.retry import call

_CONFLICT = "ConditionalRequestConflict"  # another conditional request is under way: S3 wants to be asked again
_REFUSED = {_CONFLICT, "PreconditionFailed", "NoSuchKey"}  # the last is If-Match on what is gone


@dataclass(frozen=True, slots=True)
class S3:
    """The verbs of ``remote.Remote``; every uri is normalised."""

    settings: S3Settings

    def list_objects(self, uri: str) -> Iterator[StoredObject]:
        """Yield every object below a prefix taken as a folder, or else the one object of that name."""
        bucket, key = split_uri(uri)
        folder = f"{key}/" if key else ""
        found = False
        try:
            for obj in Listing(self.settings, bucket, folder):
                found = True
                yield obj
            if key and not found:
                first = client(self.settings).list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
                for item in (item for item in first.get("Contents", []) if item["Key"] == key):
                    yield stored(bucket, key, key.rpartition("/")[2], item["Size"], item)
        except FAILURES as error:
            raise place_error(error, uri, "s3:ListBucket", f"arn:aws:s3:::{bucket}") from error

    def stat(self, uri: str) -> StoredObject | None:
        """Return the object at exactly this uri, or None."""
        bucket, key = split_uri(uri)
        if not key:
            return None
        try:
            head = client(self.settings).head_object(Bucket=bucket, Key=key)
        except FAILURES as error:
            if answer(error)[1] == 404:
                return None
            action = "s3:GetObject and s3:ListBucket (without which an absent object looks forbidden)"
            raise place_error(error, uri, action, f"arn:aws:s3:::{bucket}/*") from error
        return stored(bucket, key, key.rpartition("/")[2], head["ContentLength"], head)

    def put_file(self, source: Path, uri: str) -> None:
        """Upload a file in one step: S3 shows an object only when it is whole."""
        bucket, key = split_uri(uri)
        if not key:
            raise ConfigError(f"{uri} is a bucket, not an object: write s3://BUCKET/KEY")
        try:
            client(self.settings).upload_file(str(source), bucket, key)
        except FAILURES as error:
            cause = error.__context__ if isinstance(error, Boto3Error) and error.__context__ else error
            raise place_error(cause, uri, "s3:PutObject", f"arn:aws:s3:::{bucket}/*") from error

    def put_file_if(self, source: Path, uri: str, etag: str | None) -> str:
        """Upload a file in one request (so at most 5 GB), which S3 refuses unless the object is in the state ``etag``.

        A reply can get lost and the request be repeated, and then S3 refuses what it did a moment ago. So an object
        that holds the very bytes of ``source`` counts as written.
        """
        bucket, key = split_uri(uri)
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": f'"{etag}"'}

        def put() -> str:
            with source.open("rb") as body:
                done = client(self.settings).put_object(Bucket=bucket, Key=key, Body=body, **condition)
            return done["ETag"].strip('"')

        try:
            return call(put, self.settings.retry, lambda error: answer(error)[0] == _CONFLICT)
        except FAILURES as error:
            if answer(error)[0] not in _REFUSED:
                raise place_error(error, uri, "s3:PutObject and s3:GetObject", f"arn:aws:s3:::{bucket}/*") from error
            now = self.stat(uri)
            if now is None or not holds(now.size, read_chunks(self, now, 1 << 20), source):
                raise changed_meanwhile(uri) from error
            return now.state

    def delete_object(self, uri: str) -> None:
        """Remove an object."""
        bucket, key = split_uri(uri)
        try:
            client(self.settings).delete_object(Bucket=bucket, Key=key)
        except FAILURES as error:
            raise place_error(error, uri, "s3:DeleteObject", f"arn:aws:s3:::{bucket}/*") from error

    def checksum(self, obj: StoredObject) -> str | None:
        """Return the strong checksum that S3 keeps over the whole object, if it keeps one."""
        try:
            head: Mapping[str, Any] = client(self.settings).head_object(**pinned(obj), ChecksumMode="ENABLED")
        except FAILURES as error:
            raise reading_error(error, obj) from error
        if head.get("ChecksumType") != "FULL_OBJECT":
            return None
        if "ChecksumSHA256" in head:
            return f"SHA256:{head['ChecksumSHA256']}"
        return f"CRC64NVME:{head['ChecksumCRC64NVME']}" if "ChecksumCRC64NVME" in head else None

    def read_span(self, obj: StoredObject, span: range, chunk_size: int, sleep: Sleep) -> Generator[bytes, None, None]:
        """Stream a part of an object."""
        return read_span(self.settings, obj, span, chunk_size, sleep)

    def verified(self, obj: StoredObject, chunks: Iterator[bytes]) -> Iterator[bytes]:  # noqa: ARG002 - as in `Gcs`
        """Pass on what was read; boto3 has compared it with the checksum of the object, where that is known."""
        return chunks
