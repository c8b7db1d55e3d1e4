"""Fernet tokens: the list of keys, and what a token that does not open is called (spec: github.com/fernet/spec)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from tallymark.errors import ConfigError
from tallymark.ingest.tables import Rejected

_VERSION = 0x80
_SHORTEST = 1 + 8 + 16 + 16 + 32  # version, time, IV, one block, HMAC


class Keys:
    """Keys, newest first: any of them opens a token, the newest seals. Never shown by repr or in an error."""

    def __init__(self, keys: list[str]) -> None:
        self._keys = keys
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self.open = self._fernet.decrypt

    def __reduce__(self) -> tuple[type[Keys], tuple[list[str]]]:
        return Keys, (self._keys,)

    def __repr__(self) -> str:
        return f"Keys({len(self._keys)})"

    def seal(self, raw: bytes) -> str:
        return self._fernet.encrypt(raw).decode("ascii")

    def decrypt(self, token: str) -> bytes:
        """Return the plaintext of a token of any age; raise Rejected malformed_token or unknown_key."""
        try:
            return self.open(token)
        except InvalidToken:
            raise Rejected("unknown_key" if looks_like_token(token) else "malformed_token") from None
        except (ValueError, TypeError):  # not ASCII
            raise Rejected("malformed_token") from None


def read_keys(text: str) -> Keys:
    """Parse keys that are separated by commas or line ends, newest first.

    Raises:
        ConfigError: one is no Fernet key; it is named by its position, never quoted.
    """
    keys = [key for key in re.split(r"[,\s]+", text) if key]
    if not keys:
        raise ConfigError("no Fernet key is given: set TALLYMARK_FERNET_KEYS, newest first, or --keys-from")
    for position, key in enumerate(keys, 1):
        try:
            Fernet(key)
        except (ValueError, binascii.Error):
            advice = "it must be 32 bytes in URL-safe base64, 44 characters"
            raise ConfigError(f"Fernet key {position} of {len(keys)} is malformed: {advice}") from None
    return Keys(keys)


def looks_like_token(text: str) -> bool:
    """Tell whether the text has the layout of a Fernet token, whoever made it.

    >>> looks_like_token("gAAAA"), looks_like_token("{'user': 'plain'}")
    (False, False)
    """
    try:
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return False
    return len(raw) >= _SHORTEST and raw[0] == _VERSION and (len(raw) - _SHORTEST) % 16 == 0


def digest(text: str | bytes) -> str:
    """Return the SHA-256 that names a rejected item, in hex."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return hashlib.sha256(raw).hexdigest()
