"""Keys and tokens: T7, T10, and no key in any word."""

from __future__ import annotations

import base64
import hmac
import pickle
import struct

import pytest
from cryptography.fernet import Fernet, MultiFernet
from hypothesis import given
from hypothesis import strategies as st

from tallymark.errors import ConfigError
from tallymark.ingest.tables import Rejected
from tallymark.ingest.tokens import Keys, _OneKey, digest, looks_like_token, read_keys

K1, K2, K3, LOST = (base64.urlsafe_b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3, 4))
NEWEST_FIRST = Keys([K3, K2, K1])


def token(key: str, plain: bytes = b"{}") -> str:
    return Fernet(key).encrypt(plain).decode()


def reason(text: str, keys: Keys = NEWEST_FIRST) -> str:
    with pytest.raises(Rejected) as caught:
        keys.decrypt(text)
    return caught.value.reason


def test_a_token_of_any_key_in_the_list_opens() -> None:
    """T10."""
    assert [NEWEST_FIRST.decrypt(token(key, key.encode())) for key in (K1, K2, K3)] == [
        key.encode() for key in (K1, K2, K3)
    ]


def test_a_token_of_a_dropped_key_is_called_unknown_key_and_opens_once_the_key_is_back() -> None:
    """T10."""
    old = token(K1, b"kept")

    assert reason(old, Keys([K3, K2])) == "unknown_key"
    assert NEWEST_FIRST.decrypt(old) == b"kept"


def test_a_rotated_token_is_another_token_of_the_same_plaintext() -> None:
    """T5: so a record is known by what it says and not by its token."""
    old = token(K1, b"kept")
    new = MultiFernet([Fernet(K3), Fernet(K1)]).rotate(old).decode()

    assert old != new
    assert NEWEST_FIRST.decrypt(new) == b"kept"


def test_a_token_has_no_age() -> None:
    """T10: with a ttl every old log would fail, and every one of a clock that is ahead."""
    for when in (0, 4_000_000_000):
        aged = Fernet(K1).encrypt_at_time(b"kept", when)
        assert NEWEST_FIRST.decrypt(aged.decode()) == b"kept"


def test_the_newest_key_seals() -> None:
    assert Fernet(K3).decrypt(NEWEST_FIRST.seal(b"raw")) == b"raw"


def flipped(text: str, at: int) -> str:
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


GOOD = token(K1, b"{'user_id': 'x'}")


NOT_OPENING = {
    "of a lost key": (token(LOST), "unknown_key"),
    "a bit of its IV flipped": (flipped(GOOD, 20), "unknown_key"),
    "a bit of its body flipped": (flipped(GOOD, 60), "unknown_key"),
    "a bit of its HMAC flipped": (flipped(GOOD, len(GOOD) - 5), "unknown_key"),
    "another version": (flipped(GOOD, 0), "malformed_token"),
    "nothing": ("", "malformed_token"),
    "not ASCII": ("é", "malformed_token"),
    "half of a pair": ("\ud800", "malformed_token"),
    "its start": ("gAAAA", "malformed_token"),
    "without its last character": (GOOD[:-1], "malformed_token"),
    "its first half": (GOOD[:60], "malformed_token"),
    "without its start": (GOOD[4:], "malformed_token"),
    "in clear": ("{'user_id': 'in clear'}", "malformed_token"),
    "zeros": ("\0" * 100, "malformed_token"),
}


@pytest.mark.parametrize(("text", "expected"), NOT_OPENING.values(), ids=NOT_OPENING)
def test_a_token_that_does_not_open_has_a_reason(text: str, expected: str) -> None:
    """T7: cryptography raises InvalidToken, ValueError or TypeError; each of them would end the task."""
    assert reason(text) == expected


def test_a_body_of_50_mb_opens() -> None:
    """T7: that it is too large is for the parser to say."""
    assert len(NEWEST_FIRST.decrypt(token(K2, bytes(50 << 20)))) == 50 << 20


