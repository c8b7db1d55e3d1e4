"""What all pages show alike: problems, verdicts, equations, the choice of folder and run. Called by the pages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import streamlit as st
from streamlit.elements.lib.mutable_tab_container import TabContainer

from tallymark.dashboard.reading import Folder, NothingThereError, Row
from tallymark.errors import TallymarkError
from tallymark.report.legible import no_formula, one_line
from tallymark.report.wording import Equation

GOOD, WARNING, BAD, RUNNING = "good", "warning", "bad", "running"
_SIGNS = {GOOD: "✔", WARNING: "▲", BAD: "✖", RUNNING: "…"}
_OUTCOMES = {
    "MATCH": GOOD,
    "PARTIAL_MATCH": GOOD,
    "COMPLETE": GOOD,
    "OK": GOOD,
    "VERIFIED": GOOD,
    "COMPLETED": GOOD,
    "WITHIN_THRESHOLD": WARNING,
    "NOT VERIFIED": WARNING,
    "INTERRUPTED": WARNING,
    "COMPLETED_WITH_FAILURES": WARNING,
    "RUNNING": RUNNING,
    "UNFINISHED": RUNNING,
}


def outcome(word: str) -> str:
    """Returns an outcome with its sign, so that it does not rest on colour.

    >>> outcome("MATCH"), outcome("DIFFERENT")
    ('✔ MATCH', '✖ DIFFERENT')
    """
    return f"{_SIGNS[_OUTCOMES.get(word, BAD)]} {word}"


def banner(word: str, sentence: str) -> None:
    """Shows the outcome of a run in one sentence."""
    show = {GOOD: st.success, WARNING: st.warning, BAD: st.error, RUNNING: st.info}[_OUTCOMES.get(word, BAD)]
    show(plain(f"{outcome(word)}: {sentence}"))


@contextmanager
def problems_shown() -> Iterator[None]:
    """Shows what cannot be read as a message in the place of what would stand there; the rest of the page goes on."""
    try:
        yield
    except NothingThereError as nothing:
        st.info(plain(f"Nothing to show: {nothing}."))
    except TallymarkError as error:
        st.error(plain(f"Cannot be shown: {error}."))


def equation(side: str, records: int | None, parts: Mapping[str, int | None]) -> None:
    """Shows an equation, and says so where it does not hold."""
    found = Equation(side, records or 0, tuple((name, count or 0) for name, count in parts.items()))
    if found.holds:
        st.markdown(f"✔ {plain(found.sentence)}")
    else:
        st.error(plain(f"✖ {found.sentence}"))


def metrics(values: Mapping[str, object]) -> None:
    """Shows some numbers, each under its name."""
    for column, (name, value) in zip(st.columns(len(values)), values.items(), strict=True):
        column.metric(name, amount(value))


def amount(value: object) -> str:
    """Returns a value as a person reads it.

    >>> amount(1234567), amount(12.345), amount(None)
    ('1,234,567', '12.35', 'none')
    """
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def when(time: str | None) -> str:
    """Returns an ISO time to the second.

    >>> when("2026-11-21T14:44:20.123+00:00"), when(None), when("soon")
    ('2026-11-21 14:44:20', 'unknown', 'soon')
    """
    if not time:
        return "unknown"
    try:
        return datetime.fromisoformat(time.replace("Z", "+00:00")).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return time


def size(number: float | None) -> str:
    """Returns bytes in the unit that fits.

    >>> size(1500), size(86_678_180), size(None)
    ('1.5 kB', '86.7 MB', 'none')
    """
    if number is None:
        return "none"
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"


def plain(words: str) -> str:
    r"""Returns text as Markdown that shows exactly it, on one line.

    >>> plain("a*b_c")
    'a\\*b\\_c'
    """
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]()<>#+-!|~$:" else letter for letter in one_line(words))


def choose_folder(folders: Sequence[Folder], job: str, holds: Callable[[Folder], bool]) -> Folder | None:
    """Returns the folder that the reader chose, at first one that ``holds`` something of the job; None without."""
    known = {folder.uri: folder for folder in folders}
    holding = [folder.uri for folder in folders if holds(folder)]
    chosen = _choose("Output folder", "folder", known.keys(), next(iter(holding), folders[0].uri), str)
    if chosen in holding:
        return known[chosen]
    st.info(plain(f"Nothing to show: {chosen} holds nothing of {job}.") + f" Fill it by `./spark-submit.sh {job}`.")
    return None


def choose_run(runs: Sequence[Row], label: Callable[[Row], str]) -> Row | None:
    """Returns the run that the reader chose, at first the first one."""
    if not runs:
        st.info("Nothing to show: the table holds no run yet.")
        return None
    known = {str(run["run_id"]): run for run in runs}
    chosen = _choose("Run", "run", known.keys(), next(iter(known)), lambda run_id: label(known[run_id]))
    return known[chosen]


def _choose(label: str, key: str, options: Collection[str], first: str, show: Callable[[str], str]) -> str:
    """Returns what the reader chose; it stands in the address of the page, so that a link leads to the same."""
    linked = st.query_params.get(key, first)
    index = list(options).index(linked if linked in options else first)
    chosen = st.sidebar.selectbox(label, options, index=index, format_func=show, key=key)
    st.query_params[key] = chosen
    return chosen


def tabs(*names: str) -> Sequence[TabContainer]:
    """Returns tabs of which only the ``open`` one is to be filled; it stands in the address too."""
    return st.tabs(names, key="tab", on_change="rerun", bind="query-params")


def harmless(row: Row) -> Row:
    """Returns a row that a spreadsheet shows and does not run.

    >>> harmless({"file_path": "=1+1", "paths": ["@a"], "records": -1})
    {'file_path': "'=1+1", 'paths': ["'@a"], 'records': -1}
    """
    return {name: _harmless(value) for name, value in row.items()}


def _harmless(value: Any) -> Any:
    if isinstance(value, list):
        return [_harmless(item) for item in value]
    return no_formula(value) if isinstance(value, str) else value


def show_table(rows: Sequence[Row], what: str, empty: str) -> None:
    """Shows rows as a table whose columns sort, or says that there are none."""
    if rows:
        # The table can be copied and saved from the browser, into a spreadsheet too.
        st.dataframe([harmless(row) for row in rows], hide_index=True, alt=what)
    else:
        st.caption(empty)
