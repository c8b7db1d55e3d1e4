"""How delta-rs reaches a table: by the settings that the other clients use, and with errors that say what to do.

Called by the other modules of Delta tables; it knows no table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from tallymark.errors import IncompleteError
from tallymark.io.objects import ObjectStore
from tallymark.io.stored import S3Settings
from tallymark.io.uris import is_remote, is_s3

T = TypeVar("T")

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def open_table(store: ObjectStore, folder: str) -> DeltaTable:
    """Returns the table at its newest version; raises TableNotFoundError."""
    return DeltaTable(folder, storage_options=storage_options(store, folder))


def make_table(store: ObjectStore, folder: str, schema: pa.Schema, partition_by: Sequence[str] = ()) -> None:
    """Makes the table where it is missing; raises IncompleteError."""
    options = storage_options(store, folder)
    attempt(
        folder,
        lambda: DeltaTable.create(
            made(folder), schema, mode="ignore", partition_by=list(partition_by), storage_options=options
        ),
    )


def made(folder: str) -> str:
    """Returns the folder, which delta-rs does not make by itself."""
    if not is_remote(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
    return folder


def storage_options(store: ObjectStore, folder: str) -> dict[str, str] | None:
    """Returns what delta-rs must know of a bucket, so that all read and write as one. Never logged.

    Of S3 that is what boto3 found; on GCS delta-rs finds the application default credentials by itself.
    """
    if is_s3(folder):
        return _s3_options(store.s3)
    return _emulator_options(store.gcs.endpoint_url) if is_remote(folder) and store.gcs.endpoint_url else None


def _emulator_options(endpoint: str) -> dict[str, str]:
    """Returns an account that signs nothing: only by one does delta-rs write to another endpoint without a token."""
    account = {"gcs_base_url": endpoint, "disable_oauth": True}
    nobody = {"client_email": "", "private_key": "", "private_key_id": ""}
    return {"google_service_account_key": json.dumps(account | nobody)}


def _s3_options(settings: S3Settings) -> dict[str, str]:
    import boto3

    credentials = boto3.Session().get_credentials()
    known = credentials.get_frozen_credentials() if credentials else None
    endpoint = settings.endpoint_url
    options = {
        "AWS_ACCESS_KEY_ID": known and known.access_key,
        "AWS_SECRET_ACCESS_KEY": known and known.secret_key,
        "AWS_SESSION_TOKEN": known and known.token,
        "AWS_REGION": settings.region or "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true" if endpoint and endpoint.startswith("http:") else None,
    }
    return {name: value for name, value in options.items() if value}


def attempt(folder: str, action: Callable[[], T], failures: tuple[type[Exception], ...] = (DeltaError, OSError)) -> T:
    """Returns what the action returns; its ``failures`` become IncompleteError, but for TableNotFoundError."""
    try:
        return action()
    except TableNotFoundError:
        raise
    except failures as error:
        raise IncompleteError(
            f"cannot use the table {folder}: {_cause(error)}; check the place and the right to read and write it"
        ) from error


def _cause(error: Exception) -> str:
    """Returns the first line, and what delta-rs draws below it with arrows: of a store, only that says what it is."""
    first, *below = str(error).strip().splitlines() or [type(error).__name__]
    told = [_ANSI.sub("", line).partition("↳")[2].strip() for line in below]
    return ": ".join([first, *(line for line in told if line)])
