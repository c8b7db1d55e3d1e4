"""The options by which the jobs `bulkload` and `export` reach PostgreSQL.

Whatever is not given here libpq takes from its own places: the variables ``PGHOST``, ``PGPASSWORD``, ``PGPASSFILE``,
a service file. The password itself is never an option, only the place where it is.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tallymark.config.fields import Text
from tallymark.config.loading import JobConfig


def _reference(value: str) -> str:
    kind, _, name = value.partition(":")
    if kind not in ("env", "file", "aws") or not name:
        # The value may be the password itself.
        raise ValueError("it names the place of the password, as env:NAME, file:PATH or aws:SECRET_ID")
    return value


class PostgresConfig(JobConfig):
    """Options of a job that talks to one PostgreSQL database; each is None where libpq decides."""

    host: Text | None = Field(default=None, description="host name or socket folder of PostgreSQL, else PGHOST")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(default=None, description="its port, else PGPORT")
    user: Text | None = Field(default=None, description="role to connect as, else PGUSER")
    dbname: Text | None = Field(default=None, description="database, else PGDATABASE")
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = Field(
        default=None, description="else PGSSLMODE, else verify-full for a host that is not this one"
    )
    sslrootcert: Text | None = Field(
        default=None, description="file of the root certificates, or system, else PGSSLROOTCERT"
    )
    password_from: Annotated[str, AfterValidator(_reference)] | None = Field(
        default=None, repr=False, description="env:NAME, file:PATH or aws:SECRET_ID, else PGPASSWORD or PGPASSFILE"
    )
