from __future__ import annotations

import gzip
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest

from s3_server import Bucket
from tallymark.errors import ConfigError, ObjectError
from tallymark.io.gzip_stream import decompress
from tallymark.io.objects import ObjectStore, single_part_md5
from tallymark.io.stored import S3Settings, StoredObject, shown
from tallymark.io.uris import is_within, join, normalise_uri, spark_uri
from tallymark.retry import RetryPolicy


def read(store: ObjectStore, obj: StoredObject) -> bytes:
    return b"".join(store.read_chunks(obj))


def stored(etag: str | None) -> StoredObject:
    return StoredObject("x", "s3://b/x", 1, etag, 0, None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://b/x", "s3://b/x"),
        ("s3a://b/x/", "s3://b/x"),
        ("S3N://b/x//", "s3://b/x"),
        ("s3://b", "s3://b"),
        ("s3://b/", "s3://b"),
        ("s3://b/a b+c%20d/日?#", "s3://b/a b+c%20d/日?#"),
        ("s3://b/x//y/../z", "s3://b/x//y/../z"),
        ("file:///a/b/", "/a/b"),
        ("file:/a/b", "/a/b"),
        ("file://localhost/a%20b", "/a%20b"),
        ("//a//b/./c/..", "/a/b"),
        ("/", "/"),
    ],
)
def test_every_form_of_a_place_has_one_internal_form_and_nothing_is_decoded(text: str, expected: str) -> None:
    assert normalise_uri(text) == expected
    assert normalise_uri(normalise_uri(text)) == expected


def test_relative_paths_and_the_home_folder_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/of-someone")
    assert normalise_uri("a/../b c") == f"{tmp_path}/b c"
    assert normalise_uri("~/x") == "/home/of-someone/x"
    assert normalise_uri("file:///~/x") == "/~/x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("az://b/x", r"cannot read 'az://b/x': write s3://BUCKET/FOLDER, gs://BUCKET/FOLDER, file://"),
        ("gs:/b/x", "cannot read 'gs:/b/x'"),
        ("gs://", "no bucket in 'gs://': write gs://BUCKET/FOLDER"),
        ("s3:/b/x", "cannot read 's3:/b/x'"),
        ("s3:b/x", "cannot read 's3:b/x'"),
        ("s3://", "no bucket in 's3://'"),
        ("s3:///x", "no bucket"),
        ("file://server/x", "not on this machine"),
        ("file:x", "not on this machine"),
        ("", "names no place"),
        ("a\0b", "names no place"),
    ],
)
def test_a_place_that_cannot_be_meant_is_refused_with_the_next_step(text: str, message: str) -> None:
    """``s3:/b/x`` as an output would otherwise become a local folder called ``s3:``."""
    with pytest.raises(ConfigError, match=message):
        normalise_uri(text)


def test_spark_gets_a_scheme_and_the_true_text() -> None:
    assert spark_uri("/a b/c%20d") == "file:///a b/c%20d"
    assert spark_uri("s3a://b/a b") == "s3://b/a b"
    assert normalise_uri(spark_uri("/a b/c%20d")) == "/a b/c%20d"


def test_joining_gives_the_uri_of_what_was_listed() -> None:
    assert join("s3://b/x/", "y/z.json") == "s3://b/x/y/z.json"
    assert join("s3://b", "z.json") == "s3://b/z.json"
    assert join("s3://b/x", "/double") == "s3://b/x//double"
    assert join("/", "etc") == "/etc"
    assert join("file:///data", "etc") == "/data/etc"


@pytest.mark.parametrize(
    ("uri", "other", "expected"),
    [
        ("s3://b/x/y", "s3a://b/x/", True),
        ("s3://b/x", "s3://b/x/", True),
        ("s3://b/xy", "s3://b/x", False),
        ("s3://b/x", "s3://b/x/y", False),
        ("s3://b/x", "s3://b", True),
        ("s3://bb/x", "s3://b", False),
        ("/data/x", "/", True),
        ("/data/xy", "/data/x", False),
        ("/b/x", "s3://b/x", False),
    ],
)
def test_containment_is_by_folders(uri: str, other: str, expected: bool) -> None:
    assert is_within(uri, other) is expected


def test_containment_sees_through_links(tmp_path: Path) -> None:
    """An output that lies in the source through a link would be compared with itself."""
    (tmp_path / "source").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "source")
    assert is_within(str(tmp_path / "out/report"), str(tmp_path / "source"))


def test_only_the_etag_of_a_single_upload_is_taken_for_an_md5() -> None:
    """C19: the ETag of a multipart upload depends on the size of its parts."""
    plain = "d41d8cd98f00b204e9800998ecf8427e"
    assert single_part_md5(stored(plain)) == single_part_md5(stored(plain.upper())) == plain
    assert [single_part_md5(stored(etag)) for etag in (f"{plain}-3", plain[1:], "g" * 32, "", None)] == [None] * 5


def test_the_settings_come_from_the_variables_of_the_aws_tools() -> None:
    general = {"AWS_ENDPOINT_URL": "http://all", "AWS_DEFAULT_REGION": "eu-west-1"}
    assert S3Settings.from_environment({}) == S3Settings(None, None)
    assert S3Settings.from_environment(general) == S3Settings("http://all", "eu-west-1")
    special = {**general, "AWS_ENDPOINT_URL_S3": "http://s3", "AWS_REGION": "eu-west-2"}
    assert ObjectStore.from_environment(special).s3 == S3Settings("http://s3", "eu-west-2")


