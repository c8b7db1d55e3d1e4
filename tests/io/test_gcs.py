"""The verbs on gs:// against a real emulator, and what is read of it when it misbehaves."""

from __future__ import annotations

import gzip
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gcs_server import GcsBucket, without
from s3_server import PAGE, QUICK, Bucket, Fault
from tallymark.errors import ConfigError, IncompleteError, ObjectError
from tallymark.io import gcs_client
from tallymark.io.objects import ObjectStore
from tallymark.io.read_ahead import WINDOW
from tallymark.io.stored import GcsSettings, StoredObject

CONTENT = os.urandom(3_000_000)
ODD_KEYS = ["a b#c?d", "a//b", "a|b", "x%2e", "../up", "é日", "ﬁ", "😀", "q=1&r=2"]


def read(store: ObjectStore, obj: StoredObject) -> bytes:
    return b"".join(store.read_chunks(obj))


def reason(store: ObjectStore, obj: StoredObject) -> str:
    with pytest.raises(ObjectError) as caught:
        read(store, obj)
    assert caught.value.uri == obj.uri
    assert pickle.loads(pickle.dumps(caught.value)).reason == caught.value.reason
    return caught.value.reason


def test_a_listing_is_whole_over_its_pages_and_in_the_order_of_code_points(gcs: GcsBucket) -> None:
    for key in ODD_KEYS:
        gcs.put(f"x/{key}", key.encode())
    gcs.put("x", b"")
    gcs.put("x/folder/", b"")
    gcs.put("x/full/", b"1")
    gcs.put("xy", b"")
    listed = list(gcs.store.list_objects(f"{gcs.uri}/x"))
    assert [obj.path for obj in listed] == sorted([*ODD_KEYS, "full/"])
    assert {obj.path: read(gcs.store, obj) for obj in listed if obj.path != "full/"} == {
        key: key.encode() for key in ODD_KEYS
    }
    assert listed[0].uri == f"{gcs.uri}/x/../up"


def test_a_long_listing_turns_its_pages(gcs: GcsBucket) -> None:
    keys = [f"{number:04}" for number in range(2 * PAGE + 5)]
    for key in keys:
        gcs.put(f"x/{key}")
    gcs.proxy.requests.clear()
    assert gcs.paths("x") == keys
    assert len(gcs.proxy.requests) == 3


def test_what_a_listing_tells_of_an_object(gcs: GcsBucket) -> None:
    obj = gcs.stored("f/hello.json", b"hello")
    assert (obj.path, obj.uri, obj.size) == ("hello.json", f"{gcs.uri}/f/hello.json", 5)
    assert obj.etag == "5d41402abc4b2a76b9719d911017c592"
    assert obj.crc32c == "mnG7TA=="
    assert obj.state == obj.version
    assert gcs.store.stat(obj.uri) == obj
    assert gcs.store.checksum(obj) == "MD5:XUFAKrxLKna5cZ2REBfFkg=="
    assert gcs.store.stat(f"{gcs.uri}/f") is None
    assert gcs.paths("nothing/here") == []


def test_a_large_object_is_read_in_parts_and_a_small_one_in_one_request(gcs: GcsBucket) -> None:
    content = bytes(WINDOW.part_size) + b"end"
    large, small, empty = gcs.stored("large", content), gcs.stored("small", b"content"), gcs.stored("empty", b"")
    gcs.proxy.requests.clear()
    assert b"".join(gcs.store.read_chunks(large)) == content
    assert sorted(str(headers.get("range")) for *_, headers in gcs.proxy.requests) == [
        "bytes=0-8388607",
        "bytes=8388608-8388610",
    ]
    with gcs.store.read_ahead([small, empty, large]) as store:
        assert [b"".join(store.read_chunks(obj)) for obj in (small, empty, large)] == [b"content", b"", content]


