"""Which object is read in which task."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tallymark.runs.packing import pack

Item = tuple[int, int]  # number and bytes


def size(item: Item) -> int:
    return item[1]


@given(st.lists(st.integers(0, 1 << 40), max_size=200), st.integers(1, 64))
def test_every_item_is_in_exactly_one_task(sizes: list[int], cores: int) -> None:
    tasks = pack(list(enumerate(sizes)), size, cores)

    assert sorted(number for task in tasks for number, _ in task) == list(range(len(sizes)))
    assert all(tasks)


def test_many_small_objects_share_few_tasks() -> None:
    tasks = pack([(number, 1000) for number in range(20_000)], size, 2)

    assert len(tasks) <= 24
    assert max(map(len, tasks)) - min(map(len, tasks)) <= 1


def test_a_large_object_is_not_left_for_the_end() -> None:
    tasks = pack(list(enumerate([1 << 20] * 50 + [5 << 30])), size, 2)

    assert [number for number, _ in tasks[0]] == [50]
