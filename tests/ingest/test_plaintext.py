"""From hostile text to fields: T7, T9. Quick and exact parsing agree; nothing is ever evaluated."""

from __future__ import annotations

import ast
import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallymark.ingest import plaintext
from tallymark.ingest.plaintext import DEEPEST, LARGEST, Value, read_fields
from tallymark.ingest.tables import Rejected

ROOT = Path(__file__).parents[2]


def outcome(plain: bytes) -> dict[str, Value] | str:
    try:
        return read_fields(plain)
    except Rejected as rejected:
        return rejected.reason


@pytest.mark.parametrize(
    "plain",
    [
        b'{"url": "/a", "status": 200}',
        b"{'url': '/a', 'status': 200}",
        b"{'url': \"/a\", 'status': 200,}",
        b' {"url":"\\u002fa" , "status":200}\n',
        b"\n{'url': '\\x2fa', 'status': 200}\t",
    ],
)
def test_json_and_python_mean_the_same(plain: bytes) -> None:
    assert outcome(plain) == {"url": "/a", "status": b"200"}


@pytest.mark.parametrize(
    ("plain", "value"),
    [
        (b"{'a': None}", b"null"),
        (b"{'a': True}", b"true"),
        (b"{'a': (1, 'x')}", b'[1,"x"]'),
        (b"{'a': (1,)}", b"[1]"),
        (b"{'a': ( )}", b"[]"),
        (b"{'a': [{}, {'b': (None,)},]}", b'[{},{"b":[null]}]'),
        (b"{'a': 1e16}", b"1e16"),
        (b'{"a": 1.10}', b"1.10"),
        (b'{"a": -0}', b"-0"),
        (b"{'a': -0}", b"-0"),
        (b'{"a": 0}', b"0"),
        (b'{"a": 18446744073709551617}', b"18446744073709551617"),
        (b'{"a": 1e400}', b"1e400"),
        (b'{"a": "\\u00e9\\n"}', "é\n"),
        (b"{'a': 'it\\'s \"so\"'}", 'it\'s "so"'),
        (b"{'a': \"it's\"}", "it's"),
        (b"{'a': 'a\tb\x0c'}", "a\tb\x0c"),
        (b"{'a': '\\N{BULLET}\\u2028\\U0001f600\\a'}", "•\u2028😀\a"),
        ('{"a": "\u2028é😀"}'.encode(), "\u2028é😀"),
        (b"{'a': '" + b"x" * 1_000_000 + b"'}", "x" * 1_000_000),
        (b'{"a": ' + b"9" * 5_000 + b"}", b"9" * 5_000),
    ],
    ids=lambda case: repr(case)[:40],
)
def test_a_value_is_kept_exactly(plain: bytes, value: Value) -> None:
    assert outcome(plain) == {"a": value}


