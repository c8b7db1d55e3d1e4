"""Makes the Data Docs open without a network and run nothing: a plain style, and a first page that is no script.

Great Expectations' pages load styles, symbols and the table of their index from five places in the Internet; without
them the index is empty and a verdict is a blank. Called by `tallymark.quality.suite`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from tallymark.quality.verdict import RuleVerdict, TableVerdict

_REMOTE = re.compile(
    r"""<script[^>]*\bsrc=["']https?:[^>]*>\s*</script>|<(?:link|img)[^>]*\b(?:href|src)=["']https?:[^>]*>""",
    re.IGNORECASE,
)
# Their own scripts need a library that was remote.
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"script-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'\">"
)
_STYLE = """<style>
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
table { border-collapse: collapse; margin: .5rem 0 1.5rem } th, td { border: 1px solid #8886; padding: .3rem .6rem }
th { text-align: left } td.number { text-align: right; font-variant-numeric: tabular-nums }
.fa-check-circle::before { content: "passed"; font-style: normal; color: #2a7d3f }
.fa-times::before, .fa-exclamation-triangle::before { content: "failed"; font-style: normal; color: #c0392b }
.failed { color: #c0392b; font-weight: bold }
footer, .cooltip, .ge-actions-container, [data-target='.walkthrough-modal'] { display: none !important }
</style>"""
_DEMONSTRATIONS = ("glossary_scroller.gif", "validation_failed_unexpected_values.gif", "iterative-dev-loop.png")


def make_offline(folder: Path) -> None:
    """Takes what is remote out of the pages of a site, and the pictures of its tour, which are most of its bytes."""
    for page in folder.rglob("*.html"):
        text = _REMOTE.sub("", page.read_text(encoding="utf-8"))
        text = re.sub("<head[^>]*>", lambda head: head[0] + _POLICY, text, count=1)
        page.write_text(text.replace("</head>", f"{_STYLE}</head>", 1), encoding="utf-8")
    for name in _DEMONSTRATIONS:
        (folder / "static/images" / name).unlink(missing_ok=True)


def write_index(folder: Path, run_id: str, verdicts: Sequence[TableVerdict]) -> None:
    """Replaces the first page of a site by one that says what was found and leads to the others."""
    title = f"Quality of run {escape(run_id)}"
    head = f'<head><meta charset="utf-8">{_POLICY}<title>{title}</title>{_STYLE}</head>'
    body = "".join(_table(folder, verdict) for verdict in verdicts)
    text = f'<!DOCTYPE html>\n<html lang="en">{head}<body><h1>{title}</h1>{body}</body></html>\n'
    (folder / "index.html").write_text(text, encoding="utf-8")


def _table(folder: Path, verdict: TableVerdict) -> str:
    [page] = (folder / "validations" / verdict.table).rglob("*.html")
    link = quote(page.relative_to(folder).as_posix())
    counts = f"{verdict.rows:,} rows = {verdict.good:,} good + {verdict.quarantined:,} quarantined"
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("rule", "expectation", "verdict", "failed", "considered")
    )
    rows = "".join(map(_row, verdict.rules))
    return (
        f"<h2>{escape(verdict.table)}: {_said(verdict.passed)}</h2><p>version {verdict.version} of "
        f'{escape(verdict.place)}: {counts}. <a href="{link}">Page of Great Expectations</a></p>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _row(rule: RuleVerdict) -> str:
    numbers = "".join(f'<td class="number">{number:,}</td>' for number in (rule.failed, rule.considered))
    return f"<tr><td>{escape(rule.rule)}</td><td>{rule.type}</td><td>{_said(rule.passed)}</td>{numbers}</tr>"


def _said(passed: bool) -> str:
    return "passed" if passed else '<span class="failed">FAILED</span>'
