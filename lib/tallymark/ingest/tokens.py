"""Fernet tokens: the list of keys, and what a token that does not open is called (spec: github.com/fernet/spec).

Many tokens at once are opened with the primitives of the libraries that `Fernet` stands on, in a fifth of its time: it
sets up a cipher for each token, while tokens of one key, laid one behind the other, are one CBC stream. Only a token
whose HMAC is right is opened that way. Of any other the library has the word.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from tallymark.errors import ConfigError
from tallymark.ingest.tables import Rejected

_VERSION = 0x80
_HEAD, _BLOCK, _HMAC = 1 + 8, 16, 32  # version and time; a block, also the IV's size; HMAC-SHA256
_SHORTEST = _HEAD + 2 * _BLOCK + _HMAC
_STANDARD_BASE64 = bytes.maketrans(b"-_", b"+/")


class _OneKey:
    """What one key signs and decrypts."""

    def __init__(self, key: str) -> None:
        raw = base64.urlsafe_b64decode(key)
        signing = raw[:_BLOCK].ljust(64, b"\0")
        self._encryption = raw[_BLOCK:]
        # RFC 2104: the digests of the two paddings, from which each HMAC goes on.
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in signing))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in signing))

    def signed(self, raw: bytes) -> bool:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(raw[:-_HMAC])
        outer.update(inner.digest())
        return hmac.compare_digest(outer.digest(), raw[-_HMAC:])

    def decrypt(self, bodies: Sequence[bytes]) -> list[bytes | None]:
        """Return the plaintexts of bodies, each IV and blocks; None where the padding (PKCS 7) is none.

        A block of CBC needs only the one before it: all bodies are one stream, in which an IV is a block like any
        other, and what it decrypts to is dropped.
        """
        stream = Cipher(AES(self._encryption), CBC(bytes(_BLOCK))).decryptor().update(b"".join(bodies))
        plains: list[bytes | None] = []
        end = 0
        for body in bodies:
            start, end = end + _BLOCK, end + len(body)
            padding = stream[end - 1]
            is_padded = 1 <= padding <= _BLOCK and stream.endswith(bytes([padding]) * padding, start, end)
            plains.append(stream[start : end - padding] if is_padded else None)
        return plains


class Keys:
    """Keys, newest first: any of them opens a token, the newest seals. Never shown by repr or in an error."""

    def __init__(self, keys: list[str]) -> None:
        self._keys = keys
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._each = [_OneKey(key) for key in keys]

    def __reduce__(self) -> tuple[type[Keys], tuple[list[str]]]:
        return Keys, (self._keys,)

    def __repr__(self) -> str:
        return f"Keys({len(self._keys)})"

    def seal(self, raw: bytes) -> str:
        return self._fernet.encrypt(raw).decode("ascii")

    def decrypt(self, token: str) -> bytes:
        """Return the plaintext of a token of any age; raise Rejected malformed_token or unknown_key."""
        try:
            return self._fernet.decrypt(token)
        except InvalidToken:
            raise Rejected("unknown_key" if looks_like_token(token) else "malformed_token") from None
        except (ValueError, TypeError):  # not ASCII
            raise Rejected("malformed_token") from None

    def decrypt_all(self, tokens: Sequence[str]) -> list[bytes | None]:
        """Return the plaintexts of tokens; None where `decrypt` must say what there is, or what is wrong."""
        plains: list[bytes | None] = [None] * len(tokens)
        closed = {at: raw for at, token in enumerate(tokens) if (raw := _raw(token)) is not None}
        for key in self._each:
            opened = [at for at, raw in closed.items() if key.signed(raw)]
            bodies = [closed.pop(at)[_HEAD:-_HMAC] for at in opened]
            for at, plain in zip(opened, key.decrypt(bodies), strict=True):
                plains[at] = plain
        return plains


def _raw(token: str) -> bytes | None:
    """Return the bytes of a token as the library reads it; None where its layout is not that of a token."""
    try:
        raw = binascii.a2b_base64(token.encode("ascii").translate(_STANDARD_BASE64))
    except (UnicodeEncodeError, binascii.Error):
        return None
    return raw if _has_layout(raw) else None


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
    return _has_layout(raw)


def _has_layout(raw: bytes) -> bool:
    return len(raw) >= _SHORTEST and raw[0] == _VERSION and (len(raw) - _SHORTEST) % _BLOCK == 0


def digest(text: str | bytes) -> str:
    """Return the SHA-256 that names a rejected item, in hex."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return hashlib.sha256(raw).hexdigest()
