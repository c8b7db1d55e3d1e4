from __future__ import annotations

import gzip
import random
import struct
import tracemalloc
import zlib
from collections import deque
from collections.abc import Iterable
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallymark.errors import ObjectError
from tallymark.io.gzip_stream import OUTPUT_SIZE, decompress

NOISE = random.Random(7).randbytes(300_000)
TEXT = b"".join(b'{"id":%d,"name":"n%d"}\n' % (number, number * 7919) for number in range(20_000))


def cut_in(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def failure(chunks: Iterable[bytes]) -> tuple[ObjectError, bytes]:
    """Return the error of a stream, and what was delivered before it."""
    delivered = bytearray()
    with pytest.raises(ObjectError) as caught:
        deque(map(delivered.extend, decompress(chunks, "s3://b/x.gz")), maxlen=0)
    assert caught.value.uri == "s3://b/x.gz"
    return caught.value, bytes(delivered)


@settings(max_examples=150)
@given(
    st.lists(st.binary(max_size=300) | st.sampled_from([TEXT[:70_000], NOISE[:9_000], b"\0" * 5000]), max_size=5),
    st.sampled_from([1, 2, 7, 100, 4096, 5000, 1 << 20]),
    st.integers(0, 9),
    st.integers(0, 600),
)
def test_any_members_cut_anywhere_give_the_same_bytes(members: list[bytes], size: int, level: int, pad: int) -> None:
    stream = b"".join(gzip.compress(member, level) for member in members) + (b"\0" * pad if members else b"")
    assert b"".join(decompress(cut_in(stream, size), "x")) == b"".join(members)


@given(st.lists(st.binary(max_size=50)))
def test_what_is_not_gzip_passes_through_unchanged(chunks: list[bytes]) -> None:
    data = b"".join(chunks)
    if not data.startswith(b"\x1f\x8b"):
        assert b"".join(decompress(chunks, "x")) == data


def test_gzip_is_known_by_its_bytes_and_not_by_the_name_of_the_object() -> None:
    """C7: gzip bytes in a.json are decoded, plain bytes in a.json.gz are not touched."""
    assert b"".join(decompress([gzip.compress(TEXT)], "s3://b/a.json")) == TEXT
    assert b"".join(decompress([TEXT], "s3://b/a.json.gz")) == TEXT


def member(flags: int, content: bytes, extra: bytes = b"a\0cd") -> bytes:
    """Write a gzip member whose header has the optional fields of RFC 1952 that ``flags`` names."""
    header = b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\x03"
    header += struct.pack("<H", len(extra)) + extra if flags & 4 else b""
    header += b"name\0" if flags & 8 else b""
    header += b"comment\0" if flags & 16 else b""
    header += struct.pack("<H", zlib.crc32(header) & 0xFFFF) if flags & 2 else b""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = deflate.compress(content) + deflate.flush()
    return header + body + struct.pack("<II", zlib.crc32(content), len(content))


@pytest.mark.parametrize("flags", range(0, 32, 2))
def test_every_optional_field_of_a_header_is_read_wherever_it_is_cut(flags: int) -> None:
    """igzip itself calls such members corrupt when a chunk ends inside the header."""
    stream = member(flags, b"first") + member(flags, b"second")
    assert gzip.decompress(stream) == b"firstsecond"
    for cut in range(len(stream) + 1):
        assert b"".join(decompress([stream[:cut], stream[cut:]], "x")) == b"firstsecond"
    assert b"".join(decompress(cut_in(stream, 1), "x")) == b"firstsecond"


@pytest.mark.parametrize("size", [100, 4096, 1 << 20])
def test_a_header_longer_than_a_portion_is_read(size: int) -> None:
    stream = member(30, b"first", b"e" * 60_000) + member(30, b"second", b"e" * 5000)
    assert b"".join(decompress(cut_in(stream, size), "x")) == b"firstsecond"


def test_a_header_that_never_ends_is_corrupt_and_does_not_fill_the_memory() -> None:
    endless = (b"n" * (1 << 20) for _ in range(1000))
    error, _ = failure(chain([b"\x1f\x8b\x08\x08\0\0\0\0\0\x03"], endless))
    assert error.reason == "CORRUPT_GZIP"


@pytest.mark.parametrize("stream", [b"", gzip.compress(b""), gzip.compress(b"") * 3], ids=["empty", "one", "three"])
def test_an_empty_object_and_a_gzip_of_nothing_give_nothing(stream: bytes) -> None:
    """C9: an empty object is an object with no bytes, not an error."""
    assert list(decompress([stream], "x")) == []


def test_a_stream_cut_in_half_is_an_error_that_says_how_much_was_readable() -> None:
    """C6: Spark reads half of the records of such a file and says nothing."""
    stream = gzip.compress(TEXT)
    error, delivered = failure(cut_in(stream[: len(stream) // 2], 1000))
    assert error.reason == "TRUNCATED_GZIP"
    assert TEXT.startswith(delivered)
    assert 0 < len(delivered) < len(TEXT)
    assert f"after {len(delivered)} decoded bytes" in error.detail


def test_a_stream_cut_at_any_byte_is_truncated_and_never_fine() -> None:
    stream = gzip.compress(b"one line\n" * 20)
    for length in range(2, len(stream)):
        error, delivered = failure([stream[:length]])
        assert error.reason == "TRUNCATED_GZIP", length
        assert (b"one line\n" * 20).startswith(delivered)


@pytest.mark.parametrize("second", [b"\x1f", b"\x1f\x8b", b"\x1f\x8b\x08", gzip.compress(TEXT)[:-1]])
def test_a_second_member_that_is_cut_is_truncated_too(second: bytes) -> None:
    error, delivered = failure([gzip.compress(b"first") + second])
    assert error.reason == "TRUNCATED_GZIP"
    assert delivered.startswith(b"first")


@pytest.mark.parametrize("behind", [1, 4, 5, 8])
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_wrong_checksum_or_length_is_corrupt(behind: int, size: int) -> None:
    """The last 4 bytes are the length, the 4 before them the checksum: igzip must check both."""
    stream = bytearray(gzip.compress(TEXT))
    stream[-behind] ^= 1
    error, _ = failure(cut_in(bytes(stream), size))
    assert error.reason == "CORRUPT_GZIP"


def test_a_flipped_bit_in_stored_data_is_corrupt() -> None:
    """Noise is stored, not coded: only the checksum can see the flip."""
    stream = bytearray(gzip.compress(NOISE))
    stream[len(stream) // 2] ^= 1
    error, delivered = failure(cut_in(bytes(stream), 10_000))
    assert error.reason == "CORRUPT_GZIP"
    assert f"after {len(delivered)} decoded bytes" in error.detail


@pytest.mark.parametrize("garbage", [b"x", b"{}", b"\0\0\0\0x", b"\0" * 600 + b"{}", b"PK\x03\x04" * 100_000])
@pytest.mark.parametrize("size", [1000, 1 << 20])
def test_other_bytes_after_the_last_member_are_an_error_after_all_content(garbage: bytes, size: int) -> None:
    error, delivered = failure(cut_in(gzip.compress(TEXT) + garbage, size))
    assert error.reason == "TRAILING_GARBAGE"
    assert delivered == TEXT


def test_a_bomb_comes_in_bounded_pieces_and_bounded_memory() -> None:
    """64 MB of zeros in 64 KB: a piece is never larger than the output limit."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    stream = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    tracemalloc.start()
    total = largest = 0
    for piece in decompress([stream], "x"):
        total += len(piece)
        largest = max(largest, len(piece))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 64 << 20
    assert largest <= OUTPUT_SIZE
    assert peak < 8 << 20


def test_an_error_of_the_source_passes_through() -> None:
    def chunks() -> Iterable[bytes]:
        yield gzip.compress(NOISE)[:1000]
        raise ObjectError("s3://b/x.gz", "UNAVAILABLE", "gone")

    error, _ = failure(chunks())
    assert error.reason == "UNAVAILABLE"


def test_long_padding_does_not_fill_the_memory() -> None:
    tracemalloc.start()
    padding = (bytes(1 << 20) for _ in range(100))
    assert b"".join(decompress(chain([gzip.compress(b"x")], padding, [gzip.compress(b"y")]), "x")) == b"xy"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize("header", [b"\x1f\x8b\x07\0", b"\x1f\x8b\x08\xe0"])
def test_a_header_of_another_format_is_corrupt(header: bytes) -> None:
    error, _ = failure([header + gzip.compress(TEXT)[4:]])
    assert error.reason == "CORRUPT_GZIP"
