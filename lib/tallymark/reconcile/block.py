"""A block: whole raw records that lie next to each other in one object."""

from __future__ import annotations

from dataclasses import dataclass

BLOCK_BYTES = 1 << 20
RECORD_LIMIT = 64 << 20
"""Bytes of the largest record; a longer one is an error of its object, because memory is bounded."""


@dataclass(frozen=True, slots=True)
class Block:
    """``text`` starts and ends between records; equal texts of one dialect hold equal ``records``."""

    text: bytes
    records: list[bytes]