def test_a_store_and_its_objects_travel_to_workers_without_any_secret() -> None:
    environ = {"AWS_ENDPOINT_URL": "http://s3", "AWS_ACCESS_KEY_ID": "KEY", "AWS_SECRET_ACCESS_KEY": "SECRET"}
    store = ObjectStore.from_environment(environ)
    sent = pickle.dumps((store, stored("e")))
    assert pickle.loads(sent) == (store, stored("e"))
    assert b"SECRET" not in sent
    assert b"KEY" not in sent
    assert hash(ObjectStore(S3Settings(retry=RetryPolicy(2)))) != hash(ObjectStore())


def test_local_files_are_read_without_importing_boto3(tmp_path: Path) -> None:
    """Every Python worker of Spark would pay 0.2 s for it."""
    (tmp_path / "x").write_bytes(b"content")
    code = (
        "import sys; from tallymark.io.objects import ObjectStore; store = ObjectStore()\n"
        "for obj in store.list_objects(sys.argv[1]): print(*store.read_chunks(obj))\n"
        "print('boto3' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "lib")}
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == "b'content'\nFalse\n"


def test_text_that_no_encoder_takes_is_shown_with_escapes() -> None:
    assert shown("caf\udce9 日") == r"caf\udce9 日"


def test_hidden_empty_and_nested_objects_are_listed_and_folder_markers_are_not(bucket: Bucket) -> None:
    """C9, C13: the list comes from S3, not from a reader that hides, skips or does not descend."""
    for key in ("x/_x.json", "x/.y.json", "x/y/f.json", "x/y-1.json", "xy/other.json", "x.json"):
        bucket.put(key)
    for key in ("x/", "x/y/", "x/e.json"):
        bucket.put(key, b"")
    bucket.put("x/not empty/", b"an object after all")
    expected = [".y.json", "_x.json", "e.json", "not empty/", "y-1.json", "y/f.json"]
    assert bucket.paths("x") == bucket.paths("x/") == expected == sorted(expected)
    assert [join(f"{bucket.uri}/x", path) for path in expected] == [
        obj.uri for obj in bucket.store.list_objects(f"s3a://{bucket.name}/x")
    ]


def test_what_was_listed_says_what_it_needs_to_be_read_again(bucket: Bucket) -> None:
    obj = bucket.stored("x/a.json", b"hello")
    assert (obj.path, obj.uri, obj.size) == ("a.json", f"{bucket.uri}/x/a.json", 5)
    assert obj.etag == single_part_md5(obj) == "5d41402abc4b2a76b9719d911017c592"
    assert abs(obj.modified_ns / 1e9 - time.time()) < 60
    assert (obj.inode, obj.version) == (None, None)
    stat = bucket.store.stat(obj.uri)
    assert stat is not None
    assert (stat.path, stat.uri, stat.size, stat.etag) == (obj.path, obj.uri, obj.size, obj.etag)


@pytest.mark.parametrize(
    "key", ["a b+c%20d.json", "a%2Fb", "#?&=;:@.json", "日本 ü.json", "a//b", "x/../y", "tab\tend"]
)
def test_a_key_is_listed_read_and_written_as_it_is(bucket: Bucket, tmp_path: Path, key: str) -> None:
    """C10: the true key, decoded exactly once."""
    (tmp_path / "x").write_bytes(key.encode())
    bucket.store.put_file(tmp_path / "x", f"{bucket.uri}/dt=1/{key}")
    assert [item["Key"] for item in bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]] == [f"dt=1/{key}"]
    (obj,) = bucket.store.list_objects(f"{bucket.uri}/dt=1")
    assert (obj.path, read(bucket.store, obj)) == (key, key.encode())


def test_an_empty_prefix_yields_nothing_and_an_empty_bucket_too(bucket: Bucket) -> None:
    assert bucket.paths() == []
    bucket.put("xy", b"{}")
    assert bucket.paths("x") == []


def test_a_gzip_object_uploaded_in_half_is_an_error_and_the_others_are_read(bucket: Bucket) -> None:
    """C6 over S3."""
    whole = gzip.compress(b'{"a":1}\n' * 20_000)
    half, good = (bucket.stored(key, body) for key, body in (("a", whole[: len(whole) // 2]), ("b", whole)))
    with pytest.raises(ObjectError, match="TRUNCATED_GZIP"):
        list(decompress(bucket.store.read_chunks(half), half.uri))
    assert b"".join(decompress(bucket.store.read_chunks(good), good.uri)) == b'{"a":1}\n' * 20_000


def test_an_empty_object_is_read_as_nothing(bucket: Bucket) -> None:
    assert list(bucket.store.read_chunks(bucket.stored("e", b""))) == []


def test_a_file_is_uploaded_fetched_and_reported_absent(bucket: Bucket, tmp_path: Path) -> None:
    content = os.urandom(12_000_000)  # goes up in parts
    (tmp_path / "x").write_bytes(content)
    bucket.store.put_file(tmp_path / "x", f"s3a://{bucket.name}/out/x")
    assert bucket.store.get_file(f"{bucket.uri}/out/x", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    assert not bucket.store.get_file(f"{bucket.uri}/out", tmp_path / "other")
    assert not (tmp_path / "other").exists()
    assert [bucket.store.exists(f"{bucket.uri}{key}") for key in ("/out/x", "/out", "")] == [True, False, False]


def test_a_file_is_fetched_whole_or_reported_absent(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    assert ObjectStore().get_file(str(tmp_path / "x"), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"content"
    assert not ObjectStore().get_file(str(tmp_path / "nothing"), tmp_path / "other")
    assert not (tmp_path / "other").exists()
    assert [ObjectStore().exists(str(tmp_path / name)) for name in ("x", "nothing", "")] == [True, False, False]