def test_an_object_that_is_stored_as_gzip_arrives_as_stored(gcs: GcsBucket) -> None:
    """Decompressive transcoding would give other bytes than size and checksum are of."""
    packed = gzip.compress(b"{}\n" * 1000)
    blob = gcs.client.bucket(gcs.name).blob("x.json")
    blob.content_encoding = "gzip"
    blob.upload_from_string(packed)
    (obj,) = gcs.store.list_objects(f"{gcs.uri}/x.json")
    assert read(gcs.store, obj) == packed
    assert {headers.get("accept-encoding") for *_, headers in gcs.proxy.requests[-1:]} == {"gzip"}


def test_an_object_overwritten_after_the_listing_is_an_error(gcs: GcsBucket) -> None:
    """Also when the new content has the same size, and where a store ignores the condition, as the bare emulator."""
    obj = gcs.stored("x", b"before")
    gcs.put("x", b"after!")
    assert reason(gcs.store, obj) == "CHANGED_DURING_RUN"
    assert reason(ObjectStore(gcs=GcsSettings(gcs.server.bare_url, QUICK)), obj) == "CHANGED_DURING_RUN"
    gcs.client.bucket(gcs.name).blob("x").delete()
    assert reason(gcs.store, obj) == "DELETED_DURING_RUN"
    with pytest.raises(ObjectError, match="DELETED_DURING_RUN"):
        gcs.store.checksum(obj)


READING_FAULTS = [
    (401, "NO_CREDENTIALS", "service account"),
    (403, "ACCESS_DENIED", "storage.objects.get"),
    (503, "UNAVAILABLE", "run again later"),
    (429, "UNAVAILABLE", "run again later"),
    (418, "UNREADABLE", "see what GCS said"),
]


@pytest.mark.parametrize(("status", "expected", "advice"), READING_FAULTS)
def test_each_refusal_of_a_reading_has_its_reason_and_next_step(
    gcs: GcsBucket, status: int, expected: str, advice: str
) -> None:
    obj = gcs.stored("x", CONTENT)
    gcs.proxy.faults.append(Fault(status=status, code="Said"))
    with pytest.raises(ObjectError, match=advice) as caught:
        read(gcs.store, obj)
    assert (caught.value.reason, caught.value.uri) == (expected, obj.uri)


PLACE_FAULTS = [
    (401, ConfigError, r"no valid Google credentials for gs://.*: .*; run `gcloud auth application-default login`"),
    (403, IncompleteError, r"AccessDenied on gs://.*/x: the account needs storage.objects.list on bucket-"),
    (404, ConfigError, r"no such bucket: gs://.*/x; check its name"),
    (503, IncompleteError, r"GCS did not do what it was asked on gs://.*/x: .*; run again later"),
]


@pytest.mark.parametrize(("status", "kind", "message"), PLACE_FAULTS)
def test_each_refusal_of_a_listing_has_its_class_cause_and_next_step(
    gcs: GcsBucket, status: int, kind: type[Exception], message: str
) -> None:
    gcs.proxy.faults.append(Fault(status=status, code="Said"))
    with pytest.raises(kind, match=message) as caught:
        list(gcs.store.list_objects(f"{gcs.uri}/x"))
    assert type(caught.value) is kind


def test_a_short_outage_is_survived(gcs: GcsBucket, tmp_path: Path) -> None:
    obj = gcs.stored("x", CONTENT)
    (tmp_path / "y").write_bytes(b"y")
    for method in ("GET", "POST", "DELETE"):
        gcs.proxy.faults.append(Fault(method, times=2, status=503, code="SlowDown"))
    assert gcs.paths() == ["x"]
    gcs.store.put_file(tmp_path / "y", f"{gcs.uri}/y")
    gcs.store.delete_object(f"{gcs.uri}/y")
    gcs.proxy.faults.append(Fault(times=2, cut_after=100_000))
    assert read(gcs.store, obj) == CONTENT
    gcs.proxy.faults.append(Fault(cut_after=100_000))
    assert reason(gcs.store, obj) == "UNAVAILABLE"


@pytest.mark.parametrize("change", [lambda body: body[:-1], lambda body: body + b"x", lambda body: b""])
def test_bytes_that_are_missing_or_too_many_are_never_taken_for_the_object(gcs: GcsBucket, change: Any) -> None:
    obj = gcs.stored("x", CONTENT)
    gcs.proxy.faults.append(Fault(change=change))
    assert reason(gcs.store, obj) == "SHORT_READ"


