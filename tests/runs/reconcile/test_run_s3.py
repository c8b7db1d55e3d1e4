"""The run on S3: source, backup and output there, and what goes wrong there."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import SparkSession

import tallymark
from s3_server import Bucket, Fault, FaultProxy
from tallymark.errors import ConfigError, IncompleteError
from tallymark.reconcile.result import Verdict
from tallymark.runs.reconcile import run, shipping
from tallymark.runs.reconcile.run import ReconcileResult

ONE = b'{"id":1,"v":"a","w":"b"}\n'
TWO = b'{"id":2,"v":"a","w":"b"}\n'


def reconciled(spark: SparkSession, bucket: Bucket, out: object = None, **options: Any) -> ReconcileResult:
    places = {
        "source": f"{bucket.uri}/source",
        "backup": f"{bucket.uri}/backup",
        "out": str(out or f"{bucket.uri}/out"),
    }
    result: ReconcileResult = tallymark.reconcile(spark, **places | options)
    return result


def put_both(bucket: Bucket, key: str, content: bytes) -> None:
    bucket.put(f"source/{key}", content)
    bucket.put(f"backup/{key}", content)


def put_in_parts(bucket: Bucket, key: str, content: bytes) -> None:
    upload = bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)
    part = {"Bucket": bucket.name, "Key": key, "UploadId": upload["UploadId"]}
    etag = bucket.client.upload_part(PartNumber=1, Body=content, **part)["ETag"]
    bucket.client.complete_multipart_upload(MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}, **part)


def contents(result: ReconcileResult) -> list[list[Any]]:
    return [frame.drop("run_id", "run_time", "proof").collect() for frame in (result.files, result.mismatches)]


def errors(result: ReconcileResult) -> dict[str, str]:
    return {row.file_path: row.error.split(" on ")[0] for row in result.files.where("error IS NOT NULL").collect()}


def test_source_backup_output_and_ledger_on_s3(spark: SparkSession, bucket: Bucket) -> None:
    """The second run knows the pairs whose ETags are the MD5; that of an upload in parts is none."""
    put_both(bucket, "a b+c%20d.json", ONE + TWO)
    for side, content in (("source", ONE), ("backup", ONE + TWO)):
        bucket.put(f"{side}/plain.json", content)
        put_in_parts(bucket, f"{side}/parts.json", content)
    bucket.put("source/2026/x.json.gz", gzip.compress(ONE))
    bucket.put("backup/2026/x.json", b"")
    first, result = (reconciled(spark, bucket) for _ in range(2))
    body = bucket.client.get_object(Bucket=bucket.name, Key="out/detailed_report.csv")["Body"].read().decode()
    rows = list(csv.DictReader(io.StringIO(body)))

    assert (result.verdict, result.totals.missing_in_backup) == (Verdict.DIFFERENT, 1)
    assert [(row["file_path"], row["match_rate"]) for row in rows] == [
        ("2026/x.json.gz", "0"),
        ("a b+c%20d.json", "100"),
        ("parts.json", "50"),
        ("plain.json", "50"),
    ] * 2
    assert [(row.file_path, row.proof) for row in first.files.orderBy("file_path").collect()] == [
        ("2026/x.json.gz", "compare"),
        ("a b+c%20d.json", "identical"),
        ("parts.json", "compare"),
        ("plain.json", "compare"),
    ]
    assert [(row.file_path, row.proof) for row in result.files.orderBy("file_path").collect()] == [
        ("2026/x.json.gz", "remembered"),
        ("a b+c%20d.json", "remembered"),
        ("parts.json", "compare"),
        ("plain.json", "remembered"),
    ]
    assert contents(result) == contents(first)
    runs = spark.read.format("delta").load(f"{bucket.uri}/out/delta/runs")
    assert [row.status for row in runs.collect()] == ["COMPLETE"] * 2
    assert bucket.paths(f"out/runs/{result.summary.run_id}/repair/copy_again.txt") == ["copy_again.txt"]


def test_equal_checksums_need_only_one_side(
    spark: SparkSession, bucket: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    put_both(bucket, "a.json", ONE)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint_url)
    result = reconciled(spark, bucket, tmp_path)
    read = [path for method, path, _ in proxy.requests if method == "GET" and path.endswith("a.json")]

    assert (result.verdict, [row.proof for row in result.files.collect()]) == (Verdict.MATCH, ["identical"])
    assert read == [f"/{bucket.name}/source/a.json"]


def test_checksums_of_parts_prove_nothing(spark: SparkSession, bucket: Bucket, tmp_path: Any) -> None:
    """C19: the ETag of a multipart upload depends on the size of the parts."""
    bucket.put("source/a.json", ONE)
    put_in_parts(bucket, "backup/a.json", ONE)
    result = reconciled(spark, bucket, tmp_path)

    assert (result.verdict, [row.proof for row in result.files.collect()]) == (Verdict.MATCH, ["compare"])


def test_an_object_in_parts_is_known_again_by_the_checksum_that_s3_keeps_over_all_of_it(
    spark: SparkSession, bucket: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for side, content in (("source", ONE), ("backup", ONE + TWO)):
        put_in_parts(bucket, f"{side}/a.json", content)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint_url)

    def proof(kind: str, checksum: str) -> str:
        kept = {"x-amz-checksum-type": kind, "x-amz-checksum-crc64nvme": checksum}
        proxy.faults[:] = [Fault("HEAD", path="a.json", add_headers=kept)]
        (row,) = reconciled(spark, bucket, tmp_path).files.collect()
        assert (row.source_records, row.backup_records, row.missing_in_source) == (1, 2, 1)
        return str(row.proof)

    assert proof("FULL_OBJECT", "AAAAAAAAAAA=") == "compare"
    assert proof("FULL_OBJECT", "AAAAAAAAAAA=") == "remembered"
    assert proof("FULL_OBJECT", "BBBBBBBBBBB=") == "compare"
    assert proof("COMPOSITE", "BBBBBBBBBBB=") == "compare"


def test_an_etag_that_is_no_md5_is_found_out(
    spark: SparkSession, bucket: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Under SSE-KMS an ETag looks like an MD5; equal ones must not pass for equal bytes."""
    bucket.put("source/a.json", ONE)
    bucket.put("backup/a.json", TWO)
    etags = [
        bucket.client.head_object(Bucket=bucket.name, Key=f"{side}/a.json")["ETag"] for side in ("source", "backup")
    ]
    same = b"0" * 32

    def lie(listing: bytes) -> bytes:
        for etag in etags:
            listing = listing.replace(etag.strip('"').encode(), same)
        return listing

    proxy.faults += [
        Fault(path="list-type=2", change=lie),
        Fault(path="a.json", drop_header="If-Match", add_headers={"ETag": f'"{same.decode()}"'}),
    ]
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint_url)
    result = reconciled(spark, bucket, tmp_path)

    assert (result.verdict, [row.proof for row in result.files.collect()]) == (Verdict.DIFFERENT, ["compare"])


