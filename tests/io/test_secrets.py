"""Secrets by reference: found where they are, and never part of an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest

from s3_server import S3Server
from tallymark.errors import ConfigError
from tallymark.io.secrets import read_secret


def test_a_secret_of_the_environment_is_read_when_it_is_asked_for() -> None:
    assert read_secret("env:KEYS", {"KEYS": "s3cr3t!@#:/?%"}) == "s3cr3t!@#:/?%"


def test_a_file_gives_its_text_without_the_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("one\ntwo\r\n")

    assert read_secret(f"file:{tmp_path}/keys", {}) == "one\ntwo"


@pytest.fixture
def manager(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS Secrets Manager, of the test server, with three secrets."""
    for name, value in (s3_server.environment | {"AWS_DEFAULT_REGION": "us-east-1"}).items():
        monkeypatch.setenv(name, value)
    client: Any = boto3.client("secretsmanager")
    known = {secret["Name"] for secret in client.list_secrets()["SecretList"]}
    if "plain" not in known:
        client.create_secret(Name="plain", SecretString="s3cr3t")
        client.create_secret(Name="fields", SecretString='{"username": "me", "password": "s3cr3t"}')
        client.create_secret(Name="binary", SecretBinary=b"s3cr3t")


@pytest.mark.usefixtures("manager")
def test_aws_gives_a_secret_or_one_field_of_it() -> None:
    assert read_secret("aws:plain", {}) == "s3cr3t"
    assert read_secret("aws:fields#password", {}) == "s3cr3t"


@pytest.mark.usefixtures("manager")
def test_the_region_is_that_of_the_arn_else_that_of_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its own boto3 reads AWS_DEFAULT_REGION alone; EMR sets AWS_REGION, and EC2 neither."""
    client: Any = boto3.client("secretsmanager")
    arn = client.describe_secret(SecretId="plain")["ARN"]
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.delenv("AWS_REGION", raising=False)

    assert read_secret("aws:plain", {"AWS_REGION": "us-east-1"}) == "s3cr3t"
    assert read_secret(f"aws:{arn}", {}) == "s3cr3t"
    with pytest.raises(ConfigError, match="NoRegionError; check region and network"):
        read_secret("aws:plain", {})


@pytest.mark.usefixtures("manager")
@pytest.mark.parametrize(
    ("reference", "cause"),
    [
        ("env:MISSING", "env:MISSING is not there"),
        ("env:EMPTY", "env:EMPTY is empty"),
        ("file:/no/such/file", "No such file"),
        ("aws:unknown", "ResourceNotFoundException; the role needs secretsmanager:GetSecretValue"),
        ("aws:binary", "is binary"),
        ("aws:plain#password", "no JSON object with the field password"),
        ("aws:fields#token", "no JSON object with the field token"),
        ("s3cr3t", "what was given is none of them"),
        ("vault:s3cr3t", "what was given is none of them"),
    ],
)
def test_what_cannot_be_had_is_named_by_its_reference_never_by_a_value(reference: str, cause: str) -> None:
    """A secret that was written where its reference belongs is not quoted either."""
    with pytest.raises(ConfigError) as raised:
        read_secret(reference, {"EMPTY": ""})

    assert cause in str(raised.value)
    assert "s3cr3t" not in str(raised.value)
