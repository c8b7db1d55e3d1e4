"""Blocks of an earlier report end between rows, wherever the read happens to be cut."""

from __future__ import annotations

import io

import pytest

from tallymark.report import earlier_rows

TEXT = b'1,"a\nb"\n2,"c ""\n"" d"\n3,e\n'


@pytest.mark.parametrize("size", range(1, len(TEXT) + 1))
def test_blocks_of_any_size_hold_whole_rows(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """A newline between quotes is no row end, also at the edge of a block."""
    monkeypatch.setattr(earlier_rows, "_BLOCK", size)
    blocks = list(earlier_rows.blocks(io.BytesIO(TEXT)))

    assert b"".join(blocks) == TEXT
    rows = [row for block in blocks for row in earlier_rows.rows(block)]
    assert rows == [b'1,"a\nb"\n', b'2,"c ""\n"" d"\n', b"3,e\n"]


def test_a_file_cut_inside_a_value_is_refused() -> None:
    """Rows written after it would become part of that value."""
    with pytest.raises(ValueError, match="quoted"):
        list(earlier_rows.blocks(io.BytesIO(TEXT + b'4,"cut')))
