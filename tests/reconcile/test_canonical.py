"""The canonical form: golden bytes and hashes, the cases A1-A22, the options, and quick way == exact way."""

from __future__ import annotations

import hashlib
import json
import pickle
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallymark.reconcile import canonical
from tallymark.reconcile.canonical import (
    VERSION,
    CanonicalForm,
    InvalidRecord,
    canonicalise,
    invalid_reason,
    record_hash,
)
from tallymark.reconcile.json_path import parse_paths
from tallymark.records.json_tree import parse, write

GOLDEN = Path(__file__).with_name("canonical_golden.jsonl")
FORM = CanonicalForm()


def test_golden_records_keep_their_bytes_and_hashes() -> None:
    """Canonical texts typed by hand, hashes by `printf %s TEXT | sha256sum`; a change here is a new VERSION."""
    golden = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
    assert (VERSION, len(golden)) == (1, 50)
    for record in golden:
        raw, expected = record["raw"].encode(), record["canonical"]
        assert record_hash(raw).hex() == record["sha256"], record["name"]
        if expected is None:
            assert invalid_reason(raw) is not None, record["name"]
        else:
            assert canonicalise(raw).decode() == write(parse(raw)).decode() == expected, record["name"]


SAME = {
    "A1 key order at any level": ('{"b":1,"a":{"d":1,"c":2}}', '{"a":{"c":2,"d":1},"b":1}'),
    "A2 one with a point and with an exponent": ('{"a":1.0}', '{"a":1e0}'),
    "A3 hundred as 1e2": ('{"a":100}', '{"a":1e2}'),
    "A9 minus zero": ('{"a":[-0,0]}', '{"a":[0,-0.0]}'),
    "A12 the same bytes with a repeated name": ('{"a":1,"a":2}', '{"a":1,"a":2}'),
    "A13 names that differ by case": ('{"id":1,"ID":2}', '{"ID":2,"id":1}'),
    "A14 an escaped letter": ('{"a":"\\u00e9"}', '{"a":"é"}'),
    "A14 an escaped slash": (r'"\/"', '"/"'),
    "A16 a lone surrogate in capitals": (r'{"a":"\ud83d"}', r'{"a":"\uD83D"}'),
    "A17 UTF-16 order of names": ('{"😀":1,"\ufb33":2}', '{"\ufb33":2.0,"\\ud83d\\ude00":1}'),
    "A22 5,000 digits": ('{"a":' + "7" * 5000 + "}", '{ "a":' + "7" * 5000 + "}"),
    "A22 2,000 levels left open": ("[" * 2000, "[" * 2000),
    "A22 2,000 levels": ("[" * 2000 + "]" * 2000, "[ " * 2000 + "]" * 2000),
}
DIFFERENT = {
    "A4 integers beyond 2^53": ('{"a":9007199254740993}', '{"a":9007199254740992}'),
    "A5 the same with a point": ('{"a":9007199254740993.0}', '{"a":9007199254740992.0}'),
    "A6 decimals that share a double": ('{"a":0.1}', '{"a":0.1000000000000000055511151231257827}'),
    "A7 41 digits, the last differs": (f'{{"a":{"1234567890" * 4}1}}', f'{{"a":{"1234567890" * 4}2}}'),
    "A8 numbers beyond a double": ('{"a":1e400}', '{"a":1e401}'),
    "A10 NaN and its text": ('{"a":NaN}', '{"a":"NaN"}'),
    "A11 a repeated name and its last value": ('{"a":1,"a":2}', '{"a":2}'),
    "A15 composed and decomposed": ('"é"', '"e\\u0301"'),
    "A16 a lone surrogate and a question mark": (r'{"a":"\ud83d"}', '{"a":"?"}'),
    "A18 null and missing": ('{"a":null,"b":1}', '{"b":1}'),
    "A19 empty and missing": ('{"b":1,"c":{}}', '{"b":1}'),
    "A20 a text and a number": ('{"a":"1"}', '{"a":1}'),
    "A21 array order": ('{"a":[1,2]}', '{"a":[2,1]}'),
}


