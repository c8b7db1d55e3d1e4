"""Connections to PostgreSQL: how they are made, which failures may pass, what an error says, how names are written.

Knows no business. A `Server` is a picklable value without a password: each connection reads the secret anew, because
a token of a cloud lives for minutes and a password may be changed while a job runs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import pq, sql

from tallymark.errors import ConfigError, IncompleteError, TallymarkError
from tallymark.io.loopback import is_loopback
from tallymark.io.secrets import read_secret

CONNECT_SECONDS = 10
_KEEPALIVE: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 35_000,
}

# Class 08: the connection. 57P01-57P03: the server stops, crashed or starts. 53300: too many connections.
# 40001, 40P01: a transaction had to give way. All of them may be gone after a moment; nothing else is.
_TRANSIENT = re.compile(r"08...|57P0[123]|53300|40001|40P01")
# libpq keeps the SQLSTATE of a refused connection to itself, so its text must tell.
_BUSY = re.compile(
    r"too many (?:clients|connections)|remaining connection slots|connection limit|starting up|shutting down"
    r"|recovery mode|not (?:yet )?accepting connections|terminating connection|consistent recovery"
)
_SETTLED = re.compile(
    r"certificate|SSL (?:was required|error)|not support SSL|no password supplied|(?:Name or service not known)"
    r"|invalid (?:connection option|port|sslmode)|root\.crt|weak sslmode|SCRAM|requires? .*authentication"
)
# Messages of these classes name tables and settings; those of others may quote a value of a record.
_SPEAKS_OF_NAMES = re.compile(r"0[A8]|25|28|3[DF]|40|42|5.|F0|XX")
_NAME = re.compile(r'\s*(?:"((?:[^"\0]|"")+)"|([^\W\d][\w$]*))\s*(\.|\Z)')


@dataclass(frozen=True, slots=True)
class Server:
    """What to connect to; None leaves it to libpq (``PGHOST`` and so on)."""

    host: str | None = None
    port: int | None = None
    user: str | None = None
    dbname: str | None = None
    sslmode: str | None = None
    sslrootcert: str | None = None
    password_from: str | None = None

    def connect(
        self, application_name: str, environ: Mapping[str, str] = os.environ, *, options: str = ""
    ) -> psycopg.Connection[Any]:
        """Opens a connection in autocommit mode; the secret is read now and kept nowhere.

        Args:
            application_name: how the server's own lists show it.
            environ: where ``env:`` secrets are; libpq reads the ``PG*`` variables of the process itself.
            options: settings of the session, such as ``-c statement_timeout=5000``.

        Raises:
            psycopg.OperationalError: not now or not so; ask `is_transient`, then `explained`.
            ConfigError: the secret is not there.
        """
        password = read_secret(self.password_from, environ) if self.password_from else None
        return psycopg.connect(
            **self.parameters(environ),
            password=password,
            application_name=application_name,
            options=options or None,
            connect_timeout=CONNECT_SECONDS,
            autocommit=True,
            prepare_threshold=None,  # a pooler may hand the next statement to another session
            **_KEEPALIVE,
        )

    def parameters(self, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
        """Returns what is known of the connection for libpq, without any secret; ``sslmode`` is never weak by default.

        >>> Server(host="db.example.com", port=5432).parameters({})
        {'host': 'db.example.com', 'port': 5432, 'sslmode': 'verify-full'}
        >>> Server(host="localhost", dbname="shop").parameters({})
        {'host': 'localhost', 'dbname': 'shop'}
        """
        names = ("host", "port", "user", "dbname", "sslmode", "sslrootcert")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if self.sslmode is None and "PGSSLMODE" not in environ and not _is_local(self._hosts()):
            given["sslmode"] = "verify-full"
        return given

    def _hosts(self) -> str:
        if self.host is not None:
            return self.host
        defaults = {option.keyword: option.val for option in pq.Conninfo.get_defaults()}
        return ",".join(value.decode() for name in (b"host", b"hostaddr") if (value := defaults.get(name)))

    def __str__(self) -> str:
        """Names the server for people.

        >>> str(Server(host="db", dbname="shop")), str(Server())
        ('PostgreSQL db/shop', 'PostgreSQL')
        """
        place = (self.host or "") + (f":{self.port}" if self.port else "") + (f"/{self.dbname}" if self.dbname else "")
        return f"PostgreSQL {place}".strip()


def _is_local(hosts: str) -> bool:
    return all(_is_this_machine(host.strip()) for host in hosts.split(","))


def _is_this_machine(host: str) -> bool:
    return not host or host.startswith(("/", "@")) or is_loopback(host)


def is_transient(error: BaseException) -> bool:
    """Tells whether the same statement may succeed in a moment: by SQLSTATE, or a connection that broke or was refused.

    Wrong SQL, wrong passwords and wrong data (classes 42, 28, 22, 23) are never transient.
    """
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    if error.sqlstate is not None:
        return _TRANSIENT.fullmatch(error.sqlstate) is not None
    text = str(error)
    if "FATAL" in text:
        return _BUSY.search(text) is not None
    return _SETTLED.search(text) is None


def explained(error: psycopg.Error, doing: str) -> TallymarkError:
    """Returns our error for one of psycopg: what was being done, the cause, the next step; no value of a record.

    Args:
        doing: the work that failed, such as ``connecting to PostgreSQL db/shop``.
    """
    state = error.sqlstate
    transient = is_transient(error)
    kind = IncompleteError if transient or (state or "").startswith(("22", "23", "5", "25", "XX")) else ConfigError
    code = f" (SQLSTATE {state})" if state else ""
    return kind(f"{doing}: {_cause(error)}{code}; {_next_step(error, transient)}")


def _cause(error: psycopg.Error) -> str:
    if error.sqlstate is None or _SPEAKS_OF_NAMES.match(error.sqlstate):
        lines = [line.strip() for line in (error.diag.message_primary or str(error)).strip().splitlines()]
        return " ".join(lines).rstrip(".") or type(error).__name__
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
    places = (
        ("table", error.diag.table_name),
        ("column", error.diag.column_name),
        ("rule", error.diag.constraint_name),
    )
    return " ".join([words, *(f"{kind} {name}" for kind, name in places if name)])


def _next_step(error: psycopg.Error, transient: bool) -> str:
    state, text = error.sqlstate or "", str(error)
    known = {
        "run the same command again when the server and the network are up": transient,
        "check user and password_from (or PGUSER and PGPASSWORD), and pg_hba.conf": state.startswith("28")
        or "authentication" in text
        or "password" in text,
        "give sslrootcert the file of the server's root certificate (or system), or choose another sslmode": (
            "certificate" in text or "SSL" in text
        ),
        "grant the role the right to it": state == "42501",
        "a row is longer than the gigabyte that PostgreSQL can write as text: leave its largest column out": (
            "invalid memory alloc request size" in text or state == "54000"
        ),
        "correct the name or the condition given to the job": state.startswith("42"),
        "a timeout or an administrator ended the statement: raise the timeout, or take less at once": state == "57014",
    }
    return next((step for step, applies in known.items() if applies), "check host, port, dbname and the server's log")


@dataclass(frozen=True, slots=True)
class TableName:
    """A table's name in its schema; the schema is None where the server's search path decides."""

    schema: str | None
    name: str

    @property
    def identifier(self) -> sql.Identifier:
        """The name as SQL, quoted."""
        return sql.Identifier(self.schema, self.name) if self.schema is not None else sql.Identifier(self.name)

    def __str__(self) -> str:
        quoted = ('"' + part.replace('"', '""') + '"' for part in (self.schema, self.name) if part is not None)
        return ".".join(quoted)


def table_name(text: str) -> TableName:
    """Parses ``schema.name`` as PostgreSQL does: what is not quoted becomes lower case, ``""`` in quotes is a quote.

    >>> table_name('Shop.orders'), table_name('"we""ird; DROP TABLE t--"')
    (TableName(schema='shop', name='orders'), TableName(schema=None, name='we"ird; DROP TABLE t--'))

    Raises:
        ConfigError: it is no name, or more than a name.
    """
    parts: list[str] = []
    at = 0
    while (found := _NAME.match(text, at)) and len(parts) < 3:
        parts.append(found[1].replace('""', '"') if found[1] is not None else found[2].lower())
        at = found.end()
        if not found[3]:
            return TableName(parts[-2] if len(parts) > 1 else None, parts[-1]) if len(parts) < 3 else _no_table(text)
    return _no_table(text)


def _no_table(text: str) -> TableName:
    raise ConfigError(
        f"{text!r} is no name of a table: write schema.name, and each part that is not "
        'letters, digits and _ in double quotes: "My schema"."my-table"'
    )


def sqlstate_of(error: psycopg.Error) -> str | None:
    """Returns the SQLSTATE; libpq keeps that of a refused connection to itself, so the text must tell.

    >>> sqlstate_of(psycopg.OperationalError("FATAL:  sorry, too many clients already"))
    '53300'
    """
    if error.sqlstate is None and re.search(r"too many (?:clients|connections)|connection slots", str(error)):
        return "53300"
    return error.sqlstate
