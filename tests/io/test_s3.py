from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from s3_server import KEYS, PAGE, QUICK, Bucket, Fault, FaultProxy
from tallymark.errors import ConfigError, IncompleteError, ObjectError
from tallymark.io import s3_client
from tallymark.io.objects import ObjectStore
from tallymark.io.stored import S3Settings, StoredObject

CONTENT = os.urandom(3_000_000)


def read(store: ObjectStore, obj: StoredObject) -> bytes:
    return b"".join(store.read_chunks(obj, 100_000))


def reason(store: ObjectStore, obj: StoredObject) -> str:
    """Return why an object cannot be read; whatever is said, it is no secret."""
    with pytest.raises(ObjectError) as caught:
        read(store, obj)
    assert caught.value.uri == obj.uri
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).reason == caught.value.reason
    return caught.value.reason


def test_a_listing_of_more_than_one_page_is_whole(bucket: Bucket) -> None:
    keys = [f"{number:04}" for number in range(2 * PAGE + 5)]
    for key in keys:
        bucket.put(f"x/{key}")
    assert bucket.paths("x") == keys


LISTING_FAULTS = [
    (403, "AccessDenied", IncompleteError, r"AccessDenied on s3://.*/x: the role needs s3:ListBucket on arn:aws:s3:::"),
    (503, "SlowDown", IncompleteError, r"s3://.*/x: .*SlowDown.*; check the endpoint and run again later"),
    (
        403,
        "InvalidAccessKeyId",
        ConfigError,
        r"no valid AWS credentials for s3://.*InvalidAccessKeyId.*set AWS_PROFILE",
    ),
    (400, "ExpiredToken", ConfigError, r"no valid AWS credentials for s3://.*ExpiredToken"),
    (400, "IllegalLocationConstraintException", ConfigError, r"wrong region for s3://.*set AWS_REGION"),
]


@pytest.mark.parametrize(("status", "code", "kind", "message"), LISTING_FAULTS)
def test_each_refusal_of_a_listing_has_its_class_cause_and_next_step(
    bucket: Bucket, proxy: FaultProxy, status: int, code: str, kind: type[Exception], message: str
) -> None:
    proxy.faults.append(Fault(path="list-type", status=status, code=code))
    with pytest.raises(kind, match=message) as caught:
        list(proxy.store.list_objects(f"{bucket.uri}/x"))
    assert type(caught.value) is kind
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)


def test_a_missing_bucket_and_an_impossible_name_are_mistakes_in_the_configuration(bucket: Bucket) -> None:
    with pytest.raises(ConfigError, match=r"no such bucket: s3://nobody-made-this/x; check its name"):
        list(bucket.store.list_objects("s3://nobody-made-this/x"))
    with pytest.raises(ConfigError, match="invalid bucket name in s3://Not_A_Bucket!/x"):
        list(bucket.store.list_objects("s3://Not_A_Bucket!/x"))