@pytest.mark.parametrize(("source", "backup"), [*SAME.values(), *DIFFERENT.values()], ids=[*SAME, *DIFFERENT])
def test_records_are_equal_exactly_when_they_mean_the_same(source: str, backup: str) -> None:
    equal = record_hash(source.encode()) == record_hash(backup.encode())
    assert equal is ((source, backup) in SAME.values())


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b'{"a":1,"a":1}', "DUPLICATE_KEY"),
        (b'{"a\\\\":1,"a\\u005c":1}', "DUPLICATE_KEY"),
        (b'{"a": 1, "a": 1e15}', "DUPLICATE_KEY"),
        (b'{"\\"":1,"\\u0022":1}', "DUPLICATE_KEY"),
        (b'{"a": 0e' + b"9" * 1001 + b"}", "NUMBER_TOO_LONG"),
        (b"[" + b"0," * 1_000_000 + b"0]", "TOO_LARGE"),
        (b'"' + b"x" * (16 << 20) + b'"', "TOO_LARGE"),
        (b'"' + b"x" * 3_000_000 + b'"', None),
        (b"[" * 2000 + b"]" * 2000, None),
        (rb'{"a":"\ud83d"}', None),
    ],
)
def test_an_invalid_record_is_named_and_hashed_by_its_raw_bytes(record: bytes, reason: str | None) -> None:
    assert invalid_reason(record) == reason
    assert FORM.digest(record) == (hashlib.sha256(record if reason else canonicalise(record)).digest(), reason)


def test_unordered_arrays_compare_as_multisets() -> None:
    form = CanonicalForm(unordered=parse_paths("$.a"))
    assert form.digest(b'{"a":[1,2,2]}') == form.digest(b'{"a":[2,1.0,2]}') != form.digest(b'{"a":[1,1,2]}')


def test_an_ignored_value_does_not_count_but_must_be_valid() -> None:
    form = CanonicalForm(ignore=parse_paths("$.ts, $.meta.*"))
    assert form.canonicalise(b'{"ts":1,"meta":{"x":2},"b":1.50,"a":1}') == b'{"a":1,"b":1.5,"meta":{}}'
    assert form.digest(b'{"a":1,"ts":1,"ts":2}')[1] == "DUPLICATE_KEY"


def test_lexical_numbers_differ_by_their_text() -> None:
    assert CanonicalForm(numbers="lexical").canonicalise(b'{"b":1.0,"a":-0}') == b'{"a":-0,"b":1.0}'


def test_nfc_normalises_names_and_paths_and_finds_names_that_become_equal() -> None:
    form = CanonicalForm(unicode="nfc", ignore=parse_paths("$.e\u0301"))
    assert form.canonicalise('{"é":1,"a":"e\u0301"}'.encode()) == '{"a":"é"}'.encode()
    assert form.digest('"é"'.encode()) == form.digest(b'"e\\u0301"') == FORM.digest('"é"'.encode())
    twins = '{"é":1,"e\u0301":2}'.encode()
    assert (form.digest(twins)[1], form.invalid_reason(twins)) == ("DUPLICATE_KEY", "DUPLICATE_KEY")
    assert FORM.digest(twins)[1] is None


def test_options_without_a_meaning_are_refused() -> None:
    with pytest.raises(ValueError, match="whole record"):
        CanonicalForm(ignore=parse_paths("$"))
    with pytest.raises(ValueError, match="nfd"):
        CanonicalForm(unicode="nfd")  # type: ignore[arg-type]


def test_a_form_survives_pickling_and_can_be_a_key() -> None:
    form = CanonicalForm(ignore=parse_paths("$.a[*]"), unicode="nfc")
    assert pickle.loads(pickle.dumps(form)) == form
    assert len({form, pickle.loads(pickle.dumps(form))}) == 1


@pytest.mark.parametrize(
    "record",
    [
        b'{"a":[1.0,-0.0,1e21,0.1,12345678901234567890],"b":{"c":"\\u00e9\\/","d":null},"e":[]}',
        b'{"a":1,"a":2}',
        b'{"big":9007199254740993,"long":0.1000000000000000055511151231257827}',
        b"[" * 600 + b"]" * 600,
        b'"\\ud800"',
    ],
)
def test_a_tree_read_quickly_is_the_tree_read_exactly(record: bytes) -> None:
    quick = canonical._quick_tree(record)

    assert quick is None or quick == parse(record)


def test_plain_telemetry_stays_on_the_quick_way() -> None:
    for record in (
        b'{"ts":"2026-10-05T09:08:07.060Z","id":"12e5","hex":"0e16","lat":37.77492950000001,"ns":1760000000123456789}',
        b'{"seq": 1, "load": 12.0, "matrix": [1.0, -2.0, 0.5], "note": "a, b"}',
        b'{"cost":1.50,"rate":1e-05,"name":"caf\\u00e9","say":"\\"x\\"","tiny":1.5e-7}',
        b'{"a":"x","b":[],"c":{},"d":[true,false,null]}',
    ):
        assert canonical._certified(record, ()) == write(parse(record))