@pytest.mark.parametrize(
    ("meddle", "reason"),
    [
        (lambda bucket: bucket.put("backup/a.json", TWO + TWO), "CHANGED_DURING_RUN"),
        (lambda bucket: bucket.client.delete_object(Bucket=bucket.name, Key="backup/a.json"), "DELETED_DURING_RUN"),
    ],
)
def test_an_object_that_changes_during_the_run_is_an_error(
    spark: SparkSession,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    meddle: Callable[[Bucket], object],
    reason: str,
) -> None:
    """C18: what was listed is what is compared, or the object is an error."""
    bucket.put("source/a.json", ONE)
    bucket.put("backup/a.json", ONE + TWO)
    put_both(bucket, "good.json", ONE)
    ship = shipping.ship

    def meddle_after_listing(*arguments: Any) -> Any:
        meddle(bucket)
        return ship(*arguments)

    monkeypatch.setattr(run, "ship", meddle_after_listing)
    result = reconciled(spark, bucket, tmp_path)

    assert errors(result) == {"a.json": reason}
    assert (result.exit_code, result.totals.matched_records) == (3, 1)


def test_a_server_that_refuses_one_object_makes_the_run_incomplete(
    spark: SparkSession, bucket: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for key in ("slow.json", "denied.json", "good.json"):
        put_both(bucket, key, ONE)
    proxy.faults += [
        Fault(path="slow.json", status=503, code="SlowDown"),
        Fault(path="denied.json", status=403, code="AccessDenied"),
    ]
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint_url)
    result = reconciled(spark, bucket, tmp_path)

    assert errors(result) == {"slow.json": "UNAVAILABLE", "denied.json": "ACCESS_DENIED"}
    assert (result.exit_code, result.totals.matched_records) == (3, 1)


def test_a_bucket_that_is_not_there_is_a_wrong_option(spark: SparkSession, bucket: Bucket, tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="no-such-bucket"):
        reconciled(spark, bucket, tmp_path, source="s3://no-such-bucket/x")


def test_a_listing_that_is_refused_names_the_right_that_is_missing(
    spark: SparkSession, bucket: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    proxy.faults.append(Fault(path="list-type=2", status=403, code="AccessDenied"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint_url)
    with pytest.raises(IncompleteError, match="s3:ListBucket") as caught:
        reconciled(spark, bucket, tmp_path)

    assert caught.value.exit_code == 3


def test_an_empty_prefix_is_warned_of(spark: SparkSession, bucket: Bucket, tmp_path: Any) -> None:
    bucket.put("source/a.json", ONE)
    result = reconciled(spark, bucket, tmp_path)

    assert (result.exit_code, result.totals.missing_in_backup) == (1, 1)
    assert any("EMPTY" in warning and "backup" in warning for warning in result.summary.warnings)
