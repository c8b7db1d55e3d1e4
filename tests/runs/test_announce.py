"""Messages arrive at real servers; whatever is wrong with these is one warning, without a secret, and soon over."""

from __future__ import annotations

import email
import email.policy
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hook_server import HookServer
from mail_server import MailServer, certificate
from tallymark.config.notify import NotifyOptions
from tallymark.errors import IncompleteError
from tallymark.io.webhook import post_json
from tallymark.report.notice import Notice
from tallymark.retry import RetryPolicy
from tallymark.runs.announce import announce

NOTICE = Notice(
    "reconcile",
    False,
    "reconcile failed: DIFFERENT",
    "DIFFERENT: 98.80 % of 1,000 records match; 5 changed (only in $.<b>&*x*)",
    (("run", "run-1"), ("source", "s3://a/[x](http://evil)/")),
)


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = RetryPolicy(attempts=4, base_seconds=0.01, cap_seconds=0.01)
    monkeypatch.setattr("tallymark.io.webhook.post_json.__defaults__", ((0.3, 0.3), quick, time.sleep))
    monkeypatch.setattr("tallymark.io.mail.send_mail.__defaults__", (quick, time.sleep))


def webhook(shape: str) -> NotifyOptions:
    return NotifyOptions.model_validate({"webhooks": [{"url_from": "env:HOOK", "shape": shape}]})


def mail(server: MailServer, **options: object) -> NotifyOptions:
    given = {"host": "127.0.0.1", "port": server.port, "sender": "t@example.org", "to": ["a@x.org", "b@x.org"]}
    return NotifyOptions.model_validate({"email": given | options})


def told(hook: HookServer, shape: str, notice: Notice = NOTICE) -> Any:
    announce(notice, webhook(shape), {"HOOK": hook.url})
    assert [path for path, _ in hook.received] == ["/services/T0/s3cret"]
    return hook.received[0][1]


def test_slack_gets_a_header_and_sections_that_read_no_markup() -> None:
    with HookServer() as hook:
        payload = told(hook, "slack")

    assert payload == {
        "text": (
            "reconcile failed: DIFFERENT: DIFFERENT: 98.80 % of 1,000 records match; "
            "5 changed (only in $.&lt;b&gt;&amp;*x*)"
        ),
        "blocks": [
            {
                "type": "header",
                "text": {"type": "plain_text", "text": ":x: reconcile failed: DIFFERENT", "emoji": True},
            },
            {"type": "section", "text": {"type": "plain_text", "text": NOTICE.sentence, "emoji": False}},
            {
                "type": "section",
                "text": {
                    "type": "plain_text",
                    "text": "run: run-1\nsource: s3://a/[x](http://evil)/",
                    "emoji": False,
                },
            },
        ],
    }


def test_teams_gets_an_adaptive_card_whose_texts_read_no_markdown() -> None:
    with HookServer(202) as hook:
        payload = told(hook, "teams")

    attachment = payload["attachments"][0]
    assert payload["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert [block["inlines"][0]["text"] for block in card["body"]] == [
        "reconcile failed: DIFFERENT",
        NOTICE.sentence,
        "run: run-1",
        "source: s3://a/[x](http://evil)/",
    ]
    assert card["body"][0]["inlines"][0]["color"] == "attention"


def test_programs_get_plain_json() -> None:
    with HookServer() as hook:
        assert told(hook, "json", replace(NOTICE, is_recovery=True, records=("one",))) == {
            "job": "reconcile",
            "state": "recovered",
            "title": NOTICE.title,
            "sentence": NOTICE.sentence,
            "facts": {"run": "run-1", "source": "s3://a/[x](http://evil)/"},
            "records": ["one"],
        }


@pytest.mark.parametrize("shape", ["slack", "teams"])
def test_records_of_any_size_fit_into_a_message(shape: str) -> None:
    """Slack takes 3,000 characters a section, Teams 28 KB a message."""
    with HookServer() as hook:
        payload = told(hook, shape, replace(NOTICE, records=("ü" * 5_000,) * 5))

    assert len(str(payload).encode()) < 28_000
    assert all(len(block["text"]["text"]) <= 3_000 for block in payload.get("blocks", []))


def test_a_webhook_that_is_busy_is_asked_again() -> None:
    with HookServer(500, 429, 503) as hook:
        announce(NOTICE, webhook("json"), {"HOOK": hook.url})

        assert len(hook.received) == 4


