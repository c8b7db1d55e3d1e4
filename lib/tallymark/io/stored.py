"""What the listing of a place tells of an object, and what a process must know to reach it.

The values that `objects` hands out and its two backends, `local` and `s3`, take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tallymark.errors import LockedError
from tallymark.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as a listing saw it; reading is pinned to exactly this state.

    ``path`` is relative to the listed prefix (the basename if the prefix is the object itself) and can
    always be encoded and shown. ``uri`` opens the object: the name of a local file that is not UTF-8
    keeps its bytes there as surrogates (pickle carries them, Arrow and JSON do not: use ``shown``).
    """

    path: str
    uri: str
    size: int
    etag: str | None
    modified_ns: int
    inode: int | None
    version: str | None

    @property
    def state(self) -> str:
        """What ``ObjectStore.put_file_if`` compares: the ETag of S3, or size, time and inode of a local file."""
        return self.etag or f"{self.size}-{self.modified_ns}-{self.inode}"


@dataclass(frozen=True, slots=True)
class S3Settings:
    """What an executor must know about S3 that it cannot find out by itself; never a secret."""

    endpoint_url: str | None = None
    region: str | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> S3Settings:
        """Read the variables that the AWS tools read, in their order.

        >>> S3Settings.from_environment({"AWS_ENDPOINT_URL": "http://a", "AWS_REGION": ""}).endpoint_url
        'http://a'
        """
        return cls(
            endpoint_url=environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or None,
            region=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None,
        )


def changed_meanwhile(uri: str) -> LockedError:
    """Return the error of a conditional write that came too late."""
    advice = "nothing was written; see that only one run works on this output, then run again"
    return LockedError(f"{shown(uri)} was written or removed by another process meanwhile: {advice}")


def split_s3(uri: str) -> tuple[str, str]:
    """Split ``s3://bucket/key`` into bucket and true key.

    >>> split_s3("s3://bucket/a//b#c")
    ('bucket', 'a//b#c')
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def shown(text: str) -> str:
    r"""Return text that every encoder takes: bytes of a name that are not UTF-8 become ``\udc..`` escapes.

    >>> shown("caf\udce9.json")
    'caf\\udce9.json'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
