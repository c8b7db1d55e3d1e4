"""The client of boto3: one per process and settings, shared by its threads. Called by the other modules of S3."""

from __future__ import annotations

import os
import threading
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import boto3
import botocore.session
from botocore.config import Config
from botocore.utils import parse_timestamp

from tallymark.errors import ConfigError
from tallymark.io.s3_errors import cause_of
from tallymark.io.stored import S3Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_clients: dict[tuple[int, S3Settings], S3Client] = {}
_clients_lock = threading.Lock()


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
    session = botocore.session.get_session()
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_parse_time)
    try:
        made: S3Client = boto3.Session(region_name=settings.region, botocore_session=session).client(
            "s3", endpoint_url=settings.endpoint_url, config=config
        )
    except ValueError as error:
        cause = f"cannot use the S3 endpoint or region: {cause_of(error)}"
        raise ConfigError(f"{cause}; check AWS_ENDPOINT_URL and AWS_REGION") from error
    made.meta.events.register("before-parse.s3.ListObjectsV2", _read_contents)
    return made


def _read_contents(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any] | None = None, **_: object
) -> None:
    """Read the objects of a page in the place of botocore, which takes far longer; the rest stays its own."""
    if response_dict["status_code"] != 200 or customized_response_dict is None:
        return
    try:
        root = ET.fromstring(response_dict["body"])  # noqa: S314 - expat, as botocore; from S3 itself
    except ET.ParseError:
        return  # botocore says it, and asks again
    space = root.tag[: root.tag.rfind("}") + 1]
    found = root.findall(f"{space}Contents")
    root[:] = [element for element in root if element.tag != f"{space}Contents"]
    response_dict["body"] = ET.tostring(root)
    if found:
        customized_response_dict["Contents"] = [_item(element, len(space)) for element in found]


def _item(element: ET.Element, space: int) -> dict[str, Any]:
    item: dict[str, Any] = {child.tag[space:]: child.text or "" for child in element}
    return item | {"Size": int(item["Size"]), "LastModified": _parse_time(item["LastModified"])}


def _parse_time(value: Any) -> datetime:
    """Return the time in a listing or a header; botocore's own parser takes most of the time of a page.

    >>> _parse_time("2026-10-01T00:00:00.000Z") == _parse_time("Thu, 01 Oct 2026 00:00:00 GMT")
    True
    """
    text = str(value)
    try:
        if text.endswith("Z"):
            return datetime.fromisoformat(f"{text[:-1]}+00:00")
        if text.endswith("GMT"):
            return parsedate_to_datetime(text)
    except ValueError:
        pass  # a form that only botocore knows
    parsed: datetime = parse_timestamp(value)
    return parsed
