"""Digests of raw records meet in bulk: fast on arrays, and the same as counting them one by one."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tallymark.reconcile.digests import ROW, DigestRows, settle_digests
from tallymark.reconcile.window import BACKUP, SOURCE, Digests

# digest, pair, side, lonely, count, ordinal
Plain = tuple[int, int, int, bool, int, int]


def packed(rows: list[Plain]) -> np.ndarray[Any, Any]:
    array = np.zeros(len(rows), ROW)
    for at, (digest, pair, side, lonely, count, ordinal) in enumerate(rows):
        array[at] = (digest, digest + 1, pair, side, lonely, count, ordinal)
    return array


def left(rows: np.ndarray[Any, Any]) -> set[tuple[int, int, int, int, int]]:
    return {tuple(row[name].item() for name in ("high", "pair", "side", "ordinal", "count")) for row in rows}


def test_equal_digests_of_a_pair_are_identical_and_the_surplus_stays() -> None:
    rows = packed([(7, 1, SOURCE, False, 1, 0), (7, 1, BACKUP, False, 1, 9), (8, 1, SOURCE, False, 3, 1)])
    stay, sums = settle_digests(rows)

    assert left(stay) == {(8, 1, SOURCE, 1, 3)}
    assert sums == {1: {"identical_records": 1}}


def test_lonely_objects_exchange_records_in_the_order_of_their_paths() -> None:
    rows = packed([(7, 5, SOURCE, True, 2, 0), (7, 2, SOURCE, True, 1, 3), (7, 9, BACKUP, True, 2, 0)])
    stay, sums = settle_digests(rows)

    assert left(stay) == {(7, 5, SOURCE, 0, 1)}
    assert sums == {2: {"moved_out": 1}, 5: {"moved_out": 1}, 9: {"moved_in": 2}}


def test_a_record_of_a_pair_does_not_leave_it_as_a_digest() -> None:
    """Its own pair may hold it in another form, which comes before other files; only canonical hashes tell."""
    rows = packed([(7, 1, SOURCE, False, 1, 0), (7, 2, BACKUP, True, 1, 0)])
    stay, sums = settle_digests(rows)

    assert (len(stay), sums) == (2, {})


def test_halves_of_digests_that_collide_do_not_meet() -> None:
    rows = packed([(7, 1, SOURCE, False, 1, 0), (7, 1, BACKUP, False, 1, 0)])
    rows["low"] = [1, 2]
    stay, sums = settle_digests(rows)

    assert (len(stay), sums) == (2, {})


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 1), st.integers(1, 3)), min_size=0, max_size=30
    ),
    st.randoms(),
)
def test_the_fast_way_equals_counting_and_the_order_of_rows_does_not_matter(
    drawn: list[tuple[int, int, int, int]], rng: object
) -> None:
    """Pairs 3 and 4 are lonely: 3 holds source records only, 4 backup records only."""
    rows = [
        (digest, pair, {3: SOURCE, 4: BACKUP}.get(pair, side), pair > 2, count, ordinal)
        for ordinal, (digest, pair, side, count) in enumerate(drawn)
    ]
    stay, sums = settle_digests(packed(rows))
    rng.shuffle(rows)  # type: ignore[attr-defined]
    again, sums_again = settle_digests(packed(rows))
    held = Counter[tuple[int, int, int]]()
    for digest, pair, side, _, count, _ in rows:
        held[digest, pair, side] += count
    expected: dict[tuple[int, str], int] = Counter()
    for digest in range(4):
        for pair in range(3):
            expected[pair, "identical_records"] += min(held[digest, pair, SOURCE], held[digest, pair, BACKUP])
        moved = min(held[digest, 3, SOURCE], held[digest, 4, BACKUP])
        expected[3, "moved_out"] += moved
        expected[4, "moved_in"] += moved

    assert (left(stay), sums) == (left(again), sums_again)
    assert {(pair, name): count for pair, of in sums.items() for name, count in of.items()} == +Counter(expected)
    settled = sum(expected.values()) + sum(n for (_, name), n in expected.items() if name == "identical_records")
    assert int(stay["count"].sum()) + settled == sum(held.values())


def test_equal_digests_leave_in_the_same_part() -> None:
    digests = [sha256(b"%d" % number).digest()[:16] for number in range(1_000)]
    parts: list[dict[int, set[bytes]]] = []
    for ordinals in (range(1_000), range(1_000, 2_000)):
        rows = DigestRows(7)
        rows.add(0, False, Digests(SOURCE, digests, [1] * 1_000, ordinals))
        parts.append({number: set(np.frombuffer(of, ROW)["high"].tolist()) for number, of in rows.take()})
        assert list(rows.take()) == []

    assert parts[0] == parts[1]
    assert sorted(parts[0]) == list(range(7))
