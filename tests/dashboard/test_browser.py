"""The dashboard as it is served, in a real headless Chromium: each page and tab with data, without, failed, broken."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error

import dashboard_tables as tables

Dashboard = Any  # of conftest.py, which pytest imports under a name of its own
JOBS = ("reconcile", "ingest", "bulkload", "export")
TABS = ("Monitoring", "Comparison", "Analysis")


def test_reconcile_shows_its_files_its_mismatches_and_its_trend(dashboard: Dashboard) -> None:
    said = dashboard.open("reconcile", "reconcile", run="second")

    assert "INCOMPLETE: 99.5049 % of the records match" in said
    assert "source 1,010 = matched 1,005 + changed 3 + moved out 0 + missing in backup 2" in said
    dashboard.expect_charts(2)

    dashboard.tab("Mismatches", "Changed paths")
    dashboard.expect_charts(2)

    dashboard.tab("Trend", "Differences by run")
    dashboard.expect_charts(1)


def test_the_content_of_a_record_comes_to_the_browser_only_when_chosen(dashboard: Dashboard) -> None:
    dashboard.open("reconcile", "reconcile", run="second", tab="Mismatches")

    assert "a secret of the record" not in dashboard.page.content()

    # By keyboard, and after the charts above: a click would miss a box that still moves.
    dashboard.expect_charts(2)
    option = dashboard.page.get_by_role("option", name="dddddddddddd")
    for _ in range(10):
        dashboard.page.get_by_label("Show the content of a record").press("ArrowDown")
        with suppress(Error):  # the page was drawn anew just then, which closes the list
            option.click(timeout=3_000)
            break
    dashboard.page.get_by_text("a secret of the record").wait_for()
    assert "In the source" in dashboard.settled()


def test_ingest_shows_its_equation_and_its_charts(dashboard: Dashboard) -> None:
    said = dashboard.open("ingest", "ingest")

    assert "extracted 9 = written 5 + duplicates 1 + quarantined 3" in said
    dashboard.expect_charts(2)

    dashboard.tab("Hours of the table", "Records in the table by hour")
    dashboard.expect_charts(3)


def test_export_shows_its_equation_and_its_charts(dashboard: Dashboard) -> None:
    said = dashboard.open("export", "export")

    assert "rows in the snapshot 300 = rows in the files 300" in said
    dashboard.expect_charts(3)


def test_the_three_tabs_of_bulkload_show_a_run(dashboard: Dashboard) -> None:
    said = dashboard.open("bulkload", "bulkload")

    assert "1 cell failed; failed cells are never ranked." in said
    dashboard.expect_charts(1)

    dashboard.tab("Comparison", "copy_text: rows/s")
    assert dashboard.page.locator(".js-plotly-plot .annotation:visible").first.text_content() == "FAILED"
    ticks = dashboard.page.locator(".js-plotly-plot:visible").first.locator(".xtick text").all_text_contents()
    assert ticks == ["1", "50"]
    dashboard.expect_charts(3)

    dashboard.tab("Analysis", "Per connection")
    dashboard.expect_charts(2)


def test_the_batches_can_be_downloaded_and_run_in_no_spreadsheet(dashboard: Dashboard) -> None:
    dashboard.open("bulkload", "bulkload", run="later", tab="Analysis")

    with dashboard.page.expect_download() as waiting:
        dashboard.page.get_by_role("button", name="Download as CSV (at most").click()
    lines = Path(waiting.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("method,batch_size,num_connections,repeat,batch_number,table_name,")
    assert lines[1].startswith("copy_text,100,1,1,1,'=things(),,100,2026-11-04T00:00:01+00:00,")
    assert len(lines) == 4


def test_the_progress_of_a_running_job_moves_by_itself(dashboard: Dashboard, outs: dict[str, Path]) -> None:
    dashboard.open("bulkload", "bulkload")
    folder = str(outs["bulkload"])
    try:
        tables.progress(folder, status="completed", files_completed=8, total_records_processed=4321)

        dashboard.page.get_by_text("4,321").wait_for(timeout=30_000)
        assert "COMPLETED: the job ended" in dashboard.settled()
    finally:
        tables.progress(folder)


def test_a_bulkload_whose_cells_all_failed_renders_in_each_tab(dashboard: Dashboard) -> None:
    assert "1 cell failed" in dashboard.open("bulkload", "bulkload", run="lost")
    dashboard.tab("Comparison", "No cell of this run succeeded")
    dashboard.tab("Analysis", "no batch of this run was committed")


@pytest.mark.parametrize(
    ("job", "run", "words"),
    [
        ("reconcile", "third", "UNFINISHED"),
        ("ingest", "bad", "REFUSED"),
        ("export", "short", "ROWS DIFFER"),
    ],
)
def test_a_failed_run_renders(dashboard: Dashboard, job: str, run: str, words: str) -> None:
    assert words in dashboard.open(job, job, run=run)


@pytest.mark.parametrize("job", JOBS)
def test_an_empty_folder_renders(dashboard: Dashboard, job: str) -> None:
    assert f"holds nothing of {job}" in dashboard.open(job, "empty")


@pytest.mark.parametrize("job", JOBS)
def test_a_broken_table_renders(dashboard: Dashboard, job: str) -> None:
    assert "Cannot be shown: cannot use the table " in dashboard.open(job, "broken")
    if job == "bulkload":
        for tab in TABS:
            dashboard.tab(tab, "Cannot be shown: ")


def test_the_overview_leads_to_each_job_and_goes_on_where_a_folder_is_broken(dashboard: Dashboard) -> None:
    dashboard.page.goto(dashboard.url)
    said = dashboard.settled()

    assert "9 extracted: 5 written, 1 duplicates, 3 quarantined" in said
    assert "public.orders: 300 rows of 300 in the snapshot" in said
    assert "Cannot be shown: cannot use the table" in said

    dashboard.page.get_by_role("link", name="Export").click()
    dashboard.page.get_by_role("heading", name="Export").wait_for()
    assert "VERIFIED" in dashboard.settled()


def test_the_pages_follow_the_colours_of_the_system(dashboard: Dashboard) -> None:
    script = "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
    red = {}
    for scheme in ("dark", "light"):
        dashboard.page.emulate_media(color_scheme=scheme)
        dashboard.open("export", "empty")
        red[scheme] = int(dashboard.page.evaluate(script).removeprefix("rgb(").partition(",")[0])

    assert red["light"] > 200
    assert red["dark"] < 60