@pytest.mark.parametrize(
    ("statuses", "asked", "cause"),
    [
        ((404,), 1, "it answered with status 404: check the URL and the shape"),
        ((302,), 1, "it answered with status 302"),
        ((500,) * 9, 4, "status 500 in 4 attempts"),
        ((None,) * 9, 4, "no connection (ReadTimeout) in 4 attempts"),
    ],
)
def test_a_webhook_that_fails_is_one_warning_without_its_url(
    caplog: pytest.LogCaptureFixture, statuses: tuple[int | None, ...], asked: int, cause: str
) -> None:
    with caplog.at_level(logging.DEBUG, "tallymark"), HookServer(*statuses) as hook:
        announce(NOTICE, webhook("slack"), {"HOOK": hook.url})

    assert len(hook.received) == asked
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"nobody was told through webhook 1 (slack, env:HOOK): {cause}")
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/s3cret", "s3cret", "https://[s3cret"])
def test_a_webhook_that_is_not_there_is_one_warning_without_its_url(caplog: pytest.LogCaptureFixture, url: str) -> None:
    announce(NOTICE, webhook("slack"), {"HOOK": url})

    assert len(caplog.messages) == 1
    assert "s3cret" not in caplog.text


def test_a_webhook_on_another_machine_is_not_called_in_the_clear(caplog: pytest.LogCaptureFixture) -> None:
    for url in (
        "http://hooks.example/s3cret",
        "HTTP://10.0.0.1/s3cret",
        "http://127.0.0.1.example/s3cret",
        "http://[s3cret",
    ):
        with pytest.raises(IncompleteError, match="would be sent in the clear: write https://") as refused:
            post_json(url, {})
        assert "s3cret" not in str(refused.value) + caplog.text


def test_nobody_waits_longer_than_the_patience(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that trickles could hold a connection for hours."""
    monkeypatch.setattr("tallymark.io.webhook.post_json.__defaults__", ((60, 60), RetryPolicy(), time.sleep))
    with HookServer(None) as hook, HookServer() as other:
        options = NotifyOptions.model_validate(
            {"webhooks": [{"url_from": f"env:{name}", "shape": "json"} for name in ("SLOW", "GOOD")]}
        )
        begun = time.monotonic()
        announce(NOTICE, options, {"SLOW": hook.url, "GOOD": other.url}, patience=0.5)

        assert time.monotonic() - begun < 30
        assert len(other.received) == 1
    assert caplog.messages == [
        "nobody was told through webhook 1 (json, env:SLOW): no answer within 0 s; the job itself is not touched by it"
    ]


def test_a_secret_that_is_not_there_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    announce(NOTICE, webhook("slack"), {})

    assert len(caplog.messages) == 1
    assert "the secret env:HOOK is not there" in caplog.messages[0]


def test_mail_goes_through_tls_with_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with MailServer(pem) as server:
        options = mail(server, user="ada", password_from="env:MAIL")
        announce(replace(NOTICE, records=("r1",)), options, {"MAIL": "s3cret"})

    ((text, was_secret, login),) = server.messages
    message = email.message_from_string(text, policy=email.policy.default)
    assert (was_secret, login) == (True, "ada s3cret")
    assert (message["Subject"], message["From"]) == ("reconcile failed: DIFFERENT", "t@example.org")
    assert message["To"] == "a@x.org, b@x.org"
    assert message.get_content().splitlines() == [
        NOTICE.sentence, "", "run: run-1", "source: s3://a/[x](http://evil)/", "", "r1",
    ]  # fmt: skip


def test_mail_is_not_sent_in_the_open_where_tls_is_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither to a server without STARTTLS, nor to one whose certificate nobody has signed."""
    for pem, cause in ((None, "SMTPNotSupportedError"), (certificate(tmp_path), "SSLCertVerificationError")):
        caplog.clear()
        with MailServer(pem) as server:
            announce(NOTICE, mail(server, user="ada", password_from="env:MAIL"), {"MAIL": "s3cret"})

        assert server.messages == []
        assert len(caplog.messages) == 1
        assert cause in caplog.messages[0]
        assert "s3cret" not in caplog.text


def test_a_mail_server_that_is_busy_is_asked_again_and_a_refusal_is_final(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with MailServer(pem, greetings=["421 busy", "421 busy"]) as server:
        announce(NOTICE, mail(server, security="none"))
        assert len(server.messages) == 1

        announce(NOTICE, mail(server, user="ada", password_from="env:MAIL"), {"MAIL": "wr0ng"})
    assert len(server.messages) == 1
    assert len(caplog.messages) == 1
    assert "127.0.0.1 answered 535 (SMTPAuthenticationError)" in caplog.messages[0]
    assert "wr0ng" not in caplog.text
