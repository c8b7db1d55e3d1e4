"""The log API of the demo, as `ingest` sees it: over HTTP and in files."""

from __future__ import annotations

import ast
import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from tallymark.io.log_api import LogApi, read_pages
from tallymark.retry import RetryPolicy

SCRIPT = Path(__file__).parents[2] / "demo/log_api.py"
START = datetime(2026, 10, 1, 10, tzinfo=timezone.utc)
WINDOW = "?from={from}&to={to}"


def environment(keys: str | None = None) -> dict[str, str]:
    rest = {name: value for name, value in os.environ.items() if name != "TALLYMARK_FERNET_KEYS"}
    return rest | ({"TALLYMARK_FERNET_KEYS": keys} if keys else {})


@dataclass
class Demo:
    """A running API and the keys that it wrote."""

    url: str
    keys: str

    def pull(self, pagination: Any, path: str = "", hours: int = 1, calls: int = 1) -> list[list[dict[str, Any]]]:
        api = LogApi(f"{self.url}{path}{WINDOW}", pagination, calls)
        retry = RetryPolicy(attempts=30, base_seconds=0)
        pages = read_pages(api, START, START + timedelta(hours=hours), {}, retry, sleep=lambda seconds: None)
        return [json.loads(page) for page in pages]

    def truth(self) -> dict[str, int]:
        window = {"from": "2026-10-01T10:00:00Z", "to": "2026-10-01T11:00:00Z"}
        said: dict[str, int] = requests.get(self.url.replace("/logs", "/truth"), window, timeout=20).json()
        return said


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    keys = tmp_path_factory.mktemp("demo") / "deep/keys"
    command = [sys.executable, str(SCRIPT), "--port", "0", "--faults", "0.3", "--bad", "0.05", "--keys-file", str(keys)]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert keys.stat().st_mode & 0o777 == 0o600
            yield Demo(url, keys.read_text().strip())
        finally:
            process.kill()


def opened(item: dict[str, Any], keys: str) -> dict[str, Any] | None:
    """Return the record in an item, or None if it is a bad one."""
    try:
        plain = MultiFernet([Fernet(key) for key in keys.split(",")]).decrypt(item["data"]).decode()
        record = json.loads(plain) if plain.startswith('{"') else ast.literal_eval(plain)
        datetime.fromisoformat(record["inDate"].replace("Z", ""))
    except (InvalidToken, KeyError, TypeError, ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    assert set(record) >= {"user_id", "record_id", "method", "url", "inDate"}
    return dict(record)


def hours_of(items: list[dict[str, Any]], keys: str) -> dict[str, int]:
    """Count the different good records per hour of their own time."""
    records = {record["record_id"]: record for item in items if (record := opened(item, keys))}
    return dict(Counter(record["inDate"][:13] for record in records.values()))


@pytest.mark.parametrize(
    ("pagination", "path", "calls"), [("none", "", 40), ("next", "/next", 1), ("page", "/page", 1)]
)
def test_every_way_to_ask_gives_every_record_of_the_window_in_spite_of_the_faults(
    demo: Demo, pagination: str, path: str, calls: int
) -> None:
    pages = demo.pull(pagination, path, calls=calls)
    assert all(90 <= len(page) <= 120 for page in pages[:-1])
    assert hours_of([item for page in pages for item in page], demo.keys) == demo.truth()


def test_an_hour_has_1000_to_2000_records_some_bad_and_some_late(demo: Demo) -> None:
    items = [item for page in demo.pull("next", "/next") for item in page]
    bad = [item for item in items if opened(item, demo.keys) is None]
    hours = demo.truth()
    assert 1000 <= len(items) <= 2000
    assert len(items) == sum(hours.values()) + len(bad)
    assert 0.02 < len(bad) / len(items) < 0.08
    assert set(hours) == {f"2026-10-01T{hour:02}" for hour in range(4, 11)}
    assert hours["2026-10-01T10"] > 0.95 * sum(hours.values())


def test_calls_without_pages_repeat_what_came_before(demo: Demo) -> None:
    texts = [json.dumps(item) for page in demo.pull("none", hours=3, calls=10) for item in page]
    assert 0 < len(texts) - len(set(texts)) < 100


def test_the_records_are_half_python_and_half_json_of_few_users_under_two_keys(demo: Demo) -> None:
    items = [item for page in demo.pull("next", "/next") for item in page]
    good = [(item, record) for item in items if (record := opened(item, demo.keys))]
    newest = demo.keys.split(",")[0]
    assert 0.7 < sum(opened(item, newest) is not None for item, _ in good) / len(good) < 0.9
    assert len({record["user_id"] for _, record in good}) == 20
    assert {len(record["user_id"]) for _, record in good} == {64}
    fernet = MultiFernet([Fernet(key) for key in demo.keys.split(",")])
    assert 0.4 < sum(fernet.decrypt(item["data"]).startswith(b"{'") for item, _ in good) / len(good) < 0.6


def write(folder: Path, *options: str, keys: str | None = None) -> dict[str, int]:
    command = [sys.executable, str(SCRIPT), "--write-files", str(folder), "--records", "2000", "--files", "3", *options]
    done = subprocess.run(command, env=environment(keys), capture_output=True, text=True, check=True, timeout=60)
    said: dict[str, int] = json.loads(done.stdout)
    return said


def test_files_hold_what_is_said_and_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    said = write(tmp_path / "a", "--keys-file", str(tmp_path / "keys"))
    assert write(tmp_path / "b", "--keys-file", str(tmp_path / "keys"), "--processes", "1") == said
    files = sorted((tmp_path / "a").iterdir())
    assert [file.name for file in files] == ["part-00000.json.gz", "part-00001.json.gz", "part-00002.json.gz"]
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in sorted((tmp_path / "b").iterdir())]
    items = [item for file in files for item in json.loads(gzip.decompress(file.read_bytes()))]
    keys = (tmp_path / "keys").read_text().strip()
    assert len(items) == said["items"] == 2000 + said["repeated"]
    assert len({json.dumps(item) for item in items if opened(item, keys)}) == said["different_records"]
    assert sum(hours_of(items, keys).values()) == said["different_records"] == 2000 - said["bad"]


def test_files_may_be_json_lines_under_keys_that_were_given(tmp_path: Path) -> None:
    key = Fernet.generate_key().decode()
    said = write(tmp_path / "a", "--format", "lines", "--keys-file", str(tmp_path / "keys"), keys=key)
    lines = [line for file in (tmp_path / "a").iterdir() for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert sum(hours_of([json.loads(line) for line in lines], key).values()) == said["different_records"]
    assert not (tmp_path / "keys").exists()
