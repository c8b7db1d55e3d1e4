"""The one internal form of a place, made by ``normalise_uri``, and what is done with it as text.

``s3://bucket/key`` or ``gs://bucket/key`` with the true text of the key, or the absolute path of a local file or folder
without a scheme. Nothing is ever URL-encoded or decoded: ``file:///a%20b`` is the folder that is really called
``a%20b``, as Hadoop reads it. What lies at a place is a matter of ``objects``.
"""

from __future__ import annotations

import os
import re

from tallymark.errors import ConfigError
from tallymark.io.stored import shown

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_FORMS = "s3://BUCKET/FOLDER, gs://BUCKET/FOLDER"


def normalise_uri(text: str) -> str:
    """Return the one internal form of a place; ``s3a`` and ``s3n`` become ``s3``, final slashes go.

    >>> normalise_uri("s3a://bucket/a b%20c/")
    's3://bucket/a b%20c'
    >>> normalise_uri("file:///data/./x/"), normalise_uri("file:/data/x")
    ('/data/x', '/data/x')
    """
    scheme, rest = _split_scheme(text)
    if scheme in {"s3", "gs"}:
        bucket, slash, key = rest.partition("/")
        if not bucket:
            raise ConfigError(f"no bucket in {shown(text)!r}: write {scheme}://BUCKET/FOLDER")
        return f"{scheme}://{bucket}{slash}{key}".rstrip("/")
    if not rest or "\0" in rest:
        raise ConfigError(f"{shown(text)!r} names no place: write {_FORMS} or a local folder")
    path = os.path.abspath(rest if scheme == "file" else os.path.expanduser(rest))
    return path[1:] if path.startswith("//") else path


def _split_scheme(text: str) -> tuple[str, str]:
    match = _SCHEME.fullmatch(text)
    scheme = match[1].lower() if match else ""
    if match and scheme in ("s3", "s3a", "s3n", "gs"):
        return "gs" if scheme == "gs" else "s3", match[2]
    if scheme == "file" or text.lower().startswith("file:"):
        rest = match[2] if match else text[len("file:") :]
        rest = rest.removeprefix("localhost") if match else rest
        if not rest.startswith("/"):
            raise ConfigError(f"{shown(text)!r} is not on this machine: write file:///FOLDER or a plain path")
        return "file", rest
    if match or re.match(r"(s3[an]?|gs):", text, re.IGNORECASE):
        raise ConfigError(f"cannot read {shown(text)!r}: write {_FORMS}, file:///FOLDER or a local path")
    return "", text


def is_s3(uri: str) -> bool:
    """Tell whether a normalised uri is on S3."""
    return uri.startswith("s3://")


def is_remote(uri: str) -> bool:
    """Tell whether a normalised uri is in a bucket, so that every machine reaches it and none holds it as a file."""
    return uri.startswith(("s3://", "gs://"))


def spark_uri(uri: str) -> str:
    """Return the uri as Spark wants it: local paths get ``file://``, nothing is encoded.

    >>> spark_uri("/data/a b")
    'file:///data/a b'
    """
    uri = normalise_uri(uri)
    return uri if is_remote(uri) else f"file://{uri}"


def join(prefix_uri: str, relative: str) -> str:
    """Return the uri of what lies at ``relative`` (as in ``StoredObject.path``) below a folder."""
    prefix = normalise_uri(prefix_uri)
    return f"{prefix}{relative}" if prefix == "/" else f"{prefix}/{relative}"


def is_within(uri: str, other: str) -> bool:
    """Tell whether ``uri`` is the folder ``other`` or lies in it; local symbolic links are resolved.

    >>> is_within("s3://b/x/y", "s3a://b/x/"), is_within("s3://b/xy", "s3://b/x")
    (True, False)
    """
    inner, outer = (
        place if is_remote(place) else os.path.realpath(place) for place in map(normalise_uri, (uri, other))
    )
    return inner == outer or inner.startswith(outer.rstrip("/") + "/")