def test_without_credentials_the_message_says_how_to_give_them(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    obj = bucket.stored("x", CONTENT)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setattr(s3_client, "_clients", {})
    with pytest.raises(ConfigError, match=r"no valid AWS credentials for s3://.*set AWS_PROFILE, or AWS_ACCESS_KEY_ID"):
        list(bucket.store.list_objects(bucket.uri))
    assert reason(bucket.store, obj) == "NO_CREDENTIALS"
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setattr(s3_client, "_clients", {})
    with pytest.raises(ConfigError, match="nobody"):
        list(bucket.store.list_objects(bucket.uri))


def test_nobody_at_the_endpoint_is_incomplete_and_a_password_in_it_is_not_shown(bucket: Bucket) -> None:
    obj = bucket.stored("x", CONTENT)
    store = ObjectStore(S3Settings("http://user:pass-word@127.0.0.1:1", "us-east-1", QUICK))
    with pytest.raises(IncompleteError, match="check the endpoint") as caught:
        list(store.list_objects(bucket.uri))
    assert "pass-word" not in str(caught.value)
    assert reason(store, obj) == "UNAVAILABLE"
    with pytest.raises(ConfigError, match="check AWS_ENDPOINT_URL"):
        list(ObjectStore(S3Settings("not a url", "us-east-1")).list_objects(bucket.uri))


def test_a_short_outage_is_survived(bucket: Bucket, proxy: FaultProxy) -> None:
    obj = bucket.stored("x", CONTENT)
    proxy.faults += [
        Fault(path="list-type", times=2, status=503, code="SlowDown"),
        Fault(path="/x", times=2, status=500),
    ]
    assert [found.path for found in proxy.store.list_objects(bucket.uri)] == ["x"]
    assert read(proxy.store, obj) == CONTENT


def test_an_object_overwritten_after_the_listing_is_an_error(bucket: Bucket) -> None:
    """C18: also when the new content has the same size."""
    obj = bucket.stored("x", b"before")
    bucket.put("x", b"after!")
    assert reason(bucket.store, obj) == "CHANGED_DURING_RUN"
    with pytest.raises(ObjectError, match="CHANGED_DURING_RUN"):
        bucket.store.checksum(obj)
    bucket.client.delete_object(Bucket=bucket.name, Key="x")
    assert reason(bucket.store, obj) == "DELETED_DURING_RUN"


def test_an_object_overwritten_is_found_out_even_if_the_store_ignores_conditions(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    obj = bucket.stored("x", b"before")
    bucket.put("x", b"after!")
    proxy.faults.append(Fault(drop_header="If-Match"))
    assert reason(proxy.store, obj) == "CHANGED_DURING_RUN"


READING_FAULTS = [
    (403, "AccessDenied", "ACCESS_DENIED", "s3:GetObject"),
    (400, "KMS.DisabledException", "ACCESS_DENIED", "kms:Decrypt"),
    (403, "InvalidObjectState", "ARCHIVED", "restore it"),
    (503, "SlowDown", "UNAVAILABLE", "run again later"),
    (403, "ExpiredToken", "NO_CREDENTIALS", "valid keys"),
    (418, "Teapot", "UNREADABLE", "Teapot"),
]


@pytest.mark.parametrize(("status", "code", "expected", "advice"), READING_FAULTS)
def test_each_refusal_of_a_reading_has_its_reason_and_next_step(
    bucket: Bucket, proxy: FaultProxy, status: int, code: str, expected: str, advice: str
) -> None:
    obj = bucket.stored("x", CONTENT)
    proxy.faults.append(Fault(status=status, code=code))
    with pytest.raises(ObjectError, match=advice) as caught:
        read(proxy.store, obj)
    assert (caught.value.reason, caught.value.uri) == (expected, f"{bucket.uri}/x")


def test_a_connection_that_breaks_goes_on_where_it_broke(bucket: Bucket, proxy: FaultProxy) -> None:
    """It breaks more often than the policy has attempts, but moves on in between."""
    obj = bucket.stored("x", CONTENT)
    proxy.faults.append(Fault(times=5, cut_after=450_001))
    assert read(proxy.store, obj) == CONTENT
    ranges = [headers.get("Range") for method, _, headers in proxy.requests if method == "GET"]
    starts = [int(text.removeprefix("bytes=").rstrip("-")) for text in ranges if text]
    assert ranges[0] is None
    assert len(starts) == 5
    assert all(0 < later - earlier <= 450_001 for earlier, later in pairwise([0, *starts]))
    assert {headers.get("If-Match") for *_, headers in proxy.requests} == {f'"{obj.etag}"'}


def test_an_object_replaced_while_it_is_read_is_an_error(bucket: Bucket, proxy: FaultProxy) -> None:
    obj = bucket.stored("x", CONTENT)
    proxy.faults.append(Fault(times=1, cut_after=450_000))
    chunks = proxy.store.read_chunks(obj, 100_000)
    assert next(chunks) == CONTENT[:100_000]
    bucket.put("x", CONTENT[::-1])
    with pytest.raises(ObjectError) as caught:
        list(chunks)
    assert caught.value.reason == "CHANGED_DURING_RUN"


def test_a_connection_that_breaks_without_progress_is_given_up(bucket: Bucket, proxy: FaultProxy) -> None:
    obj = bucket.stored("x", CONTENT)
    proxy.faults.append(Fault(cut_after=0))
    assert reason(proxy.store, obj) == "UNAVAILABLE"
    assert len(proxy.requests) <= QUICK.attempts


def test_a_server_that_cannot_read_from_the_middle_never_doubles_bytes(bucket: Bucket, proxy: FaultProxy) -> None:
    obj = bucket.stored("x", CONTENT)
    proxy.faults += [Fault(times=1, cut_after=450_000), Fault(drop_header="Range")]
    assert reason(proxy.store, obj) == "UNAVAILABLE"


@pytest.mark.parametrize("change", [lambda body: body[:-1], lambda body: body + b"x", lambda body: b""])
def test_bytes_that_are_missing_or_too_many_are_never_taken_for_the_object(
    bucket: Bucket, proxy: FaultProxy, change: Any
) -> None:
    obj = bucket.stored("x", CONTENT)
    proxy.faults.append(Fault(change=change, drop_header="x-amz-checksum-mode"))
    assert reason(proxy.store, obj) == "SHORT_READ"


CHECKSUMS = [
    ({"type": "FULL_OBJECT", "sha256": "abc="}, "SHA256:abc="),
    ({"type": "FULL_OBJECT", "crc64nvme": "def="}, "CRC64NVME:def="),
    ({"type": "FULL_OBJECT", "crc32": "AAAAAA=="}, None),
    ({"type": "COMPOSITE", "sha256": "abc=-3"}, None),
    ({"sha256": "abc="}, None),
    ({}, None),
]


@pytest.mark.parametrize(("kept", "expected"), CHECKSUMS)
def test_only_a_strong_checksum_over_the_whole_object_counts(
    bucket: Bucket, proxy: FaultProxy, kept: dict[str, str], expected: str | None
) -> None:
    """C19: a composite checksum depends on the size of the parts, a 32-bit one proves too little."""
    obj = bucket.stored("x", CONTENT)
    proxy.faults.append(Fault("HEAD", add_headers={f"x-amz-checksum-{name}": text for name, text in kept.items()}))
    assert proxy.store.checksum(obj) == expected
    ((_, _, headers),) = proxy.requests
    assert headers["x-amz-checksum-mode"] == "ENABLED"
    assert headers["If-Match"] == f'"{obj.etag}"'


def test_bytes_that_do_not_have_the_checksum_of_the_object_are_an_error(bucket: Bucket, proxy: FaultProxy) -> None:
    bucket.put("x", b"hello", ChecksumAlgorithm="SHA256")
    (obj,) = proxy.store.list_objects(bucket.uri)
    assert read(proxy.store, obj) == b"hello"
    proxy.faults.append(Fault(change=lambda _: b"jello"))
    assert reason(proxy.store, obj) == "CHECKSUM_MISMATCH"


def test_a_refused_upload_and_a_refused_look_name_the_right_that_is_missing(
    bucket: Bucket, proxy: FaultProxy, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"x")
    proxy.faults += [Fault("PUT", status=403, code="AccessDenied"), Fault("HEAD", status=403)]
    with pytest.raises(
        IncompleteError, match=rf"AccessDenied on {bucket.uri}/x: the role needs s3:PutObject on arn:aws"
    ):
        proxy.store.put_file(tmp_path / "x", f"{bucket.uri}/x")
    with pytest.raises(IncompleteError, match="the role needs s3:GetObject and s3:ListBucket"):
        proxy.store.exists(f"{bucket.uri}/x")
    with pytest.raises(ConfigError, match="no such bucket"):
        bucket.store.put_file(tmp_path / "x", "s3://nobody-made-this/x")
    with pytest.raises(ConfigError, match="is a bucket, not an object"):
        bucket.store.put_file(tmp_path / "x", bucket.uri)


def test_threads_share_one_client_and_other_settings_get_another(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_client, "_clients", {})
    with ThreadPoolExecutor(8) as threads:
        clients = list(threads.map(s3_client.client, [bucket.store.s3] * 8))
    assert len({id(client) for client in clients}) == 1
    assert s3_client.client(S3Settings("http://127.0.0.1:1")) is not clients[0]
