"""A block: whole raw records that lie next to each other in one object."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

BLOCK_BYTES = 1 << 20
RECORD_LIMIT = 64 << 20
"""Bytes of the largest record; a longer one is an error of its object, because memory is bounded."""


class Block:
    """``text`` starts and ends between records; equal texts of one dialect hold equal records.

    Args:
        split: returns the records of the text; called when they are asked for: of two equal texts one is split.
    """

    def __init__(self, text: bytes, split: Callable[[bytes], list[bytes]]) -> None:
        self.text = text
        self._split = split

    @cached_property
    def records(self) -> list[bytes]:
        return self._split(self.text)
