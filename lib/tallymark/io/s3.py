"""Objects on S3 and on stores that speak its protocol, through boto3: the verbs. Called by ``objects`` only.

Clients are in ``s3_client``, what an error means in ``s3_errors``, a long listing in ``s3_listing``, the stream of
an object in ``s3_reading`` and ``s3_read_ahead``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from boto3.exceptions import Boto3Error

from tallymark.errors import ConfigError, ObjectError
from tallymark.io.s3_client import client
from tallymark.io.s3_errors import FAILURES, answer, place_error, reading_error
from tallymark.io.s3_listing import Listing, stored
from tallymark.io.s3_read_ahead import WINDOW, ReadAhead
from tallymark.io.s3_reading import pinned, read_span
from tallymark.io.stored import S3Settings, StoredObject, changed_meanwhile, split_s3
from tallymark.retry import call

_CONFLICT = "ConditionalRequestConflict"  # another conditional request is under way: S3 wants to be asked again
_REFUSED = {_CONFLICT, "PreconditionFailed", "NoSuchKey"}  # the last is If-Match on what is gone


def list_objects(settings: S3Settings, uri: str) -> Iterator[StoredObject]:
    """Yield every object below a prefix taken as a folder, or else the one object of that name."""
    bucket, key = split_s3(uri)
    folder = f"{key}/" if key else ""
    found = False
    try:
        for obj in Listing(settings, bucket, folder):
            found = True
            yield obj
        if key and not found:
            first = client(settings).list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
            for item in (item for item in first.get("Contents", []) if item["Key"] == key):
                yield stored(bucket, key, key.rpartition("/")[2], item["Size"], item)
    except FAILURES as error:
        raise place_error(error, uri, "s3:ListBucket", f"arn:aws:s3:::{bucket}") from error


def stat(settings: S3Settings, uri: str) -> StoredObject | None:
    """Return the object at exactly this uri, or None."""
    bucket, key = split_s3(uri)
    if not key:
        return None
    try:
        head = client(settings).head_object(Bucket=bucket, Key=key)
    except FAILURES as error:
        if answer(error)[1] == 404:
            return None
        action = "s3:GetObject and s3:ListBucket (without which an absent object looks forbidden)"
        raise place_error(error, uri, action, f"arn:aws:s3:::{bucket}/*") from error
    return stored(bucket, key, key.rpartition("/")[2], head["ContentLength"], head)


def put_file(settings: S3Settings, source: Path, uri: str) -> None:
    """Upload a file in one step: S3 shows an object only when it is whole."""
    bucket, key = split_s3(uri)
    if not key:
        raise ConfigError(f"{uri} is a bucket, not an object: write s3://BUCKET/KEY")
    try:
        client(settings).upload_file(str(source), bucket, key)
    except FAILURES as error:
        cause = error.__context__ if isinstance(error, Boto3Error) and error.__context__ else error
        raise place_error(cause, uri, "s3:PutObject", f"arn:aws:s3:::{bucket}/*") from error


def put_file_if(settings: S3Settings, source: Path, uri: str, etag: str | None) -> str:
    """Upload a file in one request (so at most 5 GB) that S3 refuses unless the object is still in the state ``etag``.

    A reply can get lost and the request be repeated, and then S3 refuses what it did a moment ago. So an object that
    holds the very bytes of ``source`` counts as written.
    """
    bucket, key = split_s3(uri)
    condition: dict[str, Any] = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": f'"{etag}"'}

    def put() -> str:
        with source.open("rb") as body:
            done = client(settings).put_object(Bucket=bucket, Key=key, Body=body, **condition)
        return done["ETag"].strip('"')

    try:
        return call(put, settings.retry, lambda error: answer(error)[0] == _CONFLICT)
    except FAILURES as error:
        if answer(error)[0] not in _REFUSED:
            raise place_error(error, uri, "s3:PutObject and s3:GetObject", f"arn:aws:s3:::{bucket}/*") from error
        now = stat(settings, uri)
        if now is None or not _holds(settings, now, source):
            raise changed_meanwhile(uri) from error
        return now.state


def _holds(settings: S3Settings, obj: StoredObject, source: Path) -> bool:
    """Tell whether an object has the bytes of a local file."""
    if obj.size != source.stat().st_size:
        return False
    try:
        with source.open("rb") as file:
            return all(file.read(len(chunk)) == chunk for chunk in read_chunks(settings, obj, 1 << 20))
    except ObjectError:
        return False


def delete_object(settings: S3Settings, uri: str) -> None:
    """Remove an object."""
    bucket, key = split_s3(uri)
    try:
        client(settings).delete_object(Bucket=bucket, Key=key)
    except FAILURES as error:
        raise place_error(error, uri, "s3:DeleteObject", f"arn:aws:s3:::{bucket}/*") from error


def checksum(settings: S3Settings, obj: StoredObject) -> str | None:
    """Return the strong checksum that S3 keeps over the whole object, if it keeps one."""
    try:
        head: Mapping[str, Any] = client(settings).head_object(**pinned(obj), ChecksumMode="ENABLED")
    except FAILURES as error:
        raise reading_error(error, obj) from error
    if head.get("ChecksumType") != "FULL_OBJECT":
        return None
    if "ChecksumSHA256" in head:
        return f"SHA256:{head['ChecksumSHA256']}"
    return f"CRC64NVME:{head['ChecksumCRC64NVME']}" if "ChecksumCRC64NVME" in head else None


def read_chunks(settings: S3Settings, obj: StoredObject, chunk_size: int) -> Iterator[bytes]:
    """Stream an object: a large one in parts over some connections at once, any other in one request."""
    if obj.size <= WINDOW.part_size:
        yield from read_span(settings, obj, range(obj.size), chunk_size)
        return
    with ReadAhead(settings, chunk_size) as ahead:
        yield from ahead.read_chunks(obj)
