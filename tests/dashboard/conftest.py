"""One running dashboard and one Chromium for all browser tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect, sync_playwright

import dashboard_tables as tables

ROOT = Path(__file__).parents[2]
CHROMIUM = "/usr/bin/chromium"
# Between two runs of the script the page is idle for a moment too.
_AT_REST = """() => {
    const drawn = document.querySelector("h1") && document.querySelector("[data-test-script-state=notRunning]")
        && !document.querySelector("[data-testid=stSkeleton]");
    window.drawnSince = drawn ? window.drawnSince ?? performance.now() : undefined;
    return drawn && performance.now() - window.drawnSince > 300;
}"""
# What a browser would otherwise do by itself: ask its maker for updates.
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
MAKERS: dict[str, Callable[[str], object]] = {
    "reconcile": tables.reconcile_out,
    "ingest": tables.ingest_out,
    "bulkload": tables.bulkload_out,
    "export": tables.export_out,
    "broken": tables.broken_out,
    "foreign": tables.foreign_out,
    "void": tables.void_out,
    "empty": lambda folder: Path(folder).mkdir(),
}


@pytest.fixture(scope="module")
def outs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Output folders: one of each job with data, and folders with broken, foreign, empty and no tables."""
    root = tmp_path_factory.mktemp("outs")
    for name, make in MAKERS.items():
        make(str(root / name))
    return {name: root / name for name in MAKERS}


@dataclass
class Dashboard:
    """The served dashboard as its reader sees it."""

    url: str
    page: Page
    outs: dict[str, Path]
    log: Path
    errors: list[str] = field(default_factory=list)

    def open(self, page: str, out: str, **query: str) -> str:
        """Open a page on an output folder, wait until it is whole, return its words."""
        self.page.goto(f"{self.url}/{page}?{urlencode({'folder': str(self.outs[out]), **query})}")
        return self.settled()

    def settled(self) -> str:
        """Wait until what the script has sent is drawn and nothing more comes, return the words of the page."""
        self.page.wait_for_function(_AT_REST, timeout=60_000)
        return self.page.inner_text("[data-testid=stMainBlockContainer]")

    def tab(self, name: str, words: str) -> None:
        """Choose a tab, wait until it shows the words."""
        self.page.get_by_role("tab", name=name, exact=True).click()
        expect(self.page.locator("[role=tabpanel]:visible")).to_contain_text(words, timeout=60_000)

    def expect_charts(self, count: int) -> None:
        """Wait until the page shows so many charts."""
        expect(self.page.locator(".js-plotly-plot:visible")).to_have_count(count, timeout=60_000)


@pytest.fixture(scope="module")
def served(outs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The dashboard over all folders, started as `make dashboard` starts it; yields its address and its log."""
    log = tmp_path_factory.mktemp("dashboard") / "log"
    command = [sys.executable, "-m", "streamlit", "run", "lib/tallymark/dashboard/app.py", "--server.port", "0"]
    folders = ",".join(str(place) for place in outs.values())
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--", folders],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "lib")},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _announced(process, log), log
    finally:
        process.terminate()
        process.wait(30)


def _announced(process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + 90
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text(errors="replace").splitlines():
            if "URL: " in line:
                url = line.partition("URL: ")[2].strip()
                with urlopen(f"{url}/_stcore/health", timeout=30) as answer:
                    assert answer.status == 200
                return url
        time.sleep(0.1)
    pytest.fail(f"the dashboard did not start:\n{log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(scope="module")
def browser_page() -> Iterator[Page]:
    """A page of a real headless Chromium."""
    if not shutil.which(CHROMIUM):
        pytest.fail(f"the tests of the dashboard need {CHROMIUM}: apt-get install -y chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *QUIET]
        )
        yield browser.new_page(viewport={"width": 1400, "height": 1000})
        browser.close()


@pytest.fixture
def dashboard(served: tuple[str, Path], browser_page: Page, outs: dict[str, Path]) -> Iterator[Dashboard]:
    """The dashboard in the browser; at the end nobody has met a traceback or a request to another machine."""
    url, log = served
    dashboard = Dashboard(url, browser_page, outs, log)
    foreign: list[str] = []

    def note(request_url: str) -> None:
        if request_url.startswith("http") and not request_url.startswith(url):
            foreign.append(request_url)

    def listen(request: object) -> None:
        note(str(getattr(request, "url", "")))

    browser_page.on("request", listen)
    browser_page.on("pageerror", lambda error: dashboard.errors.append(str(error)))
    yield dashboard
    browser_page.remove_listener("request", listen)
    assert dashboard.errors == []
    assert foreign == []
    assert browser_page.locator("[data-testid=stException]").count() == 0
    assert "Traceback" not in log.read_text(errors="replace")
