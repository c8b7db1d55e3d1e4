"""Secrets by reference: a configuration names where a secret is, and whoever needs it asks at that moment.

A reference is ``env:NAME``, ``file:PATH`` or ``aws:SECRET_ID`` (AWS Secrets Manager; the id may be an ARN, and
``aws:SECRET_ID#field`` takes one field of a secret that is a JSON object). A secret is never part of a config, so it
reaches no log, plan or command line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tallymark.errors import ConfigError


def read_secret(reference: str, environ: Mapping[str, str]) -> str:
    """Return what the reference names, without the newline that ends a file.

    >>> read_secret("env:PGPASSWORD", {"PGPASSWORD": "s3cret"})
    's3cret'

    Raises:
        ConfigError: there is nothing there; the message names the reference, never a value.
    """
    kind, _, name = reference.partition(":")
    readers = {"env": lambda: environ[name], "file": lambda: _of_file(name), "aws": lambda: _of_aws(name, environ)}
    if kind not in readers or not name:
        raise ConfigError("a secret is named as env:NAME, file:PATH or aws:SECRET_ID; what was given is none of them")
    try:
        found = readers[kind]()
    except KeyError:
        raise ConfigError(f"the secret {reference} is not there: set it, or name another place") from None
    if not found:
        raise ConfigError(f"the secret {reference} is empty: set it, or name another place")
    return found


def _of_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigError(f"the secret file:{path} cannot be read: {cause}; check the path and its rights") from None


def _of_aws(name: str, environ: Mapping[str, str]) -> str:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    secret_id, _, field = name.partition("#")
    # boto3 itself knows AWS_DEFAULT_REGION alone, and a machine in EC2 has neither. An ARN says its region.
    of_arn = secret_id.split(":")[3] if secret_id.count(":") > 3 and secret_id.startswith("arn:") else None
    region = of_arn or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None
    try:
        answer: Any = boto3.client("secretsmanager", region).get_secret_value(SecretId=secret_id)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "error")
        advice = "the role needs secretsmanager:GetSecretValue on it, and the name and region must be right"
        raise ConfigError(f"the secret aws:{secret_id} cannot be read: {code}; {advice}") from None
    except BotoCoreError as error:
        cause = type(error).__name__  # NoRegionError, NoCredentialsError, EndpointConnectionError, ...
        raise ConfigError(f"the secret aws:{secret_id} cannot be read: {cause}; check region and network") from None
    text = answer.get("SecretString")
    if text is None:
        raise ConfigError(f"the secret aws:{secret_id} is binary: store it as text")
    if not field:
        return str(text)
    try:
        return str(json.loads(text)[field])
    except (ValueError, TypeError, KeyError):
        raise ConfigError(f"the secret aws:{secret_id} is no JSON object with the field {field}") from None
