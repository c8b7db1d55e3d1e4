"""How delta-rs reaches a table: by the settings that boto3 found, and with errors that say what to do.

Called by the other modules of Delta tables; it knows no table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from tallymark.errors import IncompleteError
from tallymark.io.objects import ObjectStore, is_s3

T = TypeVar("T")


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
    if not is_s3(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
    return folder


def storage_options(store: ObjectStore, folder: str) -> dict[str, str] | None:
    """Returns what delta-rs must know of S3: what boto3 found, so that all read and write as one. Never logged."""
    if not is_s3(folder):
        return None
    import boto3

    credentials = boto3.Session().get_credentials()
    known = credentials.get_frozen_credentials() if credentials else None
    endpoint = store.s3.endpoint_url
    options = {
        "AWS_ACCESS_KEY_ID": known and known.access_key,
        "AWS_SECRET_ACCESS_KEY": known and known.secret_key,
        "AWS_SESSION_TOKEN": known and known.token,
        "AWS_REGION": store.s3.region or "us-east-1",
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
        cause = str(error).strip().partition("\n")[0]
        raise IncompleteError(
            f"cannot use the table {folder}: {cause}; check the place and the right to read and write it"
        ) from error
