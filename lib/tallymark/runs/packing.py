"""Packs objects into the tasks of a stage. Called by the runs of the jobs that read files."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import TypeVar

_OBJECT_COST = 256 << 10
"""Opening an object costs about as much as reading this many bytes."""
_TASK_BYTES = 256 << 20
"""Most bytes of a task where there is more than one object: keeps the progress live and a lost task cheap."""
T = TypeVar("T")


def pack(items: Sequence[T], bytes_of: Callable[[T], int], cores: int) -> list[list[T]]:
    """Returns the items of each task, largest task first: about three tasks a core, balanced by bytes.

    Few tasks, because each Python task costs about 0.2 s; largest item first into the lightest task (LPT,
    Graham 1969), so that no core idles behind a late large object.

    >>> pack([10, 20, 30], lambda size: size << 20, cores=1)
    [[30], [20], [10]]
    """
    if not items:
        return []
    costs = [bytes_of(item) + _OBJECT_COST for item in items]
    total = sum(costs)
    tasks = min(len(items), max(min(3 * cores, -(-total // (8 * _OBJECT_COST))), -(-total // _TASK_BYTES)))
    heap = [(0, number) for number in range(tasks)]
    loads = [0] * tasks
    packed: list[list[T]] = [[] for _ in range(tasks)]
    for number in sorted(range(len(items)), key=lambda number: -costs[number]):
        load, lightest = heapq.heappop(heap)
        packed[lightest].append(items[number])
        loads[lightest] = load + costs[number]
        heapq.heappush(heap, (loads[lightest], lightest))
    return [packed[number] for number in sorted(range(tasks), key=lambda number: -loads[number])]