HOSTILE = {
    "a call": (b"__import__('os').system('touch X')", "unparsable"),
    "a call as a value": (b"{'a': __import__('os').system('touch X')}", "unparsable"),
    "a comprehension": (b"{'a': [open('X', 'w') for _ in (1,)]}", "unparsable"),
    "a format string": (b"{'a': f'{open(\"X\", \"w\")}'}", "unparsable"),
    "a YAML tag": (b"!!python/object/apply:os.system ['touch X']", "unparsable"),
    "a pickle": (b"cos\nsystem\n(S'touch X'\ntR.", "unparsable"),
    "arithmetic": (b"{'a': 9**9**9}", "unparsable"),
    "a product of texts": (b"{'a': 'x' * 10**9}", "unparsable"),
    "a power": (b"{'a': 2+3j}", "unparsable"),
    "bytes": (b"{'a': b'x'}", "unparsable"),
    "a set": (b"{'a', 'b'}", "unparsable"),
    "a name": (b"{'a': nan}", "unparsable"),
    "NaN": (b'{"a": NaN}', "unparsable"),
    "Infinity": (b'{"a": -Infinity}', "unparsable"),
    "another base": (b"{'a': 0x10}", "unparsable"),
    "a number as a name": (b"{1: 'a'}", "unparsable"),
    "two texts in a row": (b"{'a': 'b' 'c'}", "unparsable"),
    "a group that is no tuple": (b"{'a': (1)}", "unparsable"),
    "brackets of two kinds": (b"{'a': (1,]}", "unparsable"),
    "a comma alone": (b"{'a': [,]}", "unparsable"),
    "two commas": (b"{'a': [1,,]}", "unparsable"),
    "a bracket too many": (b"{'a': 1}}", "unparsable"),
    "an escape that Python does not know": (b"{'a': '\\d'}", "unparsable"),
    "an escape that ends too early": (b"{'a': '\\x1'}", "unparsable"),
    "a name of no letter": (b"{'a': '\\N{NO SUCH}'}", "unparsable"),
    "a line end in a text": (b"{'a': 'x\ny'}", "unparsable"),
    "a null byte": (b"{'a': 'x\0y'}", "unparsable"),
    "a comment": (b"{'a': 1} # so", "unparsable"),
    "a byte order mark": (b'\xef\xbb\xbf{"a": 1}', "unparsable"),
    "a mix of the two": (b"{'a': true}", "unparsable"),
    "a list that is cut": (b"[1", "unparsable"),
    "nothing": (b"", "unparsable"),
    "white space": (b" \n", "unparsable"),
    "a number of 5,000 digits": (b"9" * 5_000, "not_an_object"),
    "a list": (b"[{}]", "not_an_object"),
    "a text": (b"'a'", "not_an_object"),
    "null": (b"null", "not_an_object"),
    "100,000 open lists": (b"[" * 100_000, "too_deep"),
    "100,000 open lists of Python": (b"('x'," + b"(" * 100_000, "too_deep"),
    "100,000 objects": (b'{"a":' * 100_000, "too_deep"),
    "a name given twice": (b'{"a": 1, "a": 1}', "duplicate_key"),
    "a name given twice, the second escaped": (b'{"a": 1, "\\u0061": 2}', "duplicate_key"),
    "a name given twice, deeper": (b"{'a': {'b': 1, 'b': 2}}", "duplicate_key"),
    "a lone surrogate": (b'{"a": "\\ud800"}', "not_unicode"),
    "a lone surrogate of Python": (b"{'a': '\\udc00'}", "not_unicode"),
    "a lone surrogate as a name": (b'{"\\ud800": 1}', "not_unicode"),
    "invalid UTF-8": (b'{"a": "\xff"}', "not_utf8"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "not_utf8"),
    "50 MB": (b'{"a": "' + b"x" * (50 << 20) + b'"}', "too_large"),
    "a byte too many": (b'{"a": "' + b"x" * (LARGEST - 8) + b'"}', "too_large"),
}


