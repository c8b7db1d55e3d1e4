"""The option `notify` of the jobs: who is told when one fails, and when it is well again. Knows no network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tallymark.config.fields import Structure, Text

Reference = Annotated[str, Field(pattern=r"^(env|file|aws):.+$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Webhook(_Part):
    """A webhook; its URL is a secret, because whoever knows it can post there."""

    url_from: Reference
    shape: Literal["slack", "teams", "json"]


class Email(_Part):
    """A mail server and who gets mail; ``password_from`` names where the password is."""

    host: Text
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: Text | None = None
    password_from: Reference | None = None
    sender: Text
    to: Annotated[tuple[Text, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _keeps_the_password(self) -> Email:
        if (self.user is None) != (self.password_from is None):
            raise ValueError("user and password_from belong together: give both or none")
        if self.user is not None and self.security == "none":
            raise ValueError("security none would send the password in the open: take starttls or tls")
        return self


class NotifyOptions(_Part):
    """Who is told; no message holds a record."""

    webhooks: tuple[Webhook, ...] = ()
    email: Email | None = None

    @model_validator(mode="after")
    def _tells_somebody(self) -> NotifyOptions:
        if not self.webhooks and self.email is None:
            raise ValueError("nobody would be told: give webhooks or email")
        return self


class ReconcileNotifyOptions(NotifyOptions):
    """The same for `reconcile`, which can show records that differ."""

    include_records: bool = False


Notify = Annotated[
    Annotated[NotifyOptions, Structure] | None,
    Field(description="webhooks and e-mail that are told of a failure and of a recovery"),
]
