"""Which rights the requests of a run need, and whether a policy gives just those.

A request is a line of the S3 server's log, or a request that a proxy saw. What each kind of request needs is S3's own
table ("Required permissions for Amazon S3 API operations"); moto is not asked, because it allows everything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_LINE = re.compile(r'"(?:\x1b\[[0-9;]*m)*([A-Z]+) (\S+) HTTP')
_SUBRESOURCES = {("POST", "delete"): "s3:DeleteObject", ("DELETE", "uploadId"): "s3:AbortMultipartUpload"}
_OBJECT = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "POST": "s3:PutObject",
           "DELETE": "s3:DeleteObject"}  # fmt: skip


@dataclass(frozen=True, order=True)
class Call:
    """A right that a request needs: the action, on which resource, and for a listing the prefix."""

    action: str
    resource: str
    prefix: str | None = None


def calls_of(lines: Iterable[str]) -> set[Call]:
    """Returns the rights that the logged requests needed."""
    found = (_LINE.search(line) for line in lines)
    return {call_of(match[1], match[2]) for match in found if match and urlsplit(match[2]).path != "/"}


def call_of(method: str, target: str) -> Call:
    """Returns the right that one S3 request needs.

    >>> call_of("GET", "/data?list-type=2&prefix=a%2Fb")
    Call(action='s3:ListBucket', resource='arn:aws:s3:::data', prefix='a/b')
    >>> call_of("POST", "/data/a/b?uploads=")
    Call(action='s3:PutObject', resource='arn:aws:s3:::data/a/b', prefix=None)
    """
    parts = urlsplit(target)
    query = parse_qs(parts.query, keep_blank_values=True)
    bucket, _, key = unquote(parts.path).removeprefix("/").partition("/")
    place = f"arn:aws:s3:::{bucket}"
    for (verb, name), action in _SUBRESOURCES.items():
        if method == verb and name in query:
            return Call(action, f"{place}/{key}")
    if key:
        return Call(_OBJECT[method], f"{place}/{key}")
    if method not in {"GET", "HEAD"} or query.keys() - {
        "list-type", "prefix", "delimiter", "max-keys", "start-after", "continuation-token", "fetch-owner",
        "encoding-type",
    }:  # fmt: skip
        raise AssertionError(f"no right is known for {method} {target}")
    return Call("s3:ListBucket", place, query.get("prefix", [""])[0])


@dataclass(frozen=True)
class Policy:
    """An IAM policy whose placeholders are replaced."""

    statements: tuple[Mapping[str, Any], ...]

    @classmethod
    def read(cls, path: Path, places: Mapping[str, str]) -> Policy:
        """Reads a policy file and puts ``places`` in for its placeholders."""
        text = path.read_text(encoding="utf-8")
        for name, value in places.items():
            text = text.replace(name, value)
        return cls(tuple(json.loads(text)["Statement"]))

    @property
    def grants(self) -> set[tuple[str, str]]:
        """Each action of each statement, with the statement's name."""
        return {(statement["Sid"], action) for statement in self.statements for action in statement["Action"]}

    def without(self, sid: str, action: str) -> Policy:
        """Returns the policy that lacks one action of one statement."""
        return Policy(
            tuple(
                {**one, "Action": [name for name in one["Action"] if (one["Sid"], name) != (sid, action)]}
                for one in self.statements
            )
        )

    def refused(self, calls: Iterable[Call]) -> set[Call]:
        """Returns the calls that no statement allows."""
        return {call for call in calls if not any(_allows(statement, call) for statement in self.statements)}

    def unused(self, calls: Iterable[Call]) -> set[tuple[str, str]]:
        """Returns the grants that none of the calls needs."""
        needed = list(calls)
        return {
            (statement["Sid"], action)
            for statement in self.statements
            for action in statement["Action"]
            if not any(call.action == action and _allows(statement, call) for call in needed)
        }


def _allows(statement: Mapping[str, Any], call: Call) -> bool:
    wanted = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix")
    return (
        statement["Effect"] == "Allow"
        and call.action in statement["Action"]
        and any(_like(call.resource, pattern) for pattern in statement["Resource"])
        and (wanted is None or any(_like(call.prefix or "", pattern) for pattern in wanted))
    )


def _like(text: str, pattern: str) -> bool:
    """IAM knows ``*`` and ``?`` as wildcards, and no brackets."""
    return fnmatchcase(text, pattern.replace("[", "[[]"))