@pytest.mark.parametrize(("plain", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_rejected_with_its_reason_and_does_nothing(
    plain: bytes, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T9."""
    monkeypatch.chdir(tmp_path)

    assert outcome(plain) == reason
    assert list(tmp_path.iterdir()) == []


def test_the_largest_text_is_read() -> None:
    assert outcome(b'{"a": "' + b"x" * (LARGEST - 9) + b'"}') == {"a": "x" * (LARGEST - 9)}


@pytest.mark.parametrize(("levels", "expected"), [(DEEPEST, None), (DEEPEST + 1, "too_deep")])
def test_values_may_be_as_deep_as_the_limit(levels: int, expected: str | None) -> None:
    lists = b"[" * (levels - 1) + b"1" + b"]" * (levels - 1)

    assert outcome(b'{"a":' + lists + b"}") == (expected or {"a": lists})


def test_no_text_of_a_log_makes_python_warn() -> None:
    """A warning would go to the log of an executor, and a newer Python might raise it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert outcome(b"{'a': '\\777'}") == outcome(b"{'a': '\\q'}") == "unparsable"


texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("'\"\\\n\r\t\0:,{}-0 "), max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
records = st.dictionaries(texts, values, max_size=4)


def meaning(fields: dict[str, Value]) -> dict[str, Any]:
    return {name: value if isinstance(value, str) else json.loads(value) for name, value in fields.items()}


@given(records, st.sampled_from([None, 1]), st.booleans())
def test_every_json_object_is_read_as_json_reads_it(record: dict[str, Any], indent: int | None, escape: bool) -> None:
    plain = json.dumps(record, indent=indent, ensure_ascii=escape).encode()

    assert meaning(read_fields(plain)) == json.loads(plain)


@given(records)
def test_every_python_literal_of_plain_values_is_read_as_python_reads_it(record: dict[str, Any]) -> None:
    plain = repr(record)

    assert meaning(read_fields(plain.encode())) == ast.literal_eval(plain)


tuples = st.recursive(st.integers(0, 9), lambda inner: st.lists(inner, max_size=3).map(tuple))


@given(tuples)
def test_a_tuple_is_read_as_a_list(value: object) -> None:
    (read,) = read_fields(repr({"a": value}).encode()).values()

    assert json.loads(read) == json.loads(json.dumps(value))


def exact(plain: bytes) -> dict[str, Value] | str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plaintext, "_quick", lambda *_: None)
        return outcome(plain)


pieces = ["{", "}", "[", "]", "(", ")", ",", ":", "'", '"', "\\", "a", "\\u0061", "'a'", '"a"', '"b":', "'b':"]
pieces += [" ", "0", "-0", "1", "1.0", "9" * 20, "-1", "1e2", "null", "None", "true", "True", "é", "\n"]


@given(records.map(json.dumps) | records.map(repr) | st.lists(st.sampled_from(pieces), max_size=9).map("".join))
def test_the_quick_way_is_the_exact_way(text: str) -> None:
    assert outcome(text.encode()) == exact(text.encode())


def test_a_word_inside_a_text_is_no_word() -> None:
    """The quick way translates words before it knows what is a text."""
    assert read_fields(b"{'a': 'x: True, y', 'b': None}") == {"a": "x: True, y", "b": b"null"}
    assert read_fields(b"{'a': 'x: None}', 'b': False}") == {"a": "x: None}", "b": b"false"}
    with pytest.raises(Rejected, match="unparsable"):
        read_fields(b"{'a': 'x: True, y', 'b': true}")


@given(st.lists(st.sampled_from(pieces), max_size=5).map(lambda parts: "{'k': " + "".join(parts) + "}"))
def test_what_only_python_reads_it_reads_the_same(text: str) -> None:
    """Whatever is taken is what Python says it is, except that Python takes the last of two names."""
    fields = outcome(text.encode())
    if isinstance(fields, str) or any(word in text for word in ("null", "true")):
        return

    assert meaning(fields) == json.loads(json.dumps(ast.literal_eval(text)))


@given(st.binary(max_size=40))
def test_any_bytes_give_fields_or_a_reason(plain: bytes) -> None:
    outcome(plain)


_EVALUATES = re.compile(
    r"(?<![\w.])(?:eval|exec|compile)\(|\b(?:pickle|marshal|shelve|dill)\.loads?\("
    r"|\byaml\.(?:unsafe_|full_)?load(?:_all)?\(|\bshell=True\b|\bos\.(?:system|popen)\("
)
_ALLOWED = (
    "# noqa: S301 - from our own driver",
    "# noqa: S301 - from our own child",
    "# noqa: S506 - derived from SafeLoader",
)


def test_nothing_in_the_tree_evaluates_what_it_reads() -> None:
    """T9. Tasks unpack what our own driver has packed; the YAML loader is the safe one."""
    code = [path for folder in ("lib", "jobs", "demo", "conf") for path in (ROOT / folder).rglob("*.py")]
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in code
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if _EVALUATES.search(line) and not line.endswith(_ALLOWED)
    ]

    assert len(code) > 50
    assert found == []
