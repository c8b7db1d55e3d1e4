"""Shows any text where only some text may stand: a spreadsheet cell, one line of a terminal.

Characters that would break the place are shown as escapes (``\\x0b``), what is too long is cut with a mark.
Called by the Excel and the terminal report; the CSV, JSON and repair files keep the exact text, but for formulas.
"""

from __future__ import annotations

import re

from rich.cells import cell_len

CELL_LIMIT = 32_767  # of Excel, in UTF-16 code units
FORMULA = "^[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
"""Text that a spreadsheet would run, for `re` as for RE2: `=`, `+`, `-`, `@`, their full-width forms, TAB, CR, LF."""
_NOT_IN_XML = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
_NOT_ON_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def cell_text(text: str) -> str:
    r"""Returns the text as one spreadsheet cell can hold it.

    A carriage return is shown as ``\x0d``, because XML would turn it into a newline.

    >>> cell_text("a\x0bb")
    'a\\x0bb'
    """
    shown = _NOT_IN_XML.sub(_escape, text[: CELL_LIMIT + 1])
    if len(text) > CELL_LIMIT or len(shown) > CELL_LIMIT // 2:
        shown = _cut(shown, len(text))
    # XlsxWriter takes text of this shape for ready XML and would write it unescaped.
    return shown + " " if shown.startswith("<r>") and shown.endswith("</r>") else shown


def _cut(shown: str, characters: int) -> str:
    units = shown.encode("utf-16-le")
    if len(units) <= 2 * CELL_LIMIT and characters <= CELL_LIMIT:
        return shown
    mark = f"… [cut, {characters:,} characters in all]"
    return units[: 2 * (CELL_LIMIT - len(mark))].decode("utf-16-le", "ignore") + mark


def no_formula(text: str) -> str:
    """Returns the text so that no spreadsheet runs it as a formula (CSV injection, OWASP).

    >>> no_formula("=1+1"), no_formula("a=1")
    ("'=1+1", 'a=1')
    """
    return f"'{text}" if re.match(FORMULA, text) else text


def one_line(text: str) -> str:
    r"""Returns the text on one line, without characters that steer a terminal.

    >>> one_line("a\nb\x1b[31m")
    'a\\x0ab\\x1b[31m'
    """
    return _NOT_ON_A_LINE.sub(_escape, text)


def cut_middle(text: str, width: int) -> str:
    """Returns one line of at most ``width`` columns; what is too long loses its middle.

    >>> cut_middle("year=2024/month=01/part-00017.json", 20)
    'year=2024…00017.json'
    """
    line = one_line(text)
    if cell_len(line) <= width:
        return line
    head, tail = (width - 1) // 2, width - 1 - (width - 1) // 2
    while cell_len(line[:head]) + cell_len(line[len(line) - tail :]) > width - 1:
        head, tail = (head - 1, tail) if head >= tail else (head, tail - 1)
    return f"{line[:head]}…{line[len(line) - tail :]}"