class Members(tuple[Any, ...]):
    """The members of an object in order, names perhaps repeated."""

    __slots__ = ()


NUMBERS = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers().map(lambda number: f"{number}.0"),
    st.integers(-(2**65), 2**65).map(str),
    st.sampled_from(["-0", "-0.0", "0e9", "1e16", "1e-5", "1e-6", "1e-7", "1e21", "1E400", "1e-400", "1.50", "12.0"]),
)
TEXTS = st.one_of(
    st.text(max_size=6),
    st.text(alphabet='"\\,:{}[].0e1-+/u \n\x1fé\ud83d\ude00\ufb33😀', max_size=8),
    st.sampled_from(
        ["a", "b", ":1.0,", "x.0}", "-0]", "1e5,", '":1.0,', "\\", '"', "e\u0301", "\ufb33", "😀", "\ud83d"]
    ),
)
TREES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(NUMBERS.map(lambda text: ("number", text)), TEXTS, st.none(), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.lists(st.tuples(TEXTS, inner), max_size=4).map(Members)),
    max_leaves=10,
)


def spelled(node: Any, dice: random.Random, respell: bool = False) -> str:
    """Writes a tree with random white space and escapes; ``respell`` also varies numbers and the order of members."""
    space = dice.choice(["", "", "", " ", "\n\t\r "])
    if isinstance(node, Members):
        pairs = dice.sample(node, len(node)) if respell else node
        inner = (f"{space}{string(name, dice)}{space}:{spelled(value, dice, respell)}" for name, value in pairs)
        return f"{{{','.join(inner)}{space}}}"
    if isinstance(node, list):
        return f"[{f'{space},'.join(spelled(value, dice, respell) for value in node)}{space}]"
    if isinstance(node, tuple):
        return number(node[1], dice) if respell else str(node[1])
    return string(node, dice) if isinstance(node, str) else json.dumps(node)


def number(text: str, dice: random.Random) -> str:
    sign, digits, exponent = Decimal(text).as_tuple()
    more = dice.randrange(30)
    whole = "".join(map(str, digits)).lstrip("0")
    return f"{'-' * sign}{whole}{'0' * more}e{int(exponent) - more}" if whole else dice.choice(["0", "-0.0", "0e9"])


def string(text: str, dice: random.Random) -> str:
    odds = dice.choice([0, 0.5])
    return '"' + "".join(escaped(character, dice.random() < odds) for character in text) + '"'


def escaped(character: str, always: bool) -> str:
    if always and character != "/":
        return f"\\u{ord(character):04X}" if character <= "\uffff" else json.dumps(character)[1:-1]
    must = character in '"\\' or character < " " or "\ud800" <= character <= "\udfff"
    return json.dumps(character)[1:-1] if must else "\\" * always + character


def both_ways(record: bytes, form: CanonicalForm = FORM) -> None:
    reason = None
    try:
        expected = write(form.exact_tree(record))
        assert form.tree(record) == form.exact_tree(record)
    except InvalidRecord as invalid:
        expected, reason = record, invalid.reason
    assert form.digest(record) == (hashlib.sha256(expected).digest(), reason)
    assert form.invalid_reason(record) == reason


DICE = st.integers(0, 2**32).map(random.Random)  # drawing each throw would take most of the time
LAW = settings(max_examples=400, database=None)


@LAW
@given(TREES, DICE)
def test_the_quick_way_gives_what_the_exact_way_gives(tree: Any, dice: random.Random) -> None:
    record = spelled(tree, dice).encode()
    both_ways(record)
    both_ways(record, CanonicalForm(ignore=parse_paths("$.a, $[0].b, $.*.a")))
    both_ways(record, CanonicalForm(unicode="nfc"))


@LAW
@given(TREES, DICE)
def test_a_damaged_text_is_judged_alike_on_both_ways(tree: Any, dice: random.Random) -> None:
    text = bytearray(spelled(tree, dice).encode())
    for _ in range(dice.randint(1, 3)):
        text.insert(dice.randint(0, len(text)), dice.choice(b'{}[]:,"\\u0e-+. \n\x01\xc3\xed\xf4'))
        del text[dice.randrange(len(text))]
    both_ways(bytes(text))


@LAW
@given(TREES, DICE)
def test_spelling_and_order_do_not_matter_and_the_form_is_its_own_form(tree: Any, dice: random.Random) -> None:
    once, again = spelled(tree, dice).encode(), spelled(tree, dice, respell=True).encode()
    assert invalid_reason(again) == invalid_reason(once)
    if invalid_reason(once) is None:
        text = canonicalise(once)
        assert canonicalise(again) == canonicalise(text) == text
