"""What the listing of a place tells of an object, and what a process must know to reach it.

The values that `objects` hands out and its backends, `local`, `s3` and `gcs`, take.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tallymark.errors import LockedError, ObjectError
from tallymark.retry import RetryPolicy

GENERATION = "generation-"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as a listing saw it; reading is pinned to exactly this state.

    ``path`` is relative to the listed prefix (the basename if the prefix is the object itself) and can
    always be encoded and shown. ``uri`` opens the object: the name of a local file that is not UTF-8
    keeps its bytes there as surrogates (pickle carries them, Arrow and JSON do not: use ``shown``).
    ``etag`` is what a store tells of the content: the ETag of S3; on GCS the MD5 in hexadecimal digits, or
    ``generation-N`` where it keeps none. ``version`` is the generation of GCS; ``crc32c`` its checksum, in base64.
    ``checksum`` is that of S3 over the whole object, where it was asked for: see ``ObjectStore.checksums``.
    """

    path: str
    uri: str
    size: int
    etag: str | None
    modified_ns: int
    inode: int | None
    version: str | None
    crc32c: str | None = None
    checksum: str | None = None

    @property
    def state(self) -> str:
        """What ``ObjectStore.put_file_if`` compares: generation, ETag, or size, time and inode of a local file."""
        return self.version or self.etag or f"{self.size}-{self.modified_ns}-{self.inode}"


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


@dataclass(frozen=True, slots=True)
class GcsSettings:
    """What an executor must know about Google Cloud Storage that it cannot find out by itself; never a secret.

    ``endpoint_url`` is that of an emulator, which asks for no credentials.
    """

    endpoint_url: str | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> GcsSettings:
        """Read the variable that Google's own clients read; without a scheme it means http.

        >>> GcsSettings.from_environment({"STORAGE_EMULATOR_HOST": "localhost:4443"}).endpoint_url
        'http://localhost:4443'
        """
        host = environ.get("STORAGE_EMULATOR_HOST", "").rstrip("/")
        return cls(endpoint_url=(host if "://" in host else f"http://{host}") if host else None)


def changed_meanwhile(uri: str) -> LockedError:
    """Return the error of a conditional write that came too late."""
    advice = "nothing was written; see that only one run works on this output, then run again"
    return LockedError(f"{shown(uri)} was written or removed by another process meanwhile: {advice}")


def split_uri(uri: str) -> tuple[str, str]:
    """Split ``s3://bucket/key`` or ``gs://bucket/key`` into bucket and true key.

    >>> split_uri("s3://bucket/a//b#c")
    ('bucket', 'a//b#c')
    """
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


def holds(size: int, chunks: Iterable[bytes], source: Path) -> bool:
    """Tell whether an object of this size, whose bytes are ``chunks``, is a copy of a local file."""
    if size != source.stat().st_size:
        return False
    try:
        with source.open("rb") as file:
            return all(file.read(len(chunk)) == chunk for chunk in chunks)
    except ObjectError:
        return False


def shown(text: str) -> str:
    r"""Return text that every encoder takes: bytes of a name that are not UTF-8 become ``\udc..`` escapes.

    >>> shown("caf\udce9.json")
    'caf\\udce9.json'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
