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
        split: returns the records of the text; called only when they are asked for, because equal texts need none.
        by_line: each line is a record, but for blank ones.
    """

    def __init__(self, text: bytes, split: Callable[[bytes], list[bytes]], *, by_line: bool = False) -> None:
        self.text = text
        self.by_line = by_line
        self._split = split

    @cached_property
    def records(self) -> list[bytes]:
        return self._split(self.text)
