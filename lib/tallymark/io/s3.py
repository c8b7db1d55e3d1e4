"""Objects on S3 and on stores that speak its protocol, through boto3. Called by ``objects`` only.

Clients are made once per process and settings, and shared by its threads. Reading is pinned to the
listed ETag; a connection that breaks goes on at the byte where it broke. How the errors of boto3
become those of Tallymark is the last third of this file.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import urllib3.exceptions
from boto3.exceptions import Boto3Error
from botocore import exceptions as failures
from botocore.config import Config

from tallymark.errors import ConfigError, IncompleteError, ObjectError, TallymarkError
from tallymark.io.stored import S3Settings, StoredObject, split_s3
from tallymark.retry import Attempts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_clients: dict[tuple[int, S3Settings], S3Client] = {}
_clients_lock = threading.Lock()

_FAILURES = (failures.BotoCoreError, failures.ClientError, Boto3Error, urllib3.exceptions.HTTPError, OSError)
_LOST = (failures.ConnectionError, failures.HTTPClientError, failures.IncompleteReadError)
_BROKEN = (*_LOST, urllib3.exceptions.HTTPError, OSError)
_CREDENTIALS = (
    failures.NoCredentialsError,
    failures.PartialCredentialsError,
    failures.CredentialRetrievalError,
    failures.ProfileNotFound,
    failures.TokenRetrievalError,
    failures.SSOError,
)
_BAD_KEYS = {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}
_REGION_CODES = {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}


def client(settings: S3Settings) -> S3Client:
    """Return the client of this process; after a fork the child makes its own."""
    key = (os.getpid(), settings)
    with _clients_lock:
        if key not in _clients:
            _clients[key] = _new_client(settings)
        return _clients[key]


def _new_client(settings: S3Settings) -> S3Client:
    config = Config(
        retries={"mode": "standard", "total_max_attempts": settings.retry.attempts},
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=32,
        request_checksum_calculation="when_required",  # other S3 stores refuse the checksums of new SDKs
        s3={"addressing_style": "path" if settings.endpoint_url else "auto"},
    )
    try:
        return boto3.Session(region_name=settings.region).client(
            "s3", endpoint_url=settings.endpoint_url, config=config
        )
    except ValueError as error:
        cause = f"cannot use the S3 endpoint or region: {_cause(error)}"
        raise ConfigError(f"{cause}; check AWS_ENDPOINT_URL and AWS_REGION") from error


def list_objects(settings: S3Settings, uri: str) -> Iterator[StoredObject]:
    """Yield every object below a prefix taken as a folder, or else the one object of that name."""
    bucket, key = split_s3(uri)
    folder = f"{key}/" if key else ""
    found = False
    try:
        for page in client(settings).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder):
            for item in page.get("Contents", []):
                if item["Size"] or not item["Key"].endswith("/"):
                    found = True
                    yield _stored(bucket, item["Key"], item["Key"][len(folder) :], item["Size"], item)
        if key and not found:
            first = client(settings).list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
            for item in (item for item in first.get("Contents", []) if item["Key"] == key):
                yield _stored(bucket, key, key.rpartition("/")[2], item["Size"], item)
    except _FAILURES as error:
        raise _place_error(error, uri, "s3:ListBucket", f"arn:aws:s3:::{bucket}") from error


def stat(settings: S3Settings, uri: str) -> StoredObject | None:
    """Return the object at exactly this uri, or None."""
    bucket, key = split_s3(uri)
    if not key:
        return None
    try:
        head = client(settings).head_object(Bucket=bucket, Key=key)
    except _FAILURES as error:
        if _answer(error)[1] == 404:
            return None
        action = "s3:GetObject and s3:ListBucket (without which an absent object looks forbidden)"
        raise _place_error(error, uri, action, f"arn:aws:s3:::{bucket}/*") from error
    return _stored(bucket, key, key.rpartition("/")[2], head["ContentLength"], head)


def _stored(bucket: str, key: str, path: str, size: int, answer: Any) -> StoredObject:
    # No version: a listing gives none, and reading one needs the right s3:GetObjectVersion. The ETag pins enough.
    etag = answer.get("ETag", "").strip('"') or None
    modified_ns = round(answer["LastModified"].timestamp() * 1000) * 1_000_000
    return StoredObject(path, f"s3://{bucket}/{key}", size, etag, modified_ns, None, None)


def put_file(settings: S3Settings, source: Path, uri: str) -> None:
    """Upload a file in one step: S3 shows an object only when it is whole."""
    bucket, key = split_s3(uri)
    if not key:
        raise ConfigError(f"{uri} is a bucket, not an object: write s3://BUCKET/KEY")
    try:
        client(settings).upload_file(str(source), bucket, key)
    except _FAILURES as error:
        cause = error.__context__ if isinstance(error, Boto3Error) and error.__context__ else error
        raise _place_error(cause, uri, "s3:PutObject", f"arn:aws:s3:::{bucket}/*") from error


def checksum(settings: S3Settings, obj: StoredObject) -> str | None:
    """Return the strong checksum that S3 keeps over the whole object, if it keeps one."""
    try:
        head: Mapping[str, Any] = client(settings).head_object(**_pinned(obj), ChecksumMode="ENABLED")
    except _FAILURES as error:
        raise _reading_error(error, obj) from error
    if head.get("ChecksumType") != "FULL_OBJECT":
        return None
    if "ChecksumSHA256" in head:
        return f"SHA256:{head['ChecksumSHA256']}"
    return f"CRC64NVME:{head['ChecksumCRC64NVME']}" if "ChecksumCRC64NVME" in head else None


def read_chunks(settings: S3Settings, obj: StoredObject, chunk_size: int) -> Iterator[bytes]:
    """Stream an object; a broken connection goes on where it broke, and every byte is accounted for."""
    attempts = Attempts(settings.retry, retryable=lambda error: isinstance(error, _BROKEN))
    offset, ended = 0, False
    while not ended:
        try:
            for chunk in _read_from(settings, obj, offset, chunk_size):
                offset += len(chunk)
                attempts.progressed()
                yield chunk
            ended = True
        except _FAILURES as error:
            _wait_or_give_up(attempts, error, obj)
    if offset != obj.size:
        raise ObjectError(obj.uri, "SHORT_READ", f"{offset} of {obj.size} bytes came; run again")


def _wait_or_give_up(attempts: Attempts, error: Exception, obj: StoredObject) -> None:
    try:
        attempts.failed(error)
    except _FAILURES:
        raise _reading_error(error, obj) from error


def _read_from(settings: S3Settings, obj: StoredObject, offset: int, chunk_size: int) -> Iterator[bytes]:
    """Stream what lies behind ``offset`` over one connection: the seam for reading ranges ahead."""
    try:
        answer = client(settings).get_object(**_pinned(obj, offset))
    except _FAILURES as error:  # boto3 has tried again already
        raise _reading_error(error, obj) from error
    with closing(answer["Body"]) as body:
        if obj.etag and obj.etag != answer["ETag"].strip('"'):  # a store that ignores If-Match
            raise ObjectError(obj.uri, "CHANGED_DURING_RUN", _ADVICE["CHANGED_DURING_RUN"])
        if offset and not answer.get("ContentRange", "").startswith(f"bytes {offset}-"):
            raise ObjectError(obj.uri, "UNAVAILABLE", "the connection broke and the server cannot read from the middle")
        while chunk := body.read(chunk_size):
            yield chunk


def _pinned(obj: StoredObject, offset: int = 0) -> dict[str, Any]:
    bucket, key = split_s3(obj.uri)
    etag, span = obj.etag and f'"{obj.etag}"', f"bytes={offset}-" if offset else None
    pins = {"IfMatch": etag, "VersionId": obj.version, "Range": span}
    return {"Bucket": bucket, "Key": key, **{name: value for name, value in pins.items() if value}}


_ADVICE = {
    "ACCESS_DENIED": "the role needs s3:GetObject on it, and kms:Decrypt on its key if it is encrypted with KMS",
    "ARCHIVED": "it is in an archive storage class; restore it first, then run again",
    "CHANGED_DURING_RUN": "it was written after it was listed; run again when it is at rest",
    "CHECKSUM_MISMATCH": "the bytes that came do not have the checksum that S3 keeps; run again, else restore it",
    "DELETED_DURING_RUN": "it was listed and is gone; restore it and run again",
    "NO_CREDENTIALS": "the process that reads found none that S3 accepts; give the executors a role or valid keys",
    "UNAVAILABLE": "S3 did not answer in spite of retries; run again later",
    "UNREADABLE": "see what S3 said",
}


def _reading_error(error: BaseException, obj: StoredObject) -> ObjectError:
    reason = _reason(error)
    return ObjectError(obj.uri, reason, f"{_ADVICE[reason]} ({_cause(error)})")


def _reason(error: BaseException) -> str:
    code, status = _answer(error)
    if isinstance(error, _CREDENTIALS) or code in _BAD_KEYS:
        return "NO_CREDENTIALS"
    if isinstance(error, failures.FlexibleChecksumError):
        return "CHECKSUM_MISMATCH"
    if code == "InvalidObjectState":
        return "ARCHIVED"
    if code.startswith("KMS."):
        return "ACCESS_DENIED"
    if isinstance(error, _BROKEN) or status >= 500 or code == "RequestTimeout":
        return "UNAVAILABLE"
    by_status = {403: "ACCESS_DENIED", 404: "DELETED_DURING_RUN", 405: "DELETED_DURING_RUN", 429: "UNAVAILABLE"}
    return by_status.get(status, "CHANGED_DURING_RUN" if status in (412, 416) else "UNREADABLE")


def _place_error(error: BaseException, uri: str, action: str, resource: str) -> TallymarkError:
    (code, status), cause = _answer(error), _cause(error)
    if isinstance(error, _CREDENTIALS) or code in _BAD_KEYS:
        advice = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
        return ConfigError(f"no valid AWS credentials for {uri}: {cause}; {advice}")
    if code == "NoSuchBucket":
        return ConfigError(f"no such bucket: {uri}; check its name and the account or AWS_ENDPOINT_URL in use")
    if code == "InvalidBucketName" or "Invalid bucket name" in cause:
        return ConfigError(f"invalid bucket name in {uri}: S3 knows only 3-63 lower-case letters, digits, '-' and '.'")
    if code in _REGION_CODES:
        return ConfigError(f"wrong region for {uri}: {cause}; set AWS_REGION to the region of the bucket")
    if status == 403:
        return IncompleteError(f"AccessDenied on {uri}: the role needs {action} on {resource} ({cause})")
    return IncompleteError(f"S3 did not do what it was asked on {uri}: {cause}; check the endpoint and run again later")


def _answer(error: BaseException) -> tuple[str, int]:
    """Return the code and the HTTP status of what S3 answered, if it answered at all."""
    if not isinstance(error, failures.ClientError):
        return "", 0
    response = error.response
    return str(response.get("Error", {}).get("Code") or ""), response.get("ResponseMetadata", {}).get(
        "HTTPStatusCode", 0
    )


def _cause(error: BaseException) -> str:
    """Return what S3 or boto3 said on one line, without a password that an endpoint may carry."""
    return re.sub(r"//[^/@\s]+@", "//***@", " ".join(str(error).split()))
