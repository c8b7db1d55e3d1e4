"""The plan: what a listing tells of bytes on S3, and what earlier runs tell of the time."""

from __future__ import annotations

from s3_server import Bucket
from tallymark.config.loading import load
from tallymark.config.reconcile import ReconcileConfig
from tallymark.reconcile.forecast import Work, estimate
from tallymark.reconcile.history import RunPoint
from tallymark.runs.reconcile.dry_run import plan


def test_the_plan_on_s3_counts_one_side_of_what_its_checksums_call_equal(bucket: Bucket) -> None:
    for side, unlike in (("source", b"ab"), ("backup", b"ba")):
        bucket.put(f"{side}/equal.json", b"123")
        bucket.put(f"{side}/unlike.json", unlike)
    bucket.put("source/lonely.json", b"1234567")
    places = {name: f"{bucket.uri}/{name}" for name in ("source", "backup", "out")}

    found = plan(load(ReconcileConfig, None, places))

    assert found.work == {"identical": Work(1, 6, 3), "compare": Work(1, 4, 4), "lonely": Work(1, 7, 7)}
    assert found.to_read == 14


def run_point(bytes_read: int | None, seconds: float | None) -> RunPoint:
    return RunPoint("r", "2024", "a", "b", "MATCH", 0, 100.0, 1, 1, 0, 0, 0, seconds, bytes_read, False)


def test_the_estimate_is_in_proportion_to_the_run_that_read_most() -> None:
    small, large, dead = run_point(10, 8.0), run_point(1_000, 100.0), run_point(None, None)

    bound, long, unknown = (estimate(*given) for given in ((20, [small, large]), (500, [large, small]), (5, [dead])))

    assert bound is not None
    assert (bound.seconds, bound.is_bound, bound.by) == (8.0, True, large)
    assert long is not None
    assert (long.seconds, long.is_bound, long.by) == (50.0, False, large)
    assert unknown is None
