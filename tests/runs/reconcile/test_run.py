"""The run, called from Python on local Spark: every record of both sides is accounted for, whatever is planted."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

import tallymark
from tallymark.errors import ConfigError
from tallymark.reconcile.canonical import record_hash
from tallymark.reconcile.result import Verdict
from tallymark.runs.reconcile import run
from tallymark.runs.reconcile.distributed import Stages
from tallymark.runs.reconcile.run import ReconcileResult

Objects = dict[str, bytes]


def put(folder: Path, objects: Objects) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in objects.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def reconciled(spark: SparkSession, folder: Path, source: Objects, backup: Objects, **options: Any) -> ReconcileResult:
    put(folder / "source", source)
    put(folder / "backup", backup)
    places = {"source": str(folder / "source"), "backup": str(folder / "backup"), "out": str(folder / "out")}
    result: ReconcileResult = tallymark.reconcile(spark, **places | options)
    return result


def counts(row: Any) -> tuple[int, ...]:
    names = ["source_records", "backup_records", "matched_records", "mismatched_records"]
    return tuple(row[name] for name in [*names, "moved_out", "moved_in", "missing_in_backup", "missing_in_source"])


def lines(*numbers: int) -> bytes:
    return b"".join(b'{"id":%d,"device":"d%d","site":"north","ok":true}\n' % (n, n) for n in numbers)


def test_equal_prefixes_match(spark: SparkSession, tmp_path: Path) -> None:
    objects = {"a.json": lines(1, 2), "b/c.json": lines(3)}
    result = reconciled(spark, tmp_path, objects, objects)

    assert (result.verdict, result.exit_code) == (Verdict.MATCH, 0)
    assert result.totals.match_rate == 100.0
    assert [row.proof for row in result.files.collect()] == ["identical", "identical"]
    assert result.mismatches.count() == 0


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
    rows = {row.file_path: row for row in result.files.collect()}

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
    found = {(row.bucket_type, row.file_path, tuple(row.changed_paths)) for row in result.mismatches.collect()}
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

    assert [row.changed_paths for row in with_key.mismatches.collect()] == [["$.amount"]]
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
    assert [row.changed_paths for row in result.mismatches.collect()] == [["$.ok"]] * 400


def test_one_record_many_times_is_counted_and_not_joined(spark: SparkSession, tmp_path: Path) -> None:
    """B3: an outer join on the hash would make 10 billion rows of this."""
    result = reconciled(spark, tmp_path, {"a.json": lines(1) * 100_000}, {"b.json": lines(1) * 99_999})

    assert (result.totals.moved_out, result.totals.missing_in_backup) == (99_999, 1)
    assert result.totals.match_rate == 99.999
    assert [row["count"] for row in result.mismatches.collect()] == [1]


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


def test_an_object_that_cannot_be_read_makes_the_run_incomplete_and_stops_no_other(
    spark: SparkSession, tmp_path: Path
) -> None:
    """C4 and C6: a cut gzip, a cut array, a binary file."""
    good = {"good.json": lines(1, 2)}
    cut = gzip.compress(lines(*range(5_000)))
    source = good | {"cut.json.gz": cut, "array.json": b'[{"a":1},{"a":2}]', "x.bin": bytes(range(256)) * 40}
    backup = good | {
        "cut.json.gz": cut[: len(cut) // 2],
        "array.json": b'[{"a":1},{"a":2',
        "x.bin": bytes(range(256)) * 41,
    }
    result = reconciled(spark, tmp_path, source, backup)
    rows = {row.file_path: row for row in result.files.collect()}

    assert {path: row.status for path, row in rows.items()} == {
        "array.json": "ERROR",
        "cut.json.gz": "ERROR",
        "good.json": "MATCH",
        "x.bin": "ERROR",
    }
    assert [rows[path].error.split(" on ")[0] for path in ("array.json", "cut.json.gz", "x.bin")] == [
        "CUT_ARRAY",
        "TRUNCATED_GZIP",
        "NOT_TEXT",
    ]
    assert rows["cut.json.gz"].source_records is None
    assert (result.verdict, result.exit_code) == (Verdict.INCOMPLETE, 3)
    assert result.mismatches.count() == 0


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

    assert {row.file_path: (row.source_records, row.status) for row in result.files.collect()} == {
        "_x.json": (1, "MISSING_IN_BACKUP"),
        ".y.json": (1, "MISSING_IN_BACKUP"),
        "empty.json": (0, "MISSING_IN_BACKUP"),
        "a b+c%20d.json": (1, "MISSING_IN_BACKUP"),
        "dt=2024-01-01/f.json": (1, "MATCH"),
        "ü'\"\n.json": (1, "MISSING_IN_BACKUP"),
        "packed.json": (1, "MATCH"),
    }


def test_the_second_run_with_one_id_replaces_the_first(spark: SparkSession, tmp_path: Path) -> None:
    """E3: no doubled rows, in no table and no report."""
    for _ in range(2):
        result = reconciled(spark, tmp_path, {"a.json": lines(1, 2)}, {"a.json": lines(1)}, run_id="month")
    other = reconciled(spark, tmp_path, {"a.json": lines(1, 2)}, {"a.json": lines(1)}, run_id="other")

    assert (result.files.count(), result.mismatches.count()) == (1, 1)
    assert other.files.count() == 1
    runs = spark.read.format("delta").load(str(tmp_path / "out/delta/runs"))
    assert sorted((row.run_id, row.status) for row in runs.collect()) == [("month", "COMPLETE"), ("other", "COMPLETE")]
    report = (tmp_path / "out/detailed_report.csv").read_text().splitlines()
    assert report[0].startswith(
        "file_path,source_records,backup_records,matched_records,mismatched_records,"
        "missing_in_backup,missing_in_source,match_rate"
    )
    assert len(report) == 3
    detailed = (tmp_path / "out/detailed_report_detailed.csv").read_text().splitlines()
    assert detailed[0].startswith("hash,hash_short,file_path,bucket_type,json_content")
    assert len(detailed) == 3
    assert len((tmp_path / "out/detailed_report_summary.csv").read_text().splitlines()) == 3


def test_masked_values_are_written_nowhere(spark: SparkSession, tmp_path: Path) -> None:
    """E5."""
    source = {"a.json": b'{"id":1,"name":"Ada-secret","x":1,"y":2}\n{"name":"Ada-secret",\n'}
    reconciled(spark, tmp_path, source, {"a.json": b'{"id":1,"name":"Ada-secret","x":2,"y":2}\n'}, mask="$.name")
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]

    assert written
    assert not [path for path in written if b"Ada-secret" in path.read_bytes()]
    assert "***" in (tmp_path / "out/detailed_report_detailed.csv").read_text()


def test_the_repair_lists_name_what_to_copy_again(spark: SparkSession, tmp_path: Path) -> None:
    source = {"good.json": lines(1), "lost.json": lines(2, 3), "absent.json": lines(4)}
    result = reconciled(spark, tmp_path, source, {"good.json": lines(1), "lost.json": lines(2)}, run_id="r")
    folder = tmp_path / "out/runs/r"

    assert (folder / "repair/copy_again.txt").read_text().split() == ["absent.json", "lost.json"]
    missing = (folder / "repair/missing_in_backup.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["id"] for line in missing) == [3, 4]
    assert json.loads((folder / "report.json").read_text())["totals"]["missing_in_backup"] == 2
    assert (folder / "report.xlsx").stat().st_size > 0
    assert result.exit_code == 1


@pytest.mark.parametrize("place", ["source", "source/x", ".."])
def test_places_that_hold_each_other_are_refused(spark: SparkSession, tmp_path: Path, place: str) -> None:
    (tmp_path / "a/source/x").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"overlap|inside"):
        tallymark.reconcile(
            spark, source=str(tmp_path / "a/source"), backup=str(tmp_path / "a" / place), out=str(tmp_path / "out")
        )


def test_an_object_that_changes_before_its_leftovers_are_explained_is_an_error_and_keeps_its_counts(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content of many leftovers is read again; what was counted before stays true of what was listed."""
    explain = Stages.explain

    def overwrite_before(*arguments: Any) -> Any:
        (tmp_path / "source/lost.json").write_bytes(lines(1))
        return explain(*arguments)

    monkeypatch.setattr(Stages, "explain", overwrite_before)
    source = {"lost.json": lines(*range(60_000)), "moved.json": lines(99_999)}
    result = reconciled(spark, tmp_path, source, {"elsewhere.json": lines(5, 99_999)})
    rows = {row.file_path: row for row in result.files.collect()}

    assert rows["lost.json"].error.startswith("CHANGED_DURING_RUN")
    assert counts(rows["lost.json"]) == (60_000, 0, 0, 0, 1, 0, 59_999, 0)
    assert (rows["moved.json"].status, result.exit_code) == ("MISSING_IN_BACKUP", 3)


