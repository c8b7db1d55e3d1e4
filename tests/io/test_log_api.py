"""Pulling pages from a real HTTP server, which does each wrong thing once (T25)."""

from __future__ import annotations

import gzip
import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from tallymark.errors import ConfigError, IncompleteError
from tallymark.io import log_request
from tallymark.io.log_api import LogApi, read_pages
from tallymark.retry import RetryPolicy

START = datetime(2026, 10, 1, 10, tzinfo=timezone.utc)
END = datetime(2026, 10, 1, 11, tzinfo=timezone.utc)
NOW = 1_790_848_800.0  # 2026-10-01T10:00:00Z
SECRET = "Bearer a-token-that-no-message-may-show"
RETRY = RetryPolicy(attempts=3, base_seconds=1, cap_seconds=8)


@dataclass
class Answer:
    """What the server says to one request; ``length`` is the Content-Length that it claims."""

    body: bytes = b"[]"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    hang_up: bool = False
    silent: bool = False


@dataclass
class Api:
    """A server that gives the answers that it was handed, one after the other; the last one for ever."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    choose: Callable[[str], Answer] | None = None
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    woken: threading.Event = field(default_factory=threading.Event)

    def answer(self, path: str, headers: dict[str, str]) -> Answer:
        self.asked.append(path)
        self.headers.append(headers)
        if self.choose:
            return self.choose(path)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def gives(self, *answers: Answer | bytes | str | list[Any] | dict[str, Any]) -> Api:
        self.answers = [made(answer) for answer in answers]
        return self

    def pull(self, **options: Any) -> list[bytes]:
        return list(self.pages(**options))

    def pages(self, environ: dict[str, str] | None = None, **options: Any) -> Iterator[bytes]:
        api = LogApi(**{"url": f"{self.url}/logs?key=s3cret", **options})
        return read_pages(
            api, START, END, environ or {}, RETRY, sleep=self.slept.append, random=lambda: 1.0, clock=lambda: NOW
        )


def made(answer: Answer | bytes | str | list[Any] | dict[str, Any]) -> Answer:
    if isinstance(answer, Answer):
        return answer
    if isinstance(answer, str):
        answer = answer.encode()
    return Answer(answer if isinstance(answer, bytes) else json.dumps(answer).encode())


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[ThreadingHTTPServer, type[BaseHTTPRequestHandler]]]:
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield running, handler
        running.shutdown()


@pytest.fixture
def api(server: tuple[ThreadingHTTPServer, Any]) -> Iterator[Api]:
    running, handler = server
    handler.api = Api(f"http://127.0.0.1:{running.server_port}")
    yield handler.api
    handler.api.woken.set()


class _Handler(BaseHTTPRequestHandler):
    api: ClassVar[Api]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or the client waits 40 ms for each body

    def do_GET(self) -> None:
        answer = self.api.answer(self.path, dict(self.headers))
        if answer.silent:
            self.api.woken.wait(20)
        if answer.hang_up or answer.silent:
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = answer.length is not None

    def log_message(self, *args: object) -> None:
        """Stay silent: pytest shows what matters."""


def test_without_pages_the_api_is_asked_so_often_and_what_it_repeats_is_given_on(api: Api) -> None:
    api.gives(b' [{"data": "x" , "n":1.0}]\n', [1], [1], [])
    assert api.pull(calls=5) == [b'[{"data": "x" , "n":1.0}]', b"[1]", b"[1]"]
    assert len(api.asked) == 5


def test_the_window_stands_in_the_url_as_time_in_utc(api: Api) -> None:
    api.gives([1])
    pages = read_pages(
        LogApi(f"{api.url}/{{from}}?a={{from}}&b={{to}}"),
        START.astimezone(timezone(timedelta(hours=5, minutes=30))),
        END + timedelta(microseconds=7),
        {},
    )
    assert list(pages) == [b"[1]"]
    assert urlsplit(api.asked[0]).path == "/2026-10-01T10%3A00%3A00Z"
    assert parse_qs(urlsplit(api.asked[0]).query) == {
        "a": ["2026-10-01T10:00:00Z"],
        "b": ["2026-10-01T11:00:00.000007Z"],
    }


@pytest.mark.parametrize("items", ["items", "data", "results", "logs", "records"])
@pytest.mark.parametrize("name", ["next", "next_cursor", "cursor", "next_page"])
@pytest.mark.parametrize("end", ['"%s": null', '"%s": ""', '"more": false'])
def test_the_next_page_is_asked_by_cursor_until_there_is_none(api: Api, items: str, name: str, end: str) -> None:
    last = end % name if "%s" in end else end
    api.gives(f'{{"{name}": "c/1 &", "{items}": [1,\n 2]}}', f'{{{last}, "x": {{}}, "{items}" : [3 ] }}')
    assert api.pull(pagination="next", cursor_param="after") == [b"[1,\n 2]", b"[3 ]"]
    assert [parse_qs(urlsplit(path).query) for path in api.asked] == [
        {"key": ["s3cret"]},
        {"key": ["s3cret"], "after": ["c/1 &"]},
    ]


@pytest.mark.parametrize("named", ["{url}/more?at=2", "/more?at=2", "{upper}/more?at=2"])
def test_the_next_page_may_be_a_url_of_the_same_host(api: Api, named: str) -> None:
    target = named.format(url=api.url, upper=api.url.upper().replace("HTTP", "HtTp"))
    api.gives({"items": [1], "next": target}, {"items": [2]})
    assert api.pull(pagination="next") == [b"[1]", b"[2]"]
    assert api.asked[1] == "/more?at=2"


def test_a_cursor_may_look_like_a_path_and_may_be_a_number(api: Api) -> None:
    api.gives({"items": [1], "cursor": "/9j/4AAQ=="}, {"items": [2], "cursor": 10**30}, [3])
    assert api.pull(pagination="next") == [b"[1]", b"[2]", b"[3]"]
    cursors = [parse_qs(urlsplit(path).query).get("cursor") for path in api.asked]
    assert cursors == [None, ["/9j/4AAQ=="], ["1" + 30 * "0"]]


@pytest.mark.parametrize(
    "named",
    [
        "http://elsewhere.invalid/logs",
        "//elsewhere.invalid/logs",
        "http://elsewhere.invalid\\@127.0.0.1:{port}/logs",
        "http://127.0.0.1:{port}@elsewhere.invalid/logs",
        "http://127.0.0.1:1/logs",
        "https://127.0.0.1:{port}/logs",
        "http://[:::/logs",
    ],
)
def test_a_next_page_on_another_host_is_refused_because_the_credentials_would_go_there(api: Api, named: str) -> None:
    api.gives({"items": [1], "next": named.format(port=urlsplit(api.url).port)}, [2])
    with pytest.raises(IncompleteError, match="/logs names a next page on another host"):
        api.pull(pagination="next", header_from="env:TOKEN", environ={"TOKEN": SECRET})
    assert len(api.asked) == 1


def test_pages_have_numbers_from_1_until_an_empty_one(api: Api) -> None:
    api.gives([1], {"results": [2]}, {"results": []}, [4])
    assert api.pull(pagination="page", page_param="p") == [b"[1]", b"[2]"]
    assert [path.rpartition("&")[2] for path in api.asked] == ["p=1", "p=2", "p=3"]


def test_an_empty_page_with_a_cursor_is_not_the_last(api: Api) -> None:
    api.gives(*({"items": [], "next": n} for n in range(1, 6)), {"items": [1], "next": None})
    assert api.pull(pagination="next") == [b"[1]"]


@pytest.mark.parametrize("cursors", [["a", "a"], ["a", "b", "a"]])
def test_a_cursor_that_comes_again_ends_in_an_error_and_not_in_a_loop(api: Api, cursors: list[str]) -> None:
    api.gives(*({"items": [n], "next": cursor} for n, cursor in enumerate(cursors)))
    with pytest.raises(IncompleteError, match="named the same next page twice under next"):
        api.pull(pagination="next")
    assert len(api.asked) == len(cursors)


@pytest.mark.parametrize("pagination", ["next", "page"])
@pytest.mark.parametrize("items", [[1], []])
def test_the_same_page_for_ever_ends_in_an_error_whatever_its_cursor(
    api: Api, pagination: str, items: list[int]
) -> None:
    api.choose = lambda path: made({"items": items, "next": len(api.asked)})
    if pagination == "page" and not items:
        assert api.pull(pagination=pagination) == []
        return
    with pytest.raises(IncompleteError, match=r"gave the same page 3 times|gave the same page 1000 times"):
        api.pull(pagination=pagination)


def test_a_page_that_is_repeated_once_is_given_on(api: Api) -> None:
    api.gives([1], [1], [2], [])
    assert api.pull(pagination="page") == [b"[1]", b"[1]", b"[2]"]


def test_an_answer_that_has_more_pages_is_not_taken_for_all(api: Api) -> None:
    api.gives({"items": [1], "next_cursor": "c"})
    with pytest.raises(ConfigError, match=r"names a next page under next_cursor.*set the pagination .* to next"):
        api.pull()


FAULTS = {
    "500": Answer(status=500),
    "502": Answer(b"<html>bad gateway", status=502),
    "503": Answer(status=503),
    "504": Answer(b"", status=504),
    "408": Answer(status=408),
    "429": Answer(status=429),
    "empty": Answer(b""),
    "blank": Answer(b" \n"),
    "cut": Answer(b'[{"data": "x"}, {"da', length=100),
    "cut without a length that tells": Answer(b'[{"data": "x"}, {"da'),
    "cut gzip": Answer(gzip.compress(b"[1]" * 99)[:-12], headers={"Content-Encoding": "gzip"}),
    "two lists": Answer(b"[1][2]"),
    "no json": Answer(b"<html>"),
    "text": Answer(b'"text"'),
    "no list": Answer(b'{"items": {}, "message": "later"}'),
    "a cursor that is none": Answer(b'{"items": [9], "next": {"a": 1}}'),
    "deep": Answer(b"[" * 100_000),
    "hang up": Answer(hang_up=True),
    "silence": Answer(silent=True),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("pagination", ["none", "next", "page"])
def test_what_may_pass_is_tried_again_and_every_record_comes_exactly_once(
    api: Api, fault: str, pagination: str
) -> None:
    link = {"next": "c"} if pagination == "next" else {}
    api.gives({"items": [1], **link}, FAULTS[fault], {"items": [2]}, [])
    assert api.pull(pagination=pagination, calls=2, read_seconds=0.3) == [b"[1]", b"[2]"]
    assert api.slept == [1.0]
    assert api.asked[1] == api.asked[2]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_pass_is_an_error_after_a_bounded_number_of_attempts(api: Api, fault: str) -> None:
    api.gives([1], FAULTS[fault])
    pages = api.pages(calls=2, read_seconds=0.1)
    assert next(pages) == b"[1]"
    with pytest.raises(IncompleteError, match=rf"no whole page from {api.url}/logs in 3 attempts, at last: \w+"):
        next(pages)
    assert (len(api.asked), api.slept) == (4, [1.0, 2.0])


@pytest.mark.parametrize(
    ("said", "slept"),
    [
        ("7", 7.0),
        ("0", 1.0),
        ("100000", 120.0),
        ("9" * 5000, 120.0),
        ("Thu, 01 Oct 2026 10:00:30 GMT", 30.0),
        ("Thu, 01 Oct 2026 09:00:00 GMT", 1.0),
        ("Thu, 01 Oct 2026 12:00:00 GMT", 120.0),
        ("Thu, 01 Oct 2026 10:00:30 -0000", 30.0),
        ("-7", 1.0),
        ("soon", 1.0),
        ("²", 1.0),
        ("", 1.0),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_a_number_or_a_date_and_is_capped(api: Api, status: int, said: str, slept: float) -> None:
    api.gives(Answer(status=status, headers={"Retry-After": said}), Answer(status=500), [1])
    assert api.pull() == [b"[1]"]
    assert api.slept == [slept, 2.0]


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "check the url"),
        (401, "check the secret that header_from names"),
        (403, "check the secret"),
        (404, "its parameters"),
        (302, "redirects are not followed"),
    ],
)
def test_a_refusal_is_an_error_at_once_that_names_url_status_and_next_step(api: Api, status: int, advice: str) -> None:
    refused = Answer(SECRET.encode(), status, {"Location": "http://elsewhere.invalid/"})
    with pytest.raises(ConfigError, match=rf"{api.url}/logs answered with status {status}: .*{advice}"):
        api.gives(refused).pull()
    with pytest.raises(IncompleteError, match=f"status {status}"):
        api.gives([1], refused).pull(pagination="page")
    assert len(api.asked) == 3


def test_a_body_beyond_the_limit_is_refused_while_it_comes(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_request, "LARGEST_BODY", 2 << 20)
    bomb = Answer(gzip.compress(b"[" + b" " * (64 << 20) + b"]"), headers={"Content-Encoding": "gzip"})
    for large in (Answer(b"[" + b" " * (3 << 20), length=1 << 40), bomb):
        with pytest.raises(IncompleteError, match="answered with more than 2 MB: ask for smaller pages"):
            api.gives(large).pull()
    assert len(api.asked) == 2


def test_one_odd_item_does_not_hold_up_the_others(api: Api) -> None:
    odd = b'{"next": null, "items": [{"a": "\\ud800"}, NaN, "\xff", ' + b"9" * 5000 + b', {"a":1,"a":2}], "n": 1}'
    api.gives(odd)
    assert api.pull() == [odd[odd.index(b"[") : odd.rindex(b"]") + 1]]


def test_the_header_comes_from_its_reference_and_shows_nowhere(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    options = {"header_from": "env:TOKEN", "environ": {"TOKEN": SECRET}}
    api.gives([1], Answer(status=500), [2]).pull(calls=2, **options)
    assert {headers["Authorization"] for headers in api.headers} == {SECRET}
    seen = [repr(LogApi(api.url, header_from="env:TOKEN"))]
    for answer in (Answer(status=401), Answer(status=500), Answer(hang_up=True), Answer(b"[1", length=9)):
        with pytest.raises((ConfigError, IncompleteError)) as caught:
            api.gives(answer).pull(**options)
        seen += [str(caught.value), repr(caught.value)]
    bad = ["two\nlines " + SECRET, SECRET + " ", "é" + SECRET]
    for value in bad:
        with pytest.raises(ConfigError, match="the secret env:TOKEN cannot be the value of a header") as caught:
            api.pull(header_from="env:TOKEN", environ={"TOKEN": value})
        seen.append(str(caught.value))
    seen += [record.getMessage() for record in caplog.records if record.name.startswith("tallymark")]
    assert "s3cret" not in "".join(seen)
    assert "a-token-that" not in "".join(seen) + caplog.text


def test_no_credentials_of_the_machine_are_sent(api: Api, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    api.gives([1]).pull()
    assert "Authorization" not in api.headers[0]


@pytest.mark.parametrize("url", ["", "logs", "ftp://host/x", "http://", "http://[::/", "file:///etc/passwd"])
def test_a_url_that_is_none_is_a_configuration_error(api: Api, url: str) -> None:
    with pytest.raises(ConfigError, match="the url of the log API is none"):
        api.pull(url=url)


@pytest.mark.parametrize("host", ["logs.example", "10.0.0.1", "[2001:db8::1]", "127.0.0.1.logs.example"])
def test_a_secret_is_not_sent_in_the_clear_to_another_machine(api: Api, host: str) -> None:
    with pytest.raises(ConfigError, match=r"header_from would send a secret to .* in the clear: write https"):
        api.pull(url=f"http://{host}/logs", header_from="env:TOKEN", environ={"TOKEN": SECRET})


@pytest.mark.parametrize("host", ["localhost", "127.9.9.9", "[::1]"])
def test_a_secret_may_go_to_a_proxy_on_this_machine(api: Api, host: str) -> None:
    with pytest.raises(IncompleteError, match="no whole page from"):
        api.pull(url=f"http://{host}:1/logs", header_from="env:TOKEN", environ={"TOKEN": SECRET})


def test_a_host_that_is_not_there_is_incomplete_and_the_query_is_not_shown(api: Api) -> None:
    with pytest.raises(IncompleteError, match=r"no whole page from http://127.0.0.1:1/x in .*NewConnectionError"):
        api.pull(url="http://127.0.0.1:1/x?key=s3cret")
