"""The page of a run in a real headless Chromium without network: it sorts, obeys the keyboard, fits and prints."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, sync_playwright

from tallymark.reconcile.evidence import Example
from tallymark.reconcile.result import RunSummary
from tallymark.report.html_report import write_html

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture
def report(tmp_path: Path, different: RunSummary) -> Path:
    plain = dict.fromkeys(("missing_in_backup", "missing_in_source"), 0) | {"match_rate": 50.0}
    worst = [plain | {"file_path": name, "mismatched_records": n} for name, n in (("a", 9), ("b", 10), (EVIL, 100))]
    changed = Example(EVIL, "changed", ("$.a",), f'{{"a":"{"x" * 300}"}}', '{"a":1}', 1, None)
    write_html(replace(different, worst_files=worst), [changed], {"report": "/x" * 90}, tmp_path / "report.html")
    return tmp_path / "report.html"


@pytest.fixture
def opened(report: Path) -> Iterator[tuple[Page, list[str]]]:
    """The page, and what the browser complained of."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(offline=True, viewport={"width": 400, "height": 800}).new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(report.as_uri())
        yield page, complaints
        browser.close()


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)` (WCAG 2.2)."""
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(page: Page, selector: str, ground: str) -> float:
    style = "element => [getComputedStyle(element).color, getComputedStyle(element).backgroundColor]"
    ink: Any = page.eval_on_selector(selector, style)[0]
    behind: Any = page.eval_on_selector(ground, style)[1]
    light, dark = sorted(map(luminance, (ink, behind)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_it_is_used_by_keyboard_fits_a_phone_and_can_be_read_in_light_and_dark(opened: tuple[Page, list[str]]) -> None:
    page, complaints = opened

    assert page.evaluate("document.documentElement.scrollWidth") == 400
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"

    files = page.locator("section[aria-labelledby=worst] tbody th")
    assert files.all_inner_texts() == ["a", "b", EVIL]
    button = page.get_by_role("button", name="Changed")
    button.press("Enter")
    assert files.all_inner_texts() == [EVIL, "b", "a"]
    assert page.locator("th[aria-sort=descending]").count() == 1
    button.press("Space")
    assert files.all_inner_texts() == ["a", "b", EVIL]

    schemes: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        pairs = (("h1", ".verdict"), (".verdict p", ".verdict"), (".soft", "section"), ("td", "section"))
        for selector, ground in (*pairs, ("mark", ".record .changed > *"), ("nav a", "body"), ("dt", "body")):
            assert contrast(page, selector, ground) >= 4.5, (scheme, selector)
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert complaints == []
