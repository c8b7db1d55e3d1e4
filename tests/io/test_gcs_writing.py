"""What is written to gs://, on which conditions, and the lock that rests on them; against a real emulator."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gcs_server import GcsBucket
from s3_server import Fault
from tallymark.errors import ConfigError, IncompleteError, LockedError
from tallymark.io.lock import hold_lock


def test_a_file_is_published_only_over_the_state_that_its_writer_knows(gcs: GcsBucket, tmp_path: Path) -> None:
    uri, first, second = f"{gcs.uri}/out/a b", tmp_path / "1", tmp_path / "2"
    first.write_bytes(b"first")
    second.write_bytes(b"second")
    made = gcs.store.put_file_if(first, uri, None)
    with pytest.raises(LockedError, match="was written or removed by another process meanwhile"):
        gcs.store.put_file_if(second, uri, None)
    replaced = gcs.store.put_file_if(second, uri, made)
    with pytest.raises(LockedError):
        gcs.store.put_file_if(first, uri, made)
    assert (gcs.content("out/a b"), gcs.store.stat(uri)) == (b"second", gcs.store.stat(uri))
    assert replaced == gcs.store.stat(uri).state  # type: ignore[union-attr]
    gcs.store.delete_object(uri)
    gcs.store.delete_object(uri)
    with pytest.raises(LockedError):
        gcs.store.put_file_if(first, uri, replaced)
    assert gcs.paths("out") == []


def test_a_conditional_write_whose_answer_got_lost_counts_as_written(gcs: GcsBucket, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"mine")
    gcs.proxy.faults.append(Fault("POST", path="/upload/", times=1, lose_answer=True))
    state = gcs.store.put_file_if(tmp_path / "x", f"{gcs.uri}/x", None)
    assert len([method for method, *_ in gcs.proxy.requests if method == "POST"]) == 2
    assert gcs.store.put_file_if(tmp_path / "x", f"{gcs.uri}/x", state) != state


def test_of_many_writers_one_gets_the_lock_and_the_others_learn_who(gcs: GcsBucket) -> None:
    with ThreadPoolExecutor(4) as threads, hold_lock(gcs.store, f"{gcs.uri}/out", "first") as held:

        def take(number: int) -> str:
            with pytest.raises(LockedError) as caught, hold_lock(gcs.store, f"{gcs.uri}/out", f"run-{number}"):
                pass
            return str(caught.value)

        assert all("is held by first" in text for text in threads.map(take, range(4)))
        assert held.fence == 1
    with hold_lock(gcs.store, f"{gcs.uri}/out", "second") as held:
        assert held.fence == 2


def test_a_large_file_is_uploaded_whole_and_fetched_whole(gcs: GcsBucket, tmp_path: Path) -> None:
    content = os.urandom(9_000_000)
    (tmp_path / "large").write_bytes(content)
    gcs.store.put_file(tmp_path / "large", f"{gcs.uri}/large")
    assert gcs.store.get_file(f"{gcs.uri}/large", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    assert not gcs.store.get_file(f"{gcs.uri}/nothing", tmp_path / "no")
    with pytest.raises(ConfigError, match="is a bucket, not an object: write gs://BUCKET/KEY"):
        gcs.store.put_file(tmp_path / "large", gcs.uri)
    with pytest.raises(ConfigError, match="no such bucket: gs://nobody-made-this/x"):
        gcs.store.put_file(tmp_path / "large", "gs://nobody-made-this/x")


def test_the_key_of_an_unfinished_upload_is_in_no_message(gcs: GcsBucket, tmp_path: Path) -> None:
    """Whoever knows it may write."""
    (tmp_path / "large").write_bytes(bytes(9_000_000))
    gcs.proxy.faults.append(Fault("PUT", path="upload_id", status=403, code="Said"))
    with pytest.raises(
        IncompleteError, match=r"AccessDenied on .*: the account needs storage\.objects\.create"
    ) as caught:
        gcs.store.put_file(tmp_path / "large", f"{gcs.uri}/large")
    assert "upload_id" not in str(caught.value)
