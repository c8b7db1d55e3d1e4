"""A message to people about a run, in the shapes that they read it in: Slack, Teams, plain JSON, e-mail.

Slack: Block Kit (docs.slack.dev/reference/block-kit). Teams: an Adaptive Card as the Workflows webhook takes it
(learn.microsoft.com, "Create incoming webhooks with Workflows"); connectors and their message cards are retired. Text
from data is shown as it is in all of them, never as markup. Sent by `tallymark.runs.announce`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from tallymark.report.legible import one_line

_HEADER = 150  # characters of a header block of Slack
_SECTION = 2_900  # of 3,000 characters of a section block, some for escapes that are cut
_RECORDS = 8_000  # characters of records in all: a message of Teams holds 28 KB


@dataclass(frozen=True)
class Notice:
    """What is said: ``facts`` are names and values; ``records`` is empty unless the user asked for them."""

    job: str
    is_recovery: bool
    title: str
    sentence: str
    facts: tuple[tuple[str, str], ...]
    records: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        return "recovered" if self.is_recovery else "failed"

    @property
    def shown_records(self) -> str:
        return "\n".join(map(one_line, self.records))[:_RECORDS]

    @property
    def lines(self) -> list[str]:
        return [f"{name}: {one_line(value)}" for name, value in self.facts]


def for_slack(notice: Notice) -> dict[str, Any]:
    """Returns the payload of an incoming webhook of Slack; ``text`` is what a notification shows."""
    sign = ":white_check_mark:" if notice.is_recovery else ":x:"
    parts = [one_line(notice.sentence), "\n".join(notice.lines), notice.shown_records]
    sections = [
        {"type": "section", "text": {"type": "plain_text", "text": part[:_SECTION], "emoji": False}}
        for part in parts
        if part
    ]
    header = {"type": "plain_text", "text": f"{sign} {one_line(notice.title)}"[:_HEADER], "emoji": True}
    # `text` is read as markup, with three characters that steer.
    plain = one_line(f"{notice.title}: {notice.sentence}")[:_SECTION]
    escaped = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": escaped, "blocks": [{"type": "header", "text": header}, *sections]}


def for_teams(notice: Notice) -> dict[str, Any]:
    """Returns the payload of a Workflows webhook of Teams: a message with one Adaptive Card."""

    def text(words: str, **style: Any) -> dict[str, Any]:
        # A TextBlock would read Markdown; a TextRun shows what it is given.
        return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": words, **style}]}

    colour = "good" if notice.is_recovery else "attention"
    body = [text(one_line(notice.title), weight="bolder", size="large", color=colour), text(one_line(notice.sentence))]
    body += [text(line, isSubtle=True) for line in notice.lines]
    if notice.shown_records:
        body.append(text(notice.shown_records, fontType="monospace"))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def for_programs(notice: Notice) -> dict[str, Any]:
    """Returns the message as plain JSON."""
    return {
        "job": notice.job,
        "state": notice.state,
        "title": notice.title,
        "sentence": notice.sentence,
        "facts": dict(notice.facts),
        "records": list(notice.records),
    }


SHAPES: dict[str, Callable[[Notice], dict[str, Any]]] = {
    "slack": for_slack,
    "teams": for_teams,
    "json": for_programs,
}


def for_mail(notice: Notice, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """Returns the message as an e-mail of plain text."""
    message = EmailMessage()
    message["Subject"] = one_line(notice.title)
    message["From"] = sender
    message["To"] = ", ".join(to)
    records = f"\n\n{notice.shown_records}" if notice.records else ""
    message.set_content("\n".join([one_line(notice.sentence), "", *notice.lines]) + records + "\n")
    return message
