"""Setting residue off: first inside of a pair, then across, by counts and never by joins."""

from __future__ import annotations

import random
from collections import defaultdict

import pyarrow as pa
import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession

from tallymark.reconcile.settle import KINDS, settle
from tallymark.reconcile.stages import RESIDUE, arrow_schema
from tallymark.reconcile.tables import ddl

# hash, raw, pair, side (0 source, 1 backup), count, ordinal
Row = tuple[str, str, int, int, int, int]
FOUND = "hash string, raw string, pair int, side int, identical bigint, normalised bigint, moved bigint, missing bigint"


def residue(spark: SparkSession, rows: list[Row]) -> DataFrame:
    table = [
        (0, pair, pair > 4, side, digest.encode(), raw.encode(), count, ordinal, None, None)
        for digest, raw, pair, side, count, ordinal in rows
    ]
    return spark.createDataFrame(table, ddl(RESIDUE))


def settled(spark: SparkSession, rows: list[Row]) -> DataFrame:
    """As the run does it: all rows of a hash in one partition, in order."""
    in_order = residue(spark, rows).repartition(2, "hash").sortWithinPartitions("hash", "pair", "ordinal")
    return in_order.mapInArrow(settle, ddl(RESIDUE | dict.fromkeys(KINDS, "bigint")))


def assert_settled(
    spark: SparkSession, rows: list[Row], expected: list[tuple[str, str, int, int, int, int, int, int]]
) -> None:
    found = settled(spark, rows).selectExpr(
        "cast(hash AS string) AS hash",
        "cast(raw AS string) AS raw",
        "pair",
        "side",
        *(f"cast({name} AS bigint) AS {name}" for name in ("identical", "normalised", "moved", "missing")),
    )
    assert_df_equality(found, spark.createDataFrame(expected, FOUND), ignore_row_order=True, ignore_nullable=True)


def test_inside_of_a_pair_equal_bytes_come_before_equal_values(spark: SparkSession) -> None:
    assert_settled(
        spark,
        [("h", "a", 1, 0, 2, 0), ("h", "b", 1, 0, 1, 5), ("h", "a", 1, 1, 1, 0), ("h", "c", 1, 1, 1, 7)],
        [
            ("h", "a", 1, 0, 1, 1, 0, 0),
            ("h", "b", 1, 0, 0, 0, 0, 1),
            ("h", "a", 1, 1, 1, 0, 0, 0),
            ("h", "c", 1, 1, 0, 1, 0, 0),
        ],
    )


def test_the_own_pair_comes_before_other_files(spark: SparkSession) -> None:
    """B7: only what the own pair leaves is moved."""
    assert_settled(
        spark,
        [("h", "a", 1, 0, 1, 0), ("h", "a", 2, 0, 1, 0), ("h", "a", 2, 1, 2, 0)],
        [("h", "a", 1, 0, 0, 0, 1, 0), ("h", "a", 2, 0, 1, 0, 0, 0), ("h", "a", 2, 1, 1, 0, 1, 0)],
    )


def test_two_of_one_record_are_not_two_of_another(spark: SparkSession) -> None:
    """B4: an XOR of hashes would say equal."""
    assert_settled(
        spark,
        [("h1", "a", 1, 0, 2, 0), ("h2", "b", 1, 1, 2, 0)],
        [("h1", "a", 1, 0, 0, 0, 0, 2), ("h2", "b", 1, 1, 0, 0, 0, 2)],
    )


def test_many_copies_settle_by_their_number(spark: SparkSession) -> None:
    """B3: ten million against one less, one row each."""
    assert_settled(
        spark,
        [("h", "a", 1, 0, 10_000_000, 0), ("h", "a", 2, 1, 9_999_999, 0)],
        [("h", "a", 1, 0, 0, 0, 9_999_999, 1), ("h", "a", 2, 1, 0, 0, 9_999_999, 0)],
    )


def test_across_files_equal_bytes_come_before_equal_values_and_lonely_objects_before_others(
    spark: SparkSession,
) -> None:
    """Pairs from 5 on are lonely here. What meets first is what `digests` lets meet, so both ways agree."""
    assert_settled(
        spark,
        [("h", "a", 1, 0, 1, 0), ("h", "b", 2, 0, 1, 0), ("h", "b", 5, 0, 1, 0), ("h", "b", 6, 1, 1, 0)],
        [
            ("h", "a", 1, 0, 0, 0, 0, 1),
            ("h", "b", 2, 0, 0, 0, 0, 1),
            ("h", "b", 5, 0, 0, 0, 1, 0),
            ("h", "b", 6, 1, 0, 0, 1, 0),
        ],
    )


@pytest.mark.parametrize("seed", range(3))
def test_each_row_adds_up_and_both_sides_settle_alike(spark: SparkSession, seed: int) -> None:
    rng = random.Random(seed)
    rows = [
        (rng.choice("hij"), rng.choice("ab"), rng.randrange(4), rng.randrange(2), rng.randrange(1, 9), ordinal)
        for ordinal in range(60)
    ]
    sides: dict[tuple[str, int], int] = defaultdict(int)
    for row in settled(spark, rows).collect():
        assert row.identical + row.normalised + row.moved + row.missing == row["count"]
        assert min(row.identical, row.normalised, row.moved, row.missing) >= 0
        for name in ("identical", "normalised", "moved"):
            sides[name, row.side] += row[name]
        sides["missing " + row.hash.decode(), row.side] += row.missing

    for name in ("identical", "normalised", "moved"):
        assert sides[name, 0] == sides[name, 1]
    for digest in "hij":
        assert min(sides["missing " + digest, 0], sides["missing " + digest, 1]) == 0


def test_a_hash_that_spans_batches_settles_as_one() -> None:
    schema = arrow_schema(RESIDUE)
    names = list(RESIDUE)
    rows = [
        dict(zip(names, (0, 1, False, side, digest, b"a", 1, ordinal, None, None)))
        for ordinal, (digest, side) in enumerate([(b"g", 0), (b"h", 0), (b"h", 0), (b"h", 1), (b"h", 1), (b"i", 1)])
    ]
    for size in range(1, 7):
        batches = [pa.RecordBatch.from_pylist(rows[at : at + size], schema) for at in range(0, 6, size)]
        found = [row for batch in settle(batches) for row in batch.to_pylist()]

        assert [row["ordinal"] for row in found] == list(range(6))
        assert [row["identical"] for row in found] == [0, 1, 1, 1, 1, 0]
        assert [row["missing"] for row in found] == [1, 0, 0, 0, 0, 1]
