"""From bytes to raw records: what each format means, and that a guess never splits wrongly."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallymark.errors import ObjectError
from tallymark.reconcile.canonical import InvalidRecord, canonicalise
from tallymark.records import formats
from tallymark.records.formats import Records, detect, open_records


def opened(text: bytes, format: str = "auto", name: str = "x.json", piece: int = 1 << 20) -> Records:
    pieces = (text[start : start + piece] for start in range(0, len(text), piece))
    return open_records(pieces, name, name, format)


def records_of(text: bytes, format: str = "auto", name: str = "x.json", piece: int = 1 << 20) -> list[bytes]:
    return [record for block in opened(text, format, name, piece).blocks for record in block.records]


def json_of(text: bytes, format: str = "auto") -> list[str]:
    records = opened(text, format)
    return [records.to_json(record).decode() for block in records.blocks for record in block.records]


def failure(text: bytes, format: str = "auto", name: str = "x.json", piece: int = 1 << 20) -> str:
    with pytest.raises(ObjectError) as caught:
        records_of(text, format, name, piece)
    return caught.value.reason


@pytest.mark.parametrize(
    ("head", "name", "format"),
    [
        (b'{"a":1}\n{"a":2}\n', "x.csv", "jsonl"),
        (b'[{"a":1}]', "x.json", "array"),
        (b' \n [\n {"a":1}', "x.csv", "array"),
        (b"[", "x", "array"),
        (b"[]", "x", "array"),
        (b"[1,2]\n[3,4]\n", "x", "jsonl"),
        (b"[id],[name]\n1,a\n", "x", "csv"),
        (b"id,v\n1,a\n", "x.json", "csv"),
        (b"id\n1\n2\n", "x.csv", "csv"),
        (b"1\n2\n3\n", "x.json", "jsonl"),
        (b'"id"\n"1"\n', "x.csv", "csv"),
        (b'garbage\n{"a":1}\n{"a":2}\n', "x.json", "jsonl"),
        (b'{\n  "a": 1\n}\n{\n  "a": 2\n}\n', "x.json", "array"),
        (b'{"a":1,\n{"a":2}\n', "x.json", "jsonl"),
        (b"", "x.csv", "jsonl"),
    ],
)
def test_the_format_is_decided_by_content(head: bytes, name: str, format: str) -> None:
    assert detect(head, name) == format


def test_text_behind_a_record_makes_the_line_one_invalid_record() -> None:
    """C1: Spark and parse_json accept it."""
    (record,) = records_of(b'{"a":1} xyz\n')
    with pytest.raises(InvalidRecord):
        canonicalise(record)


def test_two_records_on_one_line_are_never_one_valid_record() -> None:
    """C2: Spark keeps the first one silently."""
    (record,) = records_of(b'{"a":2}{"a":3}\n')
    with pytest.raises(InvalidRecord):
        canonicalise(record)


def test_json_lines_read_as_array_keep_all_records() -> None:
    """C3: Spark's multiLine reader returns the first."""
    assert records_of(b'{"a":1}\n{"a":2}\n{"a":3}\n', "array") == [b'{"a":1}', b'{"a":2}', b'{"a":3}']


@pytest.mark.parametrize(
    "text",
    [b'[{"a":1},{"a":2},{"a":3', b'[{"a":1},{"a":2},', b'[{"a":1},{"a":2}', b'[{"a":"x', b"[", b'{\n"a":1\n}\n{\n"a":'],
)
def test_a_cut_array_is_an_error(text: bytes) -> None:
    """C4: never fewer records that look whole."""
    assert failure(text, "array") == "CUT_ARRAY"


@pytest.mark.parametrize(
    "text", [b'[{"a":1}] x', b'[{"a":1}][{"a":2}]', b'[{"a":1]]', b'[{"a":1},,{"a":2}]', b'[{"a":1},]', b"[,1]", b"[1}"]
)
def test_a_broken_array_is_an_error(text: bytes) -> None:
    assert failure(text, "array") == "BROKEN_ARRAY"


def test_an_invalid_element_is_one_invalid_record_and_its_neighbours_stay() -> None:
    assert records_of(b'[{"a":1}, {"a":NaN} , {"a":"\xe9"},{"a":01}, {"b":2} ]') == [
        b'{"a":1}',
        b'{"a":NaN}',
        b'{"a":"\xe9"}',
        b'{"a":01}',
        b'{"b":2}',
    ]


def test_pretty_printed_objects_one_after_another_are_records() -> None:
    text = b'{\n "a": {"b": [1]}\n}\n{\n "a": 2\n}\n'

    assert [canonicalise(record) for record in records_of(text)] == [b'{"a":{"b":[1]}}', b'{"a":2}']


def test_a_carriage_return_between_tokens_is_white_space() -> None:
    """C14: text readers split at it."""
    assert records_of(b'{"a":\r1}\n{"b":2}\r\n') == [b'{"a":\r1}', b'{"b":2}']


def test_byte_order_mark_blank_lines_and_a_missing_last_newline_change_nothing() -> None:
    """C15."""
    assert records_of(b'\xef\xbb\xbf\n{"a":1}\n\n  \n\r\n{"a":2}') == [b'{"a":1}', b'{"a":2}']


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (bytes(range(256)) * 8, "NOT_TEXT"),
        (b"\0" * 100, "NOT_TEXT"),
        (b"\x28\xb5\x2f\xfd....", "UNSUPPORTED_FORMAT"),
        ('{"a":1}'.encode("utf-16"), "UNSUPPORTED_FORMAT"),
        (b"PAR1....", "UNSUPPORTED_FORMAT"),
    ],
)
def test_binary_objects_are_errors(text: bytes, reason: str) -> None:
    assert failure(text) == reason


