"""Which object is compared with which."""

from __future__ import annotations

from dataclasses import dataclass

from tallymark.reconcile.plan import pair_objects


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
