"""Which server a run talks to, and what its figures may be called: measured on a provider's machine, or emulated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from tallymark.config.bulkload import BulkloadConfig
from tallymark.errors import ConfigError
from tallymark.io.embedded_postgres import embedded_postgres
from tallymark.io.postgres import Server, explained
from tallymark.io.slow_link import slow_link
from tallymark.io.uris import is_remote, normalise_uri

_PROVIDERS = ("gcp", "aws", "azure")
_LINE = re.compile(r"\s*(?:export\s+)?((?:GCP|AWS|AZURE)_DB_[A-Z]+)\s*=\s*(.*?)\s*")
_LIBPQ = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE", "PGDATABASE", "PGUSER")


@dataclass(frozen=True)
class Place:
    """The server of a run. ``measurement``: measured, or emulated where a slower network was put in between."""

    server: Server
    provider: str
    instance_type: str
    measurement: str


def read_dotenv(text: str) -> dict[str, str]:
    """Returns the variables of the providers in the text of a `.env` file.

    >>> read_dotenv("GCP_DB_HOST=10.0.0.1\\nOTHER=1\\nexport AWS_DB_PASSWORD='a b#'\\n")
    {'GCP_DB_HOST': '10.0.0.1', 'AWS_DB_PASSWORD': 'a b#'}
    """
    found = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match:
            name, value = match.groups()
            is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
            found[name] = value[1:-1] if is_quoted else value
    return found


@contextmanager
def open_place(config: BulkloadConfig, environ: Mapping[str, str], free_port: int | None) -> Iterator[Place]:
    """Gives the server that the options or the environment name; where none is named, one of its own is started.

    Args:
        free_port: of this machine, for a server of one's own; None where executors on other machines need one too.

    Raises:
        ConfigError: several providers are set and none is chosen, or the server of the wheel does not start.
    """
    provider = config.provider or _only_provider(environ)
    server = _named_server(config, provider, environ)
    with ExitStack() as stack:
        if server is None:
            if free_port is None or is_remote(normalise_uri(config.output_dir)):
                raise ConfigError("no server is named, and one of its own is for one machine: give --host or PGHOST")
            folder = Path(config.output_dir).resolve() / "postgres"
            server = stack.enter_context(embedded_postgres(folder, free_port)).server
        server = _resolved(server)
        if config.emulate is not None:
            server = stack.enter_context(_slowed(server, config))
        measurement = "measured" if config.emulate is None else "emulated"
        yield Place(server, provider or "local", config.instance_type or "unknown", measurement)


def _only_provider(environ: Mapping[str, str]) -> str | None:
    named = [provider for provider in _PROVIDERS if environ.get(f"{provider.upper()}_DB_HOST")]
    if len(named) > 1:
        variables = " and ".join(f"{name.upper()}_DB_HOST" for name in named)
        raise ConfigError(f"{variables} are set: choose the server by --provider")
    return named[0] if named else None


def _named_server(config: BulkloadConfig, provider: str | None, environ: Mapping[str, str]) -> Server | None:
    given = {name: getattr(config, name) for name in ("host", "port", "user", "dbname", "sslmode", "sslrootcert")}
    given["password_from"] = config.password_from
    if provider in _PROVIDERS and config.host is None:
        given = _of_provider(provider, environ) | {name: value for name, value in given.items() if value is not None}
    if any(value is not None for value in given.values()) or any(environ.get(name) for name in _LIBPQ):
        return Server(**given)
    return None


def _of_provider(provider: str, environ: Mapping[str, str]) -> dict[str, object]:
    prefix = f"{provider.upper()}_DB_"
    names = {"host": "HOST", "port": "PORT", "user": "USER", "dbname": "NAME", "sslmode": "SSLMODE"}
    found: dict[str, object] = {name: environ.get(prefix + suffix) or None for name, suffix in names.items()}
    if found["host"] is None:
        raise ConfigError(f"--provider {provider} needs {prefix}HOST, or --host: set it in the environment or in .env")
    if found["port"] is not None:
        try:
            found["port"] = int(str(found["port"]))
        except ValueError:
            raise ConfigError(f"{prefix}PORT is no number: correct it") from None
    if environ.get(f"{prefix}PASSWORD"):
        found["password_from"] = f"env:{prefix}PASSWORD"
    return found


def _resolved(server: Server) -> Server:
    """Connects once; returns the server with what libpq found for it, because executors have another environment.

    Raises:
        ConfigError: it refuses; IncompleteError: it cannot be reached.
    """
    try:
        with server.connect("tallymark-check") as connection:
            info = connection.info
            found = replace(server, host=info.host, port=info.port, user=info.user, dbname=info.dbname)
            return found if server.sslmode else replace(found, sslmode=info.get_parameters().get("sslmode"))
    except psycopg.Error as error:
        raise explained(error, f"connecting to {server}") from None


@contextmanager
def _slowed(server: Server, config: BulkloadConfig) -> Iterator[Server]:
    emulated = config.emulate
    assert emulated is not None
    if server.host is None or server.host.startswith("/"):
        raise ConfigError("--emulate needs a server with a port: name --host and --port, or none for one of its own")
    with slow_link((server.host, server.port or 5432), emulated.round_trip_ms / 1000, emulated.megabits) as port:
        yield replace(server, host="127.0.0.1", port=port)