def test_one_record_with_a_control_character_does_not_make_the_object_binary() -> None:
    assert len(records_of(b'{"a":"\x00"}\n{"a":2}\n')) == 2


def test_an_empty_object_has_no_records() -> None:
    assert records_of(b"") == records_of(b" \n \n") == records_of(b"[]") == records_of(b" [ ] ") == []


def test_a_record_beyond_the_limit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """C20: bounded memory, refused with the size."""
    for module in ("json_lines", "json_array", "csv_rows"):
        monkeypatch.setattr(f"tallymark.records.{module}.RECORD_LIMIT", 1 << 18)
    long = b"x" * (1 << 20)

    assert failure(b'{"a":"' + long + b'"}', "jsonl", piece=1 << 18) == "RECORD_TOO_LARGE"
    assert failure(b'[{"a":"' + long + b'"}]', "array", piece=1 << 18) == "RECORD_TOO_LARGE"
    assert failure(b'id\n"' + long + b'"\n', "csv", piece=1 << 18) == "RECORD_TOO_LARGE"
    # A small gzip can hold gigabytes without a line end: what is beyond the limit is not even asked for.
    endless = repeat(b"x" * (1 << 18), 100)
    with pytest.raises(ObjectError, match="RECORD_TOO_LARGE"):
        open_records(endless, "x.json", "x.json")
    assert next(endless)


@pytest.mark.parametrize("text", [b"[" * 1_000_002, b'[{"a":' + b"[" * 1_000_000, b'{"a":\n' + b"[" * 1_000_000])
def test_a_nesting_without_an_end_is_an_error(text: bytes) -> None:
    """Each level is remembered until it closes; gigabytes of brackets fit into a small gzip."""
    assert failure(text, "array") == "TOO_DEEP"


def test_csv_types_are_never_guessed() -> None:
    """D2: 007 stays 007."""
    assert json_of(b"id,v\n007,1.0\n") == ['{"id":"007","v":"1.0"}']


def test_quoted_quotes_and_line_ends_stay_in_their_cell() -> None:
    """D3."""
    assert json_of(b'a,b\n"x""y","1\n2"\n3,4\r\n') == ['{"a":"x\\"y","b":"1\\n2"}', '{"a":"3","b":"4"}']


def test_an_empty_cell_is_empty_whether_quoted_or_not() -> None:
    """D4."""
    assert json_of(b'a,b\n3,\n3,""\n') == ['{"a":"3","b":""}'] * 2


def test_a_row_with_too_few_cells_is_invalid_and_never_padded() -> None:
    """D5."""
    records = opened(b"a,b,c,d\n1,2,3\n1,2,3,4\n", "csv")
    short, whole = next(records.blocks).records
    with pytest.raises(InvalidRecord) as caught:
        records.to_json(short)

    assert caught.value.reason == "WRONG_FIELD_COUNT"
    assert records.to_json(whole) == b'{"a":"1","b":"2","c":"3","d":"4"}'


def test_a_quote_inside_of_an_unquoted_cell_is_a_letter() -> None:
    assert json_of(b'size,n\n5" pipe,1\n7" pipe,2\n') == [
        '{"size":"5\\" pipe","n":"1"}',
        '{"size":"7\\" pipe","n":"2"}',
    ]


def test_the_delimiter_is_taken_from_the_header() -> None:
    assert json_of(b'a;b\n"1;2";3\n', format="csv") == ['{"a":"1;2","b":"3"}']
    assert json_of(b"a\tb\n\t\n", format="csv") == ['{"a":"","b":""}']


def test_a_csv_of_nothing_but_a_header_has_no_records() -> None:
    assert records_of(b"a,b\n", "csv") == records_of(b"a,b", "csv") == records_of(b"", "csv") == []


def test_a_header_that_repeats_a_name_is_an_error() -> None:
    assert failure(b"a,b,a\n1,2,3\n", "csv") == "BROKEN_HEADER"


values = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.none(), st.text('ab{}[]",\\ \n', max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text('ab{"', max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module", autouse=True)
def small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats, "BLOCK_BYTES", 48)
        yield


@settings(max_examples=400)
@given(st.lists(values, max_size=12), st.sampled_from([None, 0, 2]), st.integers(1, 60))
def test_an_array_splits_into_exactly_its_elements(elements: list[object], indent: int | None, piece: int) -> None:
    text = json.dumps(elements, indent=indent).encode()

    assert [json.loads(record) for record in records_of(text, "array", piece=piece)] == elements


@settings(max_examples=200)
@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), values, min_size=1), min_size=1, max_size=8), st.integers(1, 60)
)
def test_values_one_after_another_split_into_exactly_these(elements: list[object], piece: int) -> None:
    text = "".join(json.dumps(element, indent=1) for element in elements).encode()

    assert [json.loads(record) for record in records_of(text, "array", piece=piece)] == elements


cells = st.text('ab",;\n\r é', max_size=5)


@settings(max_examples=300)
@given(st.lists(st.tuples(cells, cells, cells), max_size=15), st.integers(1, 60), st.sampled_from(["\n", "\r\n"]))
def test_csv_as_the_standard_library_writes_it_comes_back(
    rows: list[tuple[str, str, str]], piece: int, end: str
) -> None:
    file = io.StringIO(newline="")
    # Up to Python 3.12 the writer leaves a lone carriage return unquoted, where it is part of the line end.
    quote_all = any("\r" in cell for row in rows for cell in row)
    writer = csv.writer(file, lineterminator=end, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL)
    writer.writerow(["one", "two", "three"])
    writer.writerows(rows)
    read = opened(file.getvalue().encode(), "csv", piece=piece)
    found = [json.loads(read.to_json(record)) for block in read.blocks for record in block.records]

    assert found == [dict(zip(("one", "two", "three"), row)) for row in rows]
