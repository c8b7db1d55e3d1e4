"""Numbers in sentences: cut, never rounded up; and text made fit for one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tallymark.reconcile.result import match_rate
from tallymark.report.legible import cut_middle
from tallymark.report.wording import quantity, rate


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (999_999, "999,999"),
        (1_000_000, "1.0 M"),
        (1_999_999, "1.9 M"),
        (999_999_999, "999.9 M"),
        (1_234_000_000_000, "1,234.0 bn"),
    ],
)
def test_large_numbers_are_cut(number: int, shown: str) -> None:
    """1,999,999 records are not two million."""
    assert quantity(number) == shown


@given(st.integers(1, 10**12), st.integers(1, 10**6))
def test_a_hundred_percent_is_only_shown_when_all_match(records: int, missing: int) -> None:
    """Whatever the size, one missing record shows."""
    assert rate(match_rate(records, records + missing, records)) != "100.00 %"


@given(st.text(max_size=60), st.integers(2, 40))
def test_a_cut_path_fits_its_width(text: str, width: int) -> None:
    """Also with characters that take two columns."""
    assert cell_len(cut_middle(text, width)) <= width
