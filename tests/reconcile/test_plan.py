"""Which object is compared with which, and in which task."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from tallymark.reconcile.plan import Pair, pack, pair_objects


@dataclass(frozen=True)
class Item:
    path: str
    size: int = 1


def paired(source: list[str], backup: list[str]) -> list[tuple[str | None, str | None]]:
    pairs = pair_objects(map(Item, source), map(Item, backup))
    return [(pair.source.path if pair.source else None, pair.backup.path if pair.backup else None) for pair in pairs]


def test_objects_pair_by_their_path() -> None:
    assert paired(["b/x.json", "a.json"], ["a.json", "c.json"]) == [
        ("a.json", "a.json"),
        ("b/x.json", None),
        (None, "c.json"),
    ]


def test_a_compressed_object_pairs_with_a_plain_one() -> None:
    """C8."""
    assert paired(["x/a.json"], ["x/a.json.gz"]) == [("x/a.json", "x/a.json.gz")]
    assert paired(["x/a.json.GZ"], ["x/a.json"]) == [("x/a.json.GZ", "x/a.json")]


def test_equal_names_pair_before_similar_ones() -> None:
    assert paired(["a.json", "a.json.gz"], ["a.json.gz"]) == [("a.json", None), ("a.json.gz", "a.json.gz")]
    assert paired(["a.json.gz"], ["a.json", "a.json.gz"]) == [(None, "a.json"), ("a.json.gz", "a.json.gz")]


@given(st.lists(st.integers(0, 1 << 40), max_size=200), st.integers(1, 64))
def test_every_pair_is_in_exactly_one_task(sizes: list[int], cores: int) -> None:
    pairs = [Pair(number, Item(str(number), size), None) for number, size in enumerate(sizes)]
    tasks = pack(pairs, cores)

    assert sorted(pair.number for task in tasks for pair in task) == list(range(len(sizes)))
    assert all(tasks)


def test_many_small_objects_share_few_tasks() -> None:
    pairs = [Pair(number, Item(str(number), 500), Item(str(number), 500)) for number in range(20_000)]
    tasks = pack(pairs, 2)

    assert len(tasks) <= 24
    assert max(map(len, tasks)) - min(map(len, tasks)) <= 1


def test_a_large_object_is_not_left_for_the_end() -> None:
    sizes = [1 << 20] * 50 + [5 << 30]
    tasks = pack([Pair(number, Item(str(number), size), None) for number, size in enumerate(sizes)], 2)

    assert [pair.number for pair in tasks[0]] == [50]