def test_bytes_that_do_not_have_the_checksum_of_the_object_are_an_error(gcs: GcsBucket) -> None:
    obj = gcs.stored("x", CONTENT)
    gcs.proxy.faults.append(Fault(change=lambda body: body[:-1] + bytes([body[-1] ^ 1])))
    assert reason(gcs.store, obj) == "CHECKSUM_MISMATCH"
    with gcs.store.read_ahead([obj]) as ahead:
        assert reason(ahead, obj) == "CHECKSUM_MISMATCH"


def test_a_composite_object_is_told_by_its_generation_and_proves_nothing_equal(gcs: GcsBucket) -> None:
    gcs.compose("x", b"con", b"tent")
    (obj,) = gcs.store.list_objects(gcs.uri)
    assert obj.etag == f"generation-{obj.version}"
    assert gcs.store.checksum(obj) is None
    assert read(gcs.store, obj) == b"content"


def test_an_encrypted_object_is_verified_though_its_listing_has_no_checksums(gcs: GcsBucket) -> None:
    gcs.put("x", b"content")
    gcs.proxy.faults.append(without("md5Hash", "crc32c"))
    (obj,) = gcs.store.list_objects(gcs.uri)
    gcs.proxy.faults.clear()
    assert obj.crc32c is None
    assert gcs.store.checksum(obj) == "MD5:mgNkuembtIDdJeHwKEyFVQ=="
    assert read(gcs.store, obj) == b"content"
    gcs.proxy.faults.append(Fault(path="/download/", change=lambda _: b"CONTENT"))
    assert reason(gcs.store, obj) == "CHECKSUM_MISMATCH"


def test_without_credentials_the_message_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    store = ObjectStore.from_environment(os.environ)
    with pytest.raises(ConfigError, match=r"no valid Google credentials for gs://b/x: .*none\.json was not found"):
        list(store.list_objects("gs://b/x"))
    assert reason(store, StoredObject("x", "gs://b/x", 1, None, 0, None, "1", "AAAAAA==")) == "NO_CREDENTIALS"


def test_nobody_at_the_endpoint_is_incomplete(gcs: GcsBucket) -> None:
    store = ObjectStore(gcs=GcsSettings("http://127.0.0.1:1", QUICK))
    with pytest.raises(IncompleteError, match="GCS did not do what it was asked on gs://b/x"):
        list(store.list_objects("gs://b/x"))
    assert reason(store, gcs.stored("x", CONTENT)) == "UNAVAILABLE"


def test_without_the_package_the_message_names_the_extra_and_s3_needs_none(bucket: Bucket) -> None:
    """In a process of its own, whose imports of google.cloud fail."""
    bucket.put("x")
    code = (
        "import os, sys\n"
        "sys.modules['google.cloud'] = None\n"
        "from tallymark.errors import ConfigError\n"
        "from tallymark.io.objects import ObjectStore\n"
        "store = ObjectStore.from_environment(os.environ)\n"
        "print([obj.path for obj in store.list_objects(sys.argv[1])])\n"
        "try: store.exists('gs://b/x')\n"
        "except ConfigError as error: print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "lib")}
    command = [sys.executable, "-c", code, bucket.uri]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == (
        "['x']\ngs://b/x: google.cloud.storage is not installed; "
        "for places on gs:// run: pip install 'tallymark[gcs]'\n"
    )


def test_a_fork_and_other_settings_get_a_client_of_their_own(gcs: GcsBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark's Python workers are forked."""
    monkeypatch.setattr(gcs_client, "_clients", {})
    first = gcs_client.bucket(gcs.store.gcs, "b").client
    assert gcs_client.bucket(gcs.store.gcs, "b").client is first
    assert gcs_client.bucket(GcsSettings("http://127.0.0.1:1"), "b").client is not first
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert gcs_client.bucket(gcs.store.gcs, "b").client is not first
