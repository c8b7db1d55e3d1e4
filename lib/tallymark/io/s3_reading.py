"""One span of an object over one connection at a time. Called by ``s3``.

Reading is pinned to the listed ETag; a connection that breaks goes on at the byte where it broke, and every
byte is accounted for. Knows nothing of what is read beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

from tallymark.errors import ObjectError
from tallymark.io.s3_client import client
from tallymark.io.s3_errors import BROKEN, FAILURES, changed, reading_error
from tallymark.io.stored import S3Settings, StoredObject, split_uri
from tallymark.retry import Attempts


def read_span(
    settings: S3Settings,
    obj: StoredObject,
    span: range,
    chunk_size: int,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[bytes, None, None]:
    """Stream the bytes of an object whose numbers are in ``span``, in chunks of at most ``chunk_size`` bytes.

    Raises:
        ObjectError: as ``ObjectStore.read_chunks``; also when more or fewer bytes come than the span has.
    """
    attempts = Attempts(settings.retry, retryable=lambda error: isinstance(error, BROKEN), sleep=sleep)
    offset, ended = span.start, False
    while not ended:
        try:
            for chunk in _read_from(settings, obj, range(offset, span.stop), chunk_size):
                offset += len(chunk)
                attempts.progressed()
                yield chunk
            ended = True
        except FAILURES as error:
            _wait_or_give_up(attempts, error, obj)
    if offset != span.stop:
        detail = f"{offset - span.start} of {len(span)} bytes came from byte {span.start} on; run again"
        raise ObjectError(obj.uri, "SHORT_READ", detail)


def _wait_or_give_up(attempts: Attempts, error: Exception, obj: StoredObject) -> None:
    try:
        attempts.failed(error)
    except FAILURES:
        raise reading_error(error, obj) from error


def _read_from(settings: S3Settings, obj: StoredObject, span: range, chunk_size: int) -> Iterator[bytes]:
    """Stream a span over one connection."""
    asked = pinned(obj, span)
    try:
        answer = client(settings).get_object(**asked)
    except FAILURES as error:  # boto3 has tried again already
        raise reading_error(error, obj) from error
    with closing(answer["Body"]) as body:
        if obj.etag and obj.etag != answer["ETag"].strip('"'):  # a store that ignores If-Match
            raise changed(obj)
        sent = answer.get("ContentRange", "")
        if "Range" in asked and not sent.startswith(f"bytes {span.start}-{span.stop - 1}/"):
            detail = f"of the bytes {span.start}-{span.stop - 1} the server sent {sent or 'all of the object'}"
            raise ObjectError(obj.uri, "UNAVAILABLE", f"{detail}: it cannot read from the middle; use one that can")
        while chunk := body.read(chunk_size):
            yield chunk


def pinned(obj: StoredObject, span: range | None = None) -> dict[str, Any]:
    """Return the arguments of a request for exactly the listed state; without a range if the span is all of it."""
    bucket, key = split_uri(obj.uri)
    pins = {"IfMatch": obj.etag and f'"{obj.etag}"', "VersionId": obj.version}
    if span is not None and span != range(obj.size):
        pins["Range"] = f"bytes={span.start}-" + ("" if span.stop == obj.size else str(span.stop - 1))
    return {"Bucket": bucket, "Key": key, **{name: value for name, value in pins.items() if value}}
