"""The exact parser and writer: grammar, numbers, strings, layout, and the paths where two trees differ."""

from __future__ import annotations

import json
import pickle
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallymark.records.json_tree import InvalidRecord, changed_paths, leaves, number_text, parse, write


def exact(text: str) -> str:
    return write(parse(text.encode())).decode()


def reason(record: bytes) -> str:
    with pytest.raises(InvalidRecord) as caught:
        parse(record)
    return caught.value.reason


RFC_8785_NUMBERS = {
    "8000000000000000": "0",
    "8000000000000001": "-5e-324",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize(("bits", "expected"), RFC_8785_NUMBERS.items())
def test_the_shortest_form_of_a_double_is_laid_out_as_in_rfc_8785_appendix_b(bits: str, expected: str) -> None:
    (double,) = struct.unpack(">d", bytes.fromhex(bits))
    assert number_text(repr(double)).decode() == expected


NUMBERS = """
0 0 | -0 0 | -0.000e-9 0 | 0e5 0 | 1.0 1 | 1e0 1 | 1E+2 100 | 100e-2 1 | -1.50 -1.5 | 120 120 | 0.10 0.1
123.456e1 1234.56 | 0.000001 0.000001 | 0.0000010 0.000001 | 1e-6 0.000001 | 0.0000001 1e-7 | 0.00000015 1.5e-7
100000000000000000000 100000000000000000000 | 999999999999999999999.50 999999999999999999999.5
1000000000000000000000 1e+21 | 1234567890123456789012 1.234567890123456789012e+21
1234567890123456789012.5 1.2345678901234567890125e+21 | 9007199254740993 9007199254740993
9007199254740993.0 9007199254740993 | 333333333.33333329 333333333.33333329 | 1e400 1e+400 | -25e-402 -2.5e-401
0.1000000000000000055511151231257827 0.1000000000000000055511151231257827
"""


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        *(pair.split() for pair in NUMBERS.strip().replace("\n", "|").split("|")),
        ("1e" + "0" * 2000 + "5", "100000"),
        ("1e-" + "9" * 1000, "1e-" + "9" * 1000),
    ],
)
def test_a_number_keeps_its_exact_digits(written: str, expected: str) -> None:
    assert exact(written) == expected


@pytest.mark.parametrize("written", ["1e" + "9" * 1001, "0e" + "9" * 1001, "10e" + "9" * 1000, "0.1e-" + "9" * 1000])
def test_an_exponent_of_more_than_a_thousand_digits_is_refused(written: str) -> None:
    """Also one that would only be that long when written, or what is written could not be read again."""
    assert reason(written.encode()) == "NUMBER_TOO_LONG"


def test_lexical_numbers_stay_as_written() -> None:
    assert write(parse(b"[1.0, 1e0, -0, 1E400]", lexical_numbers=True)) == b"[1.0,1e0,-0,1E400]"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (r'"\u0008\u0009\u000a\u000c\u000d"', r'"\b\t\n\f\r"'),
        (r'"\u0000\u001F\u007f"', '"\\u0000\\u001f\x7f"'),
        (r'"\u0022\u005C\/\u002f"', r'"\"\\//"'),
        (r'"\u00e9\u20AC"', '"é€"'),
        (r'"\uD83D\uDE00"', '"😀"'),
        (r'"\uD83D"', r'"\ud83d"'),
        (r'"\uDE00\uD83D"', r'"\ude00\ud83d"'),
        (r'"\uD83D\uD83D\uDE00"', r'"\ud83d😀"'),
        ('"\u2028\ufeff"', '"\u2028\ufeff"'),
    ],
)
def test_a_string_is_escaped_as_in_rfc_8785_and_keeps_lone_surrogates(written: str, expected: str) -> None:
    assert exact(written) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (b"\xff", "INVALID_UTF8"),
        (b'"\xed\xa0\x80"', "INVALID_UTF8"),
        (b'"\xc0\xaf"', "INVALID_UTF8"),
        (b"NaN", "NOT_A_NUMBER"),
        (b'{"a": -Infinity}', "NOT_A_NUMBER"),
        (b'{"a":1,"\\u0061":2}', "DUPLICATE_KEY"),
        (b'[{"a":{"":1,"":1}}]', "DUPLICATE_KEY"),
        (b'{"a":1,"a":2', "INVALID_JSON"),
    ],
)
def test_an_invalid_record_names_its_reason(record: bytes, expected: str) -> None:
    assert reason(record) == expected


BROKEN = r"""01|-|-01|1.|.5|+1|1e|1e+|0x1|1_0|NaNs|Nan|tru|nulll|True|[|]|[1,]|[,1]|[1 2]|[1}|{"a":1]|{|}|{"a"}|{"a":}
{"a":1,}|{,}|{a:1}|{'a':1}|{1:1}|{"a" 1}|{"a":1 "b":2}|{"a":1}}|1 1|"a" "b"|"|"a|"\|"\x"|"\u12"|"\u12g4"|"\u+123"|//1"""


@pytest.mark.parametrize("text", [*BROKEN.replace("\n", "|").split("|"), "", " ", "\ufeff1", "\x0b1", "\xa01", "1\x00"])
def test_text_beside_the_grammar_is_refused(text: str) -> None:
    assert reason(text.encode()) == "INVALID_JSON"