def test_neither_a_second_run_nor_other_tasks_change_a_report(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E6: equal but for the run's id and times, also with one task for each pair."""
    source, backup = planted(random.Random(9))
    summaries, tables = [], []
    for one_task_a_pair in (False, True):
        if one_task_a_pair:
            monkeypatch.setattr(run, "pack", lambda pairs, cores: [[pair] for pair in pairs])
        result = reconciled(spark, tmp_path, source, backup, ledger=False)
        folder = tmp_path / "out/runs" / result.summary.run_id
        report = (folder / "report.json").read_text().replace(result.summary.run_id, "")
        summaries.append(re.sub(r'"20[0-9-]+T[^"]*"|"duration_seconds": [0-9.]+', "", report))
        rows = [frame.drop("run_id", "run_time").collect() for frame in (result.files, result.mismatches)]
        tables.append([*rows, (folder / "repair/missing_in_backup.jsonl").read_bytes()])

    assert result.totals.missing_in_backup > 0
    assert summaries[0] == summaries[1]
    assert tables[0] == tables[1]


def planted(rng: random.Random) -> tuple[Objects, Objects]:
    """Two prefixes with duplicates, moves, other spellings, changed fields, invalid records and lonely objects."""
    pool = [{"id": n, "v": rng.choice("abc"), "w": n % 3, "ok": True} for n in range(40)]
    source: dict[str, list[bytes]] = {f"{n}.json": [] for n in range(5)}
    backup: dict[str, list[bytes]] = {f"{n}.json": [] for n in range(1, 6)}
    for _ in range(rng.randrange(200)):
        item = rng.choice(pool)
        home = rng.randrange(5)
        source[f"{home}.json"].append(json.dumps(item).encode())
        copy = dict(reversed(item.items())) if rng.random() < 0.2 else item
        copy = copy | {"v": "z"} if rng.random() < 0.1 else copy
        if rng.random() < 0.9:
            place = home if home > 0 and rng.random() < 0.8 else rng.randrange(1, 6)
            backup[f"{place}.json"].append(json.dumps(copy).encode())
    for side in (source, backup):
        for records in side.values():
            records.extend(rng.choices([b"nonsense", b'{"a":1,"a":1}', b""], k=rng.randrange(3)))
            rng.shuffle(records)
    return tuple({name: b"\n".join(records) for name, records in side.items()} for side in (source, backup))  # type: ignore[return-value]


def plainly(source: Objects, backup: Objects) -> tuple[int, int, int, int, int]:
    left, right = (
        Counter(record_hash(line) for text in side.values() for line in text.split(b"\n") if line)
        for side in (source, backup)
    )
    met = (left & right).total()
    return left.total(), right.total(), met, left.total() - met, right.total() - met


@pytest.mark.parametrize(("seed", "lonely_bytes"), [(0, 1 << 30), (1, 1 << 30), (2, 0), (3, 0)])
def test_fast_equals_full_equals_the_plain_definition(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, lonely_bytes: int
) -> None:
    """With windows that overflow; with lonely objects as residue and as digests."""
    monkeypatch.setattr(run, "_LONELY_BYTES", lonely_bytes)
    source, backup = planted(random.Random(seed))
    fast = reconciled(spark, tmp_path, source, backup, chunk_size=7)
    full = reconciled(spark, tmp_path, source, backup, proof="full")
    swapped = tallymark.reconcile(
        spark,
        source=str(tmp_path / "backup"),
        backup=str(tmp_path / "source"),
        out=str(tmp_path / "out"),
    )
    found = [
        (
            of.totals.source_records,
            of.totals.backup_records,
            of.totals.matched_records + of.totals.moved_out,
            of.totals.mismatched_records + of.totals.missing_in_backup,
            of.totals.mismatched_records + of.totals.missing_in_source,
        )
        for of in (fast, full)
    ]
    decided = ["file_path", "source_records", "backup_records", "matched_records", "moved_out", "moved_in"]
    decided += ["invalid_source", "invalid_backup"]

    assert found == [plainly(source, backup)] * 2
    assert fast.files.select(decided).collect() == full.files.select(decided).collect()
    assert swapped.totals.matched_records == fast.totals.matched_records
    assert swapped.totals.moved_out == fast.totals.moved_out
    assert swapped.totals.source_records == fast.totals.backup_records
    assert swapped.totals.missing_in_source + swapped.totals.mismatched_records == found[0][3]


@pytest.mark.parametrize("lonely_bytes", [1 << 30, 0])
def test_a_run_takes_at_most_ten_spark_jobs_however_many_files(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lonely_bytes: int
) -> None:
    """With everything there is to do: changed, missing and moved records, digests, content to read again, a key."""
    monkeypatch.setattr(run, "_LONELY_BYTES", lonely_bytes)
    source = {f"{n}.json": lines(*range(10 * n, 10 * n + 10)) for n in range(60)}
    backup = {f"{n}.json": lines(*range(10 * n + 1, 10 * n + 10)).replace(b"true", b"null", 1) for n in range(30)}
    backup |= {f"again-{n}.json": lines(*range(10 * n, 10 * n + 9)) for n in range(30, 60)}
    before = next_job(spark)
    result = reconciled(spark, tmp_path, source, backup, key="id", chunk_size=1)

    assert next_job(spark) - before <= 10
    assert (result.totals.moved_out, result.totals.mismatched_records) == (270, 30)


def next_job(spark: SparkSession) -> int:
    scheduler = spark.sparkContext._jsc.sc().dagScheduler()
    number = scheduler.nextJobId()
    return int(number if isinstance(number, int) else number.get())
