"""The page of a run: nothing from data becomes markup, it stays small, it needs no network, everybody can read it."""

from __future__ import annotations

import hashlib
import io
import json
from base64 import b64encode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tallymark.reconcile.evidence import Example
from tallymark.reconcile.hints import Hint
from tallymark.reconcile.history import RunPoint
from tallymark.reconcile.limits import Breach
from tallymark.reconcile.result import RunSummary, Totals, Verdict
from tallymark.reconcile.scope import Scope
from tallymark.report.html_report import write_html
from tallymark.report.json_report import write_json
from tallymark.report.terminal import print_summary

EVIL = "</title></style></script><script>alert(1)</script><img src=x onerror=alert(1)>'\"\u202e\x00"
REPORTS = {"to copy again": "./out/repair/copy_again.txt"}


def run_point(number: int, verdict: str | None, rate: float | None) -> RunPoint:
    code = {"MATCH": 0, "WITHIN_THRESHOLD": 0, None: None}.get(verdict, 1)
    return RunPoint(
        f"run-{number}", f"2024-05-0{number}T07:08:09+00:00", "s3://a/x/", "s3://b/y/", verdict, code, rate,
        1000, 997, 5, 7, 4, 12.5, 5_000, False,
    )  # fmt: skip


class Page(HTMLParser):
    """The elements of a page in their order, and its text without style and script."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, str] = {}
        self._words: list[str] = []
        self._inside = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in ("style", "script") and data.strip():
            self.raw.setdefault(self._inside, data)
        else:
            self._words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(
    folder: Path, summary: RunSummary, examples: tuple[Example, ...] = (), reports: dict[str, str] | None = None
) -> Page:
    write_html(summary, examples, REPORTS if reports is None else reports, folder / "report.html")
    return Page(folder / "report.html")


def hostile(summary: RunSummary, text: str) -> RunSummary:
    """The run with a text in every place that data can reach."""
    row: dict[str, Any] = dict.fromkeys(("mismatched_records", "missing_in_backup", "missing_in_source"), 1)
    row |= {"file_path": text, "error": text, "match_rate": 1.0}
    return replace(
        summary, source=text, backup=text, worst_files=[row] * 20, errors=[row] * 100, warnings=[text],
        changed_paths={f"$['{text}{n}']": 2 for n in range(50)}, settings={"key": [text]}, proofs={"compare": 1},
        hints=[Hint(text, "ignore", text)] * 8, breaches=[Breach(text, "mismatches", "1", "2")] * 3,
        scope=Scope(9, 1, 2, "1h", "run-0"), trend=[replace(run_point(n, "MATCH", 100.0)) for n in range(1, 10)],
        verdict=Verdict.DIFFERENT,
    )  # fmt: skip


def test_no_text_from_data_becomes_markup(tmp_path: Path, different: RunSummary) -> None:
    """E-mail programs and browsers open this page: what a record or a name of a file holds is shown, never run."""
    content = json.dumps({EVIL: EVIL, "b": 1})
    examples = tuple(
        Example(EVIL, kind, (f"$['{EVIL}']",), source, backup, 2, reason)
        for kind, source, backup, reason in (
            ("changed", content, content, None),
            ("source_only", EVIL, None, "INVALID_JSON"),
            ("backup_only", None, content, None),
        )
    )
    clean = page(tmp_path, hostile(different, "plain"), examples[:0])
    found = page(tmp_path, hostile(different, EVIL), examples, {EVIL: EVIL})

    known = {name for name, _ in clean.elements} | {"code", "pre", "mark", "span", "h3"}
    assert {name for name, _ in found.elements} <= known
    assert len(found.all("script")) == 1
    assert [name for _, attributes in found.elements for name in attributes if name.startswith("on")] == []
    assert not [1 for _, attributes in found.elements if "src" in attributes or "style" in attributes]
    assert "<script>alert(1)</script>" in found.text
    assert "\u202e" not in found.text
    assert "\x00" not in found.text


def test_the_page_lets_nothing_run_but_itself_and_asks_for_nothing(tmp_path: Path, different: RunSummary) -> None:
    """Should a text ever get through, its policy still stops it; and it opens in a train."""
    found = page(tmp_path, different)

    policy = next(meta["content"] for meta in found.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    hashes = [b64encode(hashlib.sha256(found.raw[tag].encode()).digest()).decode() for tag in ("style", "script")]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert found.all("link") == []
    assert [link for link in found.all("a") if not str(link["href"]).startswith("#")] == []
    assert "url(" not in found.raw["style"]


def test_the_page_stays_small_whatever_the_data(tmp_path: Path, different: RunSummary) -> None:
    long = "ü<" * 50_000
    record = json.dumps({f"{n}": long[:90] for n in range(500)} | {"x": long[:40_000]})
    examples = [Example(long, "changed", tuple(f"$['{n}']" for n in range(50)), record, record, 1, None)] * 6
    write_html(hostile(different, long), examples, {"report": long}, tmp_path / "report.html")

    assert 100_000 < (tmp_path / "report.html").stat().st_size < 2_000_000


def test_terminal_json_and_page_say_the_verdict_in_the_same_words(tmp_path: Path, different: RunSummary) -> None:
    totals = replace(different.totals, files_missing_in_backup=2)
    run = replace(different, totals=totals, changed_alone={"$.speed": 4, "$.b": 1}, scope=Scope(9, 6, 0, "1h"))
    sentence = (
        "DIFFERENT (3 of 9 files compared; 6 are younger than 1h): 98.80 % of 1,000 records match "
        "(2 records found in another file); 5 changed (4 only in $.speed), "
        "7 missing in the backup (2 files are not there), 4 missing in the source"
    )
    out = io.StringIO()
    print_summary(run, Console(file=out, width=80), {})
    write_json(run, tmp_path / "report.json")

    assert out.getvalue().splitlines()[0] == sentence
    assert json.loads((tmp_path / "report.json").read_text())["sentence"] == sentence
    word, _, reason = sentence.partition(" (3 of 9 files compared; 6 are younger than 1h): ")
    found = page(tmp_path, run)
    assert f"{word} {reason}" in found.text
    assert "Only a part: 3 of 9 files compared; 6 are younger than 1h" in found.text


def test_it_shows_equations_proofs_worst_files_paths_hints_and_commands(tmp_path: Path, different: RunSummary) -> None:
    totals = replace(different.totals, source_bytes=4_000_000, backup_bytes=3_000_000, bytes_not_read=1_000_000)
    run = replace(
        different, totals=totals, hints=[Hint("every value is a time", "ignore", "$.at")],
        breaches=[Breach("day=1/", "missing_files", "0", "2")], bytes_by_proof={"compare": 5_000_000},
    )  # fmt: skip
    text = page(tmp_path, run).text

    for words in (
        "source 1,000 = matched 986 + changed 5 + moved out 2 + missing in backup 7",
        "backup 997 = matched 986 + changed 5 + moved in 2 + missing in source 4",
        "6.0 MB were read, 1.0 MB were spared",
        "compare 2 5.0 MB",
        "day=1/x.json 5 7 0 98.80 %",
        "$.b 3",
        "day=1/: missing_files 2, at most 0 allowed",
        "every value is a time: --ignore '$.at'",
        "rclone copy --files-from-raw ./out/repair/copy_again.txt SOURCE BACKUP",
        "--only-failed-from run-1",
        "the backup has versioning switched off",
    ):
        assert words in text


def test_a_changed_record_stands_side_by_side_with_its_changed_fields_marked(
    tmp_path: Path, different: RunSummary
) -> None:
    changed = Example(
        "a.json", "changed", ("$.speed", "$.gone"),
        '{"id":1,"speed":12.5,"gone":true,"name":"***"}', '{"id":1,"speed":13,"name":"***"}', 1, None,
    )  # fmt: skip
    found = page(tmp_path, different, (changed,))

    assert "changed: $.speed 12.5 13 changed: $.gone true not there" in found.text
    assert "$.id 1 1" in found.text
    assert '$.name "***" "***"' in found.text
    assert len([row for row in found.all("tr") if row.get("class") == "changed"]) == 2


def test_every_table_has_a_caption_and_headings_with_scope(tmp_path: Path, different: RunSummary) -> None:
    """A screen reader says them with each cell."""
    examples = (Example("a.json", "changed", ("$.a",), '{"a":1}', '{"a":2}', 1, None),)
    found = page(tmp_path, replace(hostile(different, "x"), trend=[run_point(1, "MATCH", 100.0)]), examples)

    assert len(found.all("table")) == len(found.all("caption")) == 8
    assert [head for head in found.all("th") if head.get("scope") not in ("col", "row")] == []
    labels = [attributes["aria-labelledby"] for _, attributes in found.elements if "aria-labelledby" in attributes]
    assert set(labels) <= {attributes.get("id") for _, attributes in found.elements}
    assert found.all("html") == [{"lang": "en"}]
    assert len(found.all("h1")) == 1
    assert found.all("a")[0] == {"class": "skip", "href": "#main"}


@pytest.mark.parametrize(
    ("verdict", "totals", "tone"),
    [
        (Verdict.MATCH, Totals(source_records=1, backup_records=1, matched_records=1, identical_records=1), "good"),
        (Verdict.PARTIAL_MATCH, Totals(source_records=1, backup_records=1, matched_records=1), "good"),
        (Verdict.WITHIN_THRESHOLD, Totals(source_records=2, backup_records=1, matched_records=1), "warning"),
        (Verdict.DIFFERENT, Totals(source_records=1), "bad"),
        (Verdict.INCOMPLETE, Totals(files=1, files_error=1), "bad"),
        (Verdict.MATCH, Totals(), "warning"),
    ],
)
def test_the_colour_is_that_of_the_verdict_and_nothing_proven_is_not_green(
    tmp_path: Path, different: RunSummary, verdict: Verdict, totals: Totals, tone: str
) -> None:
    found = page(tmp_path, replace(different, verdict=verdict, totals=totals))

    assert {"class": f"verdict {tone}"} in found.all("div")


def test_the_trend_is_a_line_with_a_gap_where_a_run_died(tmp_path: Path, different: RunSummary) -> None:
    rates = [("MATCH", 100.0), ("DIFFERENT", 99.5), (None, None), ("MATCH", 100.0), ("WITHIN_THRESHOLD", 99.0)]
    trend = [run_point(number, *each) for number, each in enumerate(rates, start=1)]
    found = page(tmp_path, replace(different, trend=trend))

    assert [line["points"] for line in found.all("polyline")] == ["64.0,16.0 224.0,94.0", "544.0,16.0 704.0,172.0"]
    assert "100.0 % 99.5 % 99.0 %" in found.text
    assert "2024-05-03 07:08 UNFINISHED – " in found.text
    assert "The last 5 runs of these places" in found.text
