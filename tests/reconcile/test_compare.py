"""Comparing a pair in one task must give what the plain definition gives, whatever the window and the blocks."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallymark.reconcile.canonical import CanonicalForm, record_hash
from tallymark.reconcile.compare import compare_pair, count_identical, hash_records
from tallymark.reconcile.window import BACKUP, SOURCE, Digests, PairCounts, Residue
from tallymark.records import block, formats
from tallymark.records.formats import open_records


def opened(text: bytes, format: str = "jsonl", name: str = "x.json") -> formats.Records:
    return open_records(iter([text] if text else []), name, name, format)


def compared(
    source: bytes, backup: bytes, window: int = 20_000, format: str = "auto"
) -> tuple[PairCounts, list[Residue]]:
    counts = PairCounts()
    items = compare_pair(opened(source, format), opened(backup, format), CanonicalForm(), window, counts)
    records = {sha256(record).digest()[:16]: record for text in (source, backup) for record in text.split(b"\n")}
    return counts, [row for item in items for row in as_residue(item, records)]


def as_residue(item: Residue | Digests, records: dict[bytes, bytes]) -> Iterator[Residue]:
    """What `settle_digests` does where digests meet none: the record is read again and canonicalised."""
    if isinstance(item, Residue):
        yield item
        return
    for digest, copies, ordinal in zip(item.digests, item.copies, item.ordinals):
        yield Residue(item.side, record_hash(records[digest]), digest, copies, ordinal, None, None)


def settled_alone(counts: PairCounts, residue: list[Residue]) -> tuple[int, int, int]:
    """Sets the residue of one pair off against itself: matched, missing in backup, missing in source."""
    left, right = Counter[bytes](), Counter[bytes]()
    for row in residue:
        (left if row.side == SOURCE else right)[row.hash] += row.count
    met = (left & right).total()
    matched = counts.identical_records + counts.normalised_records + met
    return matched, left.total() - met, right.total() - met


def plainly(source: Iterable[bytes], backup: Iterable[bytes]) -> tuple[int, int, int]:
    """The plain definition: SHA-256 of each canonical record, counted, full outer join."""
    left, right = Counter(map(record_hash, source)), Counter(map(record_hash, backup))
    met = (left & right).total()
    return met, left.total() - met, right.total() - met


def test_three_copies_against_two_leave_one_missing_in_the_backup() -> None:
    """B1: an outer join on the hash would give six rows."""
    counts, residue = compared(b'{"a":1}\n' * 3, b'{"a":1}\n' * 2)

    assert counts.identical_records == 2
    assert [(row.side, row.count, row.ordinal, row.content) for row in residue] == [(SOURCE, 1, 2, b'{"a":1}')]


def test_records_in_another_order_all_match() -> None:
    """B2: key 1 with A, B against B, A."""
    counts, residue = compared(b'{"k":1,"v":"A"}\n{"k":1,"v":"B"}\n', b'{"k":1,"v":"B"}\n{"k":1,"v":"A"}\n')

    assert (counts.identical_records, residue) == (2, [])


def test_reserialised_records_match_as_normalised() -> None:
    counts, residue = compared(b'{"a":1,"b":2}\n{"c":1}\n', b'{"b":2.0, "a":1}\n{"c":1}\n')

    assert (counts.identical_records, counts.normalised_records, residue) == (1, 1, [])


def test_an_array_matches_the_lines_of_the_same_records() -> None:
    """C5: pretty-printed array of 3 against JSON Lines of the same 3."""
    records = [{"a": 1, "n": {"x": [1, 2]}}, {"a": 2, "n": {}}, {"a": "]},{"}]
    pretty = json.dumps(records, indent=2).encode()
    lines = b"".join(json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in records)
    counts, residue = compared(pretty, lines)

    assert (counts.source_records, counts.backup_records, residue) == (3, 3, [])
    assert counts.identical_records + counts.normalised_records == 3


def test_invalid_records_are_counted_and_compared_by_their_bytes() -> None:
    """A12 and C1: equal bytes match even where they are no valid record."""
    counts, residue = compared(b'{"a":1,"a":2}\n{"b":1} xyz\n{"c":1}\n', b'{"a":1,"a":2}\n{"b":1}\n{"c":1}\n')

    assert (counts.identical_records, counts.invalid_source, counts.invalid_backup) == (2, 2, 1)
    assert [(row.side, row.reason) for row in residue] == [(SOURCE, "INVALID_JSON"), (BACKUP, None)]


def test_invalid_records_of_identical_objects_are_counted() -> None:
    counts = PairCounts()
    count_identical(opened(b'{"a":1,"a":2}\n{"a":1}\nnonsense\n'), CanonicalForm(), counts)

    assert counts == PairCounts(3, 3, 3, 0, 2, 2)


def test_csv_columns_compare_by_name() -> None:
    """D1: one header is the other in another order."""
    counts, residue = compared(b"id,v\n1,a\n2,b\n", b"v,id\na,1\nb,2\n")

    assert (counts.normalised_records, residue) == (2, [])


def test_csv_compares_with_json_lines_of_the_same_texts() -> None:
    counts, residue = compared(b'id,v\n1,"a,b"\n', b'{"v":"a,b","id":"1"}\n')

    assert (counts.identical_records, counts.normalised_records, residue) == (0, 1, [])


def test_a_window_that_overflows_hands_the_rest_out_as_hashes() -> None:
    """A shuffled object: what does not meet within the window must still meet when it is settled."""
    lines = [b'{"n":%d}' % n for n in range(500)]
    shuffled = random.Random(7).sample(lines, len(lines))
    counts, residue = compared(b"\n".join(lines), b"\n".join(shuffled), window=10)

    assert len(residue) > 0
    assert settled_alone(counts, residue) == (500, 0, 0)


def test_the_ordinal_finds_the_record_again() -> None:
    source = [b'{"n":%d}' % n for n in range(100)]
    backup = [line for line in source if line not in (b'{"n":17}', b'{"n":64}')]
    _, residue = compared(b"\n".join(source), b"\n".join(backup), window=5)
    left = {source[row.ordinal] for row in residue if row.side == SOURCE}
    right = {backup[row.ordinal] for row in residue if row.side == BACKUP}

    assert left - right == {b'{"n":17}', b'{"n":64}'}


records = st.one_of(
    st.integers(0, 6).map(lambda n: b'{"id":%d,"v":"x"}' % n),
    st.integers(0, 6).map(lambda n: b'{"v":"x","id":%d.0}' % n),
    st.integers(0, 3).map(lambda n: b'{ "id" : %d , "v":"\\u0078" }' % n),
    st.sampled_from([b'{"a":1,"a":2}', b"nonsense", b'{"a":NaN}', b'{"a":"\xe9"}', b'{"a":1}']),
)


@pytest.fixture(scope="module", autouse=True)
def small_blocks() -> Iterator[None]:
    """Blocks of 64 bytes, so that short texts meet their edges."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "BLOCK_BYTES", 64)
        yield


