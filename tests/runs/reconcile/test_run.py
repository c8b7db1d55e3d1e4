"""The run, called from Python on local Spark: every record of both sides is accounted for, whatever is planted."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

from pyspark.sql import SparkSession

from reconcile_runs import counts, lines, reconciled, written
from tallymark.reconcile.result import Verdict


def test_equal_prefixes_match(spark: SparkSession, tmp_path: Path) -> None:
    objects = {"a.json": lines(1, 2), "b/c.json": lines(3)}
    result = reconciled(spark, tmp_path, objects, objects)

    assert (result.verdict, result.exit_code) == (Verdict.MATCH, 0)
    assert result.totals.match_rate == 100.0
    assert [row.proof for row in written(result, "files")] == ["identical", "identical"]
    assert written(result, "mismatches") == []


def test_each_kind_of_difference_is_counted_in_its_file(spark: SparkSession, tmp_path: Path) -> None:
    source = {
        "changed.json": lines(1, 2, 3),
        "lost.json": lines(4, 5),
        "moved.json": lines(6, 7),
        "absent.json": lines(8),
        "respelled.json.gz": gzip.compress(b'{"a":1,"b":"\xc3\xa9"}\n'),
    }
    backup = {
        "changed.json": lines(1, 3) + lines(2).replace(b"true", b"false"),
        "lost.json": lines(4),
        "moved.json": lines(6),
        "elsewhere.json": lines(7, 9),
        "respelled.json": b'[{"b": "\\u00e9", "a": 1.0}]',
    }
    result = reconciled(spark, tmp_path, source, backup)
    rows = {row.file_path: row for row in written(result, "files")}

    assert {path: counts(row) for path, row in rows.items()} == {
        "absent.json": (1, 0, 0, 0, 0, 0, 1, 0),
        "changed.json": (3, 3, 2, 1, 0, 0, 0, 0),
        "elsewhere.json": (0, 2, 0, 0, 0, 1, 0, 1),
        "lost.json": (2, 1, 1, 0, 0, 0, 1, 0),
        "moved.json": (2, 1, 1, 0, 1, 0, 0, 0),
        "respelled.json.gz": (1, 1, 1, 0, 0, 0, 0, 0),
    }
    assert rows["respelled.json.gz"].normalised_records == 1
    assert (rows["absent.json"].status, rows["absent.json"].proof) == ("MISSING_IN_BACKUP", "lonely")
    assert rows["elsewhere.json"].status == "MISSING_IN_SOURCE"
    assert (result.verdict, result.exit_code) == (Verdict.DIFFERENT, 1)
    found = {(row.bucket_type, row.file_path, tuple(row.changed_paths)) for row in written(result, "mismatches")}
    assert found == {
        ("changed", "changed.json", ("$.ok",)),
        ("source_only", "lost.json", ()),
        ("source_only", "absent.json", ()),
        ("backup_only", "elsewhere.json", ()),
    }


def test_a_key_ties_versions_that_share_nothing_else(spark: SparkSession, tmp_path: Path) -> None:
    """B5: with a key one changed record, without it one missing on each side."""
    source, backup = {"a.json": b'{"id":1,"amount":1,"at":5}\n'}, {"a.json": b'{"id":1,"amount":2,"at":6}\n'}
    with_key = reconciled(spark, tmp_path, source, backup, key="id", ignore="$.at")
    without = reconciled(spark, tmp_path, source, backup)

    assert [row.changed_paths for row in written(with_key, "mismatches")] == [["$.amount"]]
    assert (with_key.totals.mismatched_records, with_key.totals.missing_in_backup) == (1, 0)
    totals = without.totals
    assert (totals.mismatched_records, totals.missing_in_backup, totals.missing_in_source) == (0, 1, 1)


def test_a_key_ties_versions_however_far_apart(spark: SparkSession, tmp_path: Path) -> None:
    """Many more leftovers than a window holds, in another order: with a key each finds its other version."""
    numbers = list(range(400))
    random.Random(5).shuffle(numbers)
    source = {"a.json": lines(*range(400))}
    backup = {"a.json": lines(*numbers).replace(b"true", b"false")}
    result = reconciled(spark, tmp_path, source, backup, key="id", chunk_size=10)

    assert (result.totals.mismatched_records, result.totals.missing_in_backup) == (400, 0)
    assert [row.changed_paths for row in written(result, "mismatches")] == [["$.ok"]] * 400


def test_one_record_many_times_is_counted_and_not_joined(spark: SparkSession, tmp_path: Path) -> None:
    """B3: an outer join on the hash would make 10 billion rows of this."""
    result = reconciled(spark, tmp_path, {"a.json": lines(1) * 100_000}, {"b.json": lines(1) * 99_999})

    assert (result.totals.moved_out, result.totals.missing_in_backup) == (99_999, 1)
    assert result.totals.match_rate == 99.999
    assert [row["count"] for row in written(result, "mismatches")] == [1]


def test_an_almost_full_match_never_prints_100(spark: SparkSession, tmp_path: Path) -> None:
    """B9."""
    source = lines(*range(20_000)) * 50
    result = reconciled(spark, tmp_path, {"a.json": source + lines(20_001)}, {"a.json": source + lines(20_002)})

    assert result.totals.match_rate == 99.9999
    assert result.verdict is Verdict.DIFFERENT


def test_two_empty_prefixes_match_with_a_warning(spark: SparkSession, tmp_path: Path) -> None:
    """B8: nothing was compared, so the rate is unknown, not 100."""
    result = reconciled(spark, tmp_path, {}, {})
    strict = reconciled(spark, tmp_path, {}, {}, fail_on_empty=True)

    assert (result.verdict, result.totals.match_rate) == (Verdict.MATCH, None)
    assert any(warning.startswith("EMPTY") for warning in result.summary.warnings)
    assert strict.exit_code == 1


def test_every_object_is_listed_under_its_own_name(spark: SparkSession, tmp_path: Path) -> None:
    """C7, C9, C10, C12: Spark's readers skip hidden and empty files, and decode names twice."""
    source = {
        "_x.json": lines(1),
        ".y.json": lines(2),
        "empty.json": b"",
        "a b+c%20d.json": lines(3),
        "dt=2024-01-01/f.json": lines(4),
        "ü'\"\n.json": lines(5),
        "packed.json": gzip.compress(lines(6)),
    }
    (tmp_path / "out 100%").mkdir()
    backup = {"packed.json": lines(6), "dt=2024-01-01/f.json": b'{"device":"d4","id":4,"ok":true,"site":"north"}'}
    result = reconciled(spark, tmp_path / "out 100%", source, backup)

    assert {row.file_path: (row.source_records, row.status) for row in written(result, "files")} == {
        "_x.json": (1, "MISSING_IN_BACKUP"),
        ".y.json": (1, "MISSING_IN_BACKUP"),
        "empty.json": (0, "MISSING_IN_BACKUP"),
        "a b+c%20d.json": (1, "MISSING_IN_BACKUP"),
        "dt=2024-01-01/f.json": (1, "MATCH"),
        "ü'\"\n.json": (1, "MISSING_IN_BACKUP"),
        "packed.json": (1, "MATCH"),
    }