def test_only_the_layout_of_a_token_looks_like_one() -> None:
    parts = b"\x80" + struct.pack(">Q", 0) + bytes(16) + bytes(16) + bytes(32)

    assert looks_like_token(base64.urlsafe_b64encode(parts).decode())
    assert looks_like_token(base64.urlsafe_b64encode(parts + bytes(16)).decode())
    assert not looks_like_token(base64.urlsafe_b64encode(parts + bytes(1)).decode())
    assert not looks_like_token(base64.urlsafe_b64encode(parts[16:]).decode())
    assert not looks_like_token(base64.urlsafe_b64encode(b"\x81" + parts[1:]).decode())
    assert not looks_like_token(base64.urlsafe_b64encode(parts).decode() + "\n")


@pytest.mark.parametrize("text", [f"{K3},{K2},{K1}", f"{K3}\n{K2}\n{K1}\n", f" {K3} , {K2},\n{K1},"])
def test_keys_are_separated_by_commas_or_line_ends(text: str) -> None:
    keys = read_keys(text)

    assert [keys.decrypt(token(key, b"x")) for key in (K1, K2, K3)] == [b"x"] * 3
    assert Fernet(K3).decrypt(keys.seal(b"y")) == b"y"


@pytest.mark.parametrize("wrong", ["secret", K2[:-2], K2[:-4] + "\u00e9", base64.urlsafe_b64encode(bytes(31)).decode()])
def test_a_malformed_key_is_named_by_its_position_and_never_quoted(wrong: str) -> None:
    """T10, T12."""
    with pytest.raises(ConfigError) as caught:
        read_keys(f"{K3},{wrong},{K1}")

    assert str(caught.value).startswith("Fernet key 2 of 3 is malformed: it must be 32 bytes")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert wrong not in str(caught.value)


@pytest.mark.parametrize("text", ["", " \n", ",,"])
def test_no_key_at_all_says_how_to_give_one(text: str) -> None:
    with pytest.raises(ConfigError, match="no Fernet key is given: set TALLYMARK_FERNET_KEYS"):
        read_keys(text)


def test_keys_travel_and_never_show() -> None:
    travelled = pickle.loads(pickle.dumps(NEWEST_FIRST))

    assert travelled.decrypt(token(K1, b"x")) == b"x"
    for shown in (repr(travelled), str(travelled), f"{travelled}"):
        assert shown == "Keys(3)"


def test_a_rejected_item_is_named_by_its_sha256() -> None:
    """By `printf abc | sha256sum`; a lone surrogate has a name too."""
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    assert digest("abc") == digest(b"abc") == expected
    assert len(digest("\ud800")) == 64


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 300, 100_000])
def test_tokens_that_are_opened_together_say_what_the_library_says(length: int) -> None:
    plains = [bytes([byte]) * length for byte in range(20)]
    tokens = [token((K1, K2, K3)[at % 3], plain) for at, plain in enumerate(plains)]

    assert NEWEST_FIRST.decrypt_all(tokens) == plains
    assert NEWEST_FIRST.decrypt_all([]) == []


@given(
    st.lists(st.tuples(st.binary(max_size=100), st.integers(0, 2_000), st.sampled_from(["", "A", "-", "=", "é", "\n"])))
)
def test_a_token_with_one_character_changed_never_opens_but_as_the_library_opens_it(
    changes: list[tuple[bytes, int, str]],
) -> None:
    """A character may be one that base64 skips, or that changes bits which mean nothing: then both open it."""
    tokens = []
    for number, (plain, at, character) in enumerate(changes):
        good = token((K1, K2, K3, LOST)[number % 4], plain)
        start = at % len(good)
        tokens.append(good[:start] + character + good[start + 1 :])

    for text, found in zip(tokens, NEWEST_FIRST.decrypt_all(tokens), strict=True):
        if found is not None:
            assert found == NEWEST_FIRST.decrypt(text)
        else:
            assert reason(text) in {"malformed_token", "unknown_key"}


def test_a_signed_token_whose_padding_is_wrong_is_left_to_the_library() -> None:
    key = _OneKey(K1)
    body = bytes(32)
    head = b"\x80" + bytes(8) + body
    signature = hmac.digest(base64.urlsafe_b64decode(K1)[:16], head, "sha256")
    assert key.signed(head + signature)

    text = base64.urlsafe_b64encode(head + signature).decode()
    assert NEWEST_FIRST.decrypt_all([text, token(K1, b"other")]) == [None, b"other"]
    assert reason(text) == "unknown_key"