@settings(max_examples=300)
@given(st.lists(records, max_size=60), st.lists(records, max_size=60), st.integers(1, 30))
def test_the_pair_comparison_equals_the_plain_definition(source: list[bytes], backup: list[bytes], window: int) -> None:
    counts, residue = compared(b"\n".join(source), b"\n".join(backup), window, "jsonl")

    assert settled_alone(counts, residue) == plainly(source, backup)
    assert (counts.source_records, counts.backup_records) == (len(source), len(backup))


@settings(max_examples=200)
@given(st.lists(records, max_size=40), st.randoms(use_true_random=False), st.integers(1, 50))
def test_order_changes_nothing(source: list[bytes], rng: random.Random, window: int) -> None:
    backup = source.copy()
    rng.shuffle(backup)
    counts, residue = compared(b"\n".join(source), b"\n".join(backup), window, "jsonl")

    assert settled_alone(counts, residue) == (len(source), 0, 0)


@settings(max_examples=200)
@given(st.lists(records, max_size=40), st.lists(records, max_size=40))
def test_swapping_the_sides_swaps_the_counts(source: list[bytes], backup: list[bytes]) -> None:
    there, residue_there = compared(b"\n".join(source), b"\n".join(backup), format="jsonl")
    back, residue_back = compared(b"\n".join(backup), b"\n".join(source), format="jsonl")

    assert settled_alone(there, residue_there)[0] == settled_alone(back, residue_back)[0]
    assert (there.invalid_source, there.invalid_backup) == (back.invalid_backup, back.invalid_source)
    assert (there.identical_records, there.normalised_records) == (back.identical_records, back.normalised_records)


@settings(max_examples=200)
@given(st.lists(records, max_size=40), st.lists(records, max_size=40), st.integers(1, 50))
def test_invalid_records_are_counted_alike_by_all_proofs(source: list[bytes], backup: list[bytes], window: int) -> None:
    fast, _ = compared(b"\n".join(source), b"\n".join(backup), window, "jsonl")
    full = PairCounts()
    for side, side_records in ((SOURCE, source), (BACKUP, backup)):
        list(hash_records(side, opened(b"\n".join(side_records)), CanonicalForm(), window, full))

    assert (fast.invalid_source, fast.invalid_backup) == (full.invalid_source, full.invalid_backup)
    assert block.BLOCK_BYTES == 1 << 20


def test_a_large_copy_in_another_form_meets_without_digests() -> None:
    """Larger than the window, and the sides never in step to the record: no record has to be read again."""
    source = b"".join(b'{"n":%d,"v":"x"}\n' % n for n in range(9_000))
    backup = b"".join(b'{"v": "x", "n": %d}\n' % n for n in range(9_000) if n % 1_000)
    counts = PairCounts()
    blocks = [opened(text) for text in (source, backup)]
    items = list(compare_pair(blocks[0], blocks[1], CanonicalForm(), 2_000, counts))

    assert counts.normalised_records == 8_991
    assert [item.ordinal for item in items if isinstance(item, Residue)] == [1_000 * n for n in range(9)]
    assert not [item for item in items if isinstance(item, Digests)]