@pytest.mark.parametrize("control", ["\x00", "\t", "\n", "\x1f"])
@pytest.mark.parametrize("template", ['"{}"', '"\\n{}"', '{{"{}":1}}', '{{"\\n{}":1}}'])
def test_a_raw_control_character_in_a_string_is_refused(template: str, control: str) -> None:
    assert reason(template.format(control).encode()) == "INVALID_JSON"


def test_white_space_is_dropped_everywhere_between_tokens() -> None:
    assert exact(' \t\r\n{ \n"a" \t: [ ] , "b":\r[ 1 , { } ] } \n') == '{"a":[],"b":[1,{}]}'


def test_names_sort_by_utf_16_code_units_at_every_level() -> None:
    text = '[{"\ufb33":1,"😀":{"b":1,"a":2,"":3},"\\ud83d":4,"z":[]}]'
    assert exact(text) == '[{"z":[],"\\ud83d":4,"😀":{"":3,"a":2,"b":1},"\ufb33":1}]'


def test_ten_thousand_levels_are_read_and_one_more_is_refused() -> None:
    text = b"[" * 10_000 + b"]" * 10_000
    assert write(parse(text)) == text
    assert reason(b"[" + text + b"]") == "TOO_DEEP"
    assert reason(b'{"a":' * 10_001 + b"1" + b"}" * 10_001) == "TOO_DEEP"
    assert reason(b"[" * 2_000) == "INVALID_JSON"


@pytest.mark.parametrize(
    "record",
    [
        b'{"a":"' + b"x" * 10_000_000 + b'"}',
        b'{"a":"' + b"x" * 10_000_000 + b'\\n"}',
        b'{"a":"' + b"\\n" * 5_000_000 + b'"}',
        b"[" + b"7" * 5_000_000 + b"]",
        b'["' + b'\\n","' * 100_000 + b'"]',
    ],
    ids=["plain", "escape at the end", "only escapes", "digits", "many short escapes"],
)
def test_time_grows_with_the_length_only(record: bytes) -> None:
    started = time.process_time()
    write(parse(record))
    assert time.process_time() - started < 5


def test_an_invalid_record_error_survives_pickling() -> None:
    assert pickle.loads(pickle.dumps(InvalidRecord("TOO_DEEP"))).reason == "TOO_DEEP"


@settings(max_examples=300, database=None)
@given(st.text(alphabet='{}[]:,"\\ue-+.0123456789truefalsn \n\x01é', max_size=24))
def test_what_parses_is_what_the_standard_library_parses(text: str) -> None:
    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        expected = json.dumps(json.loads(text, parse_constant=refuse, object_pairs_hook=dict_without_repeats))
    except ValueError:
        with pytest.raises(InvalidRecord):
            parse(text.encode())
    else:
        assert json.loads(write(parse(text.encode()))) == json.loads(expected)


def dict_without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("repeated name")
    return dict(pairs)


def test_leaves_are_scalars_and_empty_containers_by_path() -> None:
    record = (
        rb'{"a":{"b":[1.0,{"c":null}]},"e":[],"f":{},"a b":"x","it\u0027s":1,"\\\n\"":2,"\ud83d":3,"n\u00e9":4,"1":5}'
    )
    assert leaves(parse(record)) == {
        "$.a.b[0]": b"1",
        "$.a.b[1].c": b"null",
        "$.e": b"[]",
        "$.f": b"{}",
        "$['a b']": b'"x"',
        r"$['it\'s']": b"1",
        r"""$['\\\n"']""": b"2",
        r"$['\ud83d']": b"3",
        "$.né": b"4",
        "$['1']": b"5",
    }
    assert leaves(parse(b'"a"')) == {"$": b'"a"'}


@pytest.mark.parametrize(
    ("source", "backup", "expected"),
    [
        (b'{"a":1,"b":"\\u00e9"}', '{"b":"é","a":1.0}'.encode(), []),
        (b'{"a":1,"b":2}', b'{"a":1,"b":3}', ["$.b"]),
        (b'{"a":{"x":1},"b":[1,2,3]}', b'{"a":{"x":2},"b":[1,5]}', ["$.a.x", "$.b[1]", "$.b[2]"]),
        (b'{"a":null}', b"{}", ["$.a"]),
        (b'{"a":{"x":{"y":1}}}', b'{"a":{}}', ["$.a.x"]),
        (b'{"a":{"x":1,"y":2}}', b'{"a":"x"}', ["$.a"]),
        (b'{"a":{"x":1}}', b'{"a":[1]}', ["$.a"]),
        (b'{"a":{}}', b'{"a":[]}', ["$.a"]),
        (b"1", b"[1]", ["$"]),
    ],
)
def test_changed_paths_are_the_highest_places_that_differ(source: bytes, backup: bytes, expected: list[str]) -> None:
    assert changed_paths(source, backup) == expected


def test_changed_paths_beyond_the_limit_are_counted() -> None:
    source = json.dumps({f"k{number:02}": 1 for number in range(62)}).encode()
    assert changed_paths(source, b"{}")[49:] == ["$.k49", "... 12 more"]
    assert changed_paths(source, b"{}", limit=62)[-1] == "$.k61"


def test_changed_paths_of_deep_records_do_not_recurse() -> None:
    assert changed_paths(b"[" * 5_000 + b"1" + b"]" * 5_000, b"[" * 5_000 + b"2" + b"]" * 5_000) == [
        "$" + "[0]" * 5_000
    ]


def test_changed_paths_of_an_invalid_record_raise() -> None:
    with pytest.raises(InvalidRecord):
        changed_paths(b"{}", b"{")
