"""Where the published objects of an hour lie, and the statements that let Athena, Glue and Trino read them.

Partition projection: docs.aws.amazon.com/athena, "Partition projection"; an hour is a string with its zero, because
`hour=7` would never be found by `projection.hour.digits = 2`.
"""

from __future__ import annotations

from tallymark.ingest.travelling import hour_of

_PARTS = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60)
NAME = "logs"


def folder_of(place: str, layout: str) -> str:
    """Return the folder of an hour below the published ones.

    >>> folder_of("dt=2026-03-17/hour=14", "folders")
    'data/2026_y/03_m/17_d/14_h'
    """
    dt, hour = hour_of(place)
    return place if layout == "hive" else f"data/{dt[:4]}_y/{dt[5:7]}_m/{dt[8:]}_d/{hour}_h"


def parts_of(records: int, records_per_object: int) -> int:
    """Return into how many objects an hour of so many records is split: equal pieces of its minutes, at most 60.

    >>> parts_of(1000, 1000), parts_of(1001, 1000), parts_of(6500, 1000)
    (1, 2, 10)
    """
    return next((parts for parts in _PARTS if parts * records_per_object >= records), _PARTS[-1])


def object_name(part: int, parts: int) -> str:
    """Return the name of one object of an hour.

    >>> object_name(0, 1), object_name(1, 4)
    ('logs.json.gz', 'logs-01-of-04.json.gz')
    """
    return f"{NAME}.json.gz" if parts == 1 else f"{NAME}-{part:02}-of-{parts:02}.json.gz"


def superseded_names(parts: int) -> set[str]:
    """Return the names that objects of an hour have where it was split into another number.

    >>> "logs.json.gz" in superseded_names(2), "logs-01-of-02.json.gz" in superseded_names(2)
    (True, False)
    """
    return {object_name(part, others) for others in _PARTS if others != parts for part in range(others)}


def minutes_of(part: int, parts: int) -> tuple[int, int]:
    """Return the first minute of a part and the one after its last.

    >>> minutes_of(1, 4)
    (15, 30)
    """
    width = 60 // parts
    return part * width, (part + 1) * width
