"""The paths that options speak, and what is done at them."""

from __future__ import annotations

import pickle

import orjson
import pytest

from tallymark.reconcile.json_path import Path, Wildcard, mask, parse_path, parse_paths, remove, sort_arrays
from tallymark.records.json_tree import leaves, parse, write

ANY = Wildcard.ANY


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("$", ()),
        ("$.a.b", ("a", "b")),
        (" $.a ", ("a",)),
        ("$.*", (ANY,)),
        ("$[*].*", (ANY, ANY)),
        ("$[0][12]", (0, 12)),
        ("$['a b']", ("a b",)),
        ('$["a,b"]', ("a,b",)),
        ("$[ 'a' ]", ("a",)),
        (r"$['it\'s']", ("it's",)),
        (r"""$['say "x"']""", ('say "x"',)),
        (r'$["\"\\\/\n\u00e9\ud83d\ude00"]', ('"\\/\né😀',)),
        ("$['']", ("",)),
        ("$._x1.é😀", ("_x1", "é😀")),
        ("$['*']", ("*",)),
        ("$['0']", ("0",)),
    ],
)
def test_a_path_is_parsed_into_steps(text: str, steps: tuple[object, ...]) -> None:
    assert parse_path(text).steps == steps


@pytest.mark.parametrize(
    ("text", "position", "what"),
    [
        ("", 0, "a path starts with '$'"),
        ("a.b", 0, "a path starts with '$'"),
        ("$a", 1, "expected '.', '['"),
        ("$.", 2, "expected a name"),
        ("$.1a", 2, "expected a name"),
        ("$.device-id", 8, "is written ['...']"),
        ("$..a", 2, "'..' (any depth) is unsupported"),
        ("$[?@.a]", 2, "filters are unsupported"),
        ("$[1:2]", 3, "slices are unsupported"),
        ("$[:2]", 2, "slices are unsupported"),
        ("$[0,1]", 3, "lists of selectors are unsupported"),
        ("$['a','b']", 5, "lists of selectors are unsupported"),
        ("$[-1]", 2, "negative indices are unsupported"),
        ("$[01]", 3, "expected a quoted name"),
        ("$[a]", 2, "expected a quoted name"),
        ("$['a]", 2, "expected a quoted name"),
        ("$['a'", 5, "']'"),
        ("$[", 2, "expected a quoted name"),
        (r"$['\x']", 2, "unknown escape"),
        ("$.a,$.b", 3, "expected '.', '['"),
    ],
)
def test_a_refused_path_names_the_text_and_the_position(text: str, position: int, what: str) -> None:
    with pytest.raises(ValueError, match="position") as caught:
        parse_path(text)
    assert f"path {text!r}, position {position}: " in str(caught.value)
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  ", []),
        ("$.a", ["$.a"]),
        ("$.a, $.b[*].c ,$['x,y'],$[\"]\"]", ["$.a", "$.b[*].c", "$['x,y']", '$["]"]']),
    ],
)
def test_a_list_splits_at_commas_outside_of_brackets(text: str, expected: list[str]) -> None:
    assert [str(path) for path in parse_paths(text)] == expected


@pytest.mark.parametrize("text", ["$.a,", ",$.a", "$.a $.b", "$.a;$.b", "$.a,,$.b"])
def test_a_broken_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="position"):
        parse_paths(text)


def test_the_path_of_every_leaf_reads_back_as_its_steps() -> None:
    names = [
        "a",
        "a b",
        "it's",
        'say "x"',
        "back\\slash",
        "line\nend",
        "\x01",
        "\x7f",
        "",
        "1",
        "né",
        "😀",
        "\ud83d",
        "$",
    ]
    for name in names:
        (text,) = leaves({name: [b"1"]})
        assert parse_path(text).steps == (name, 0)


def test_paths_compare_by_steps_and_survive_pickling() -> None:
    path = parse_path("$['a'][*]")
    assert path == parse_path("$.a.*")
    assert hash(path) == hash(parse_path("$.a.*"))
    assert pickle.loads(pickle.dumps(path)) == path
    assert pickle.loads(pickle.dumps(path)).steps[1] is ANY


def removed(record: bytes, paths: str) -> bytes:
    return write(remove(parse(record), parse_paths(paths)))


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ("", b'{"a":{"x":1,"y":2},"b":[{"x":1},{"x":2,"y":3},4],"c":5}'),
        ("$.c", b'{"a":{"x":1,"y":2},"b":[{"x":1},{"x":2,"y":3},4]}'),
        ("$.a.x, $.a.y", b'{"a":{},"b":[{"x":1},{"x":2,"y":3},4],"c":5}'),
        ("$.b[*].x", b'{"a":{"x":1,"y":2},"b":[{},{"y":3},4],"c":5}'),
        ("$.*.x", b'{"a":{"y":2},"b":[{"x":1},{"x":2,"y":3},4],"c":5}'),
        ("$.b[0], $.b[2]", b'{"a":{"x":1,"y":2},"b":[{"x":2,"y":3}],"c":5}'),
        ("$.b[2], $.b[0], $.b[0]", b'{"a":{"x":1,"y":2},"b":[{"x":2,"y":3}],"c":5}'),
        ("$.b[*]", b'{"a":{"x":1,"y":2},"b":[],"c":5}'),
        ("$.*", b"{}"),
        ("$.*, $.a", b"{}"),
        ("$.a, $.a.x", b'{"b":[{"x":1},{"x":2,"y":3},4],"c":5}'),
        ("$.z, $.c.x, $.c[0], $.a[0], $.b.x, $.b[9]", b'{"a":{"x":1,"y":2},"b":[{"x":1},{"x":2,"y":3},4],"c":5}'),
    ],
)
def test_remove_drops_what_matches_and_nothing_else(paths: str, expected: bytes) -> None:
    assert removed(b'{"a":{"x":1,"y":2},"b":[{"x":1},{"x":2,"y":3},4],"c":5}', paths) == expected


def test_remove_also_takes_plain_python_values() -> None:
    assert remove(orjson.loads(b'{"a":[1,{"b":2.5}],"c":null}'), parse_paths("$.a[1].b,$.c")) == {"a": [1, {}]}


def test_the_whole_record_cannot_be_removed() -> None:
    with pytest.raises(ValueError, match="whole record"):
        remove(parse(b"1"), parse_paths("$"))


def test_mask_puts_stars_in_place_of_values() -> None:
    masked = mask(
        parse(b'{"a":{"x":1},"b":[{"p":"s","q":2},{"p":[1]}],"c":3}'), parse_paths("$.a, $.b[*].p, $.z, $.c.d")
    )
    assert write(masked) == b'{"a":"***","b":[{"p":"***","q":2},{"p":"***"}],"c":3}'
    assert write(mask(parse(b"[1,2]"), parse_paths("$[*]"))) == b'["***","***"]'
    assert write(mask(parse(b"[1,2]"), parse_paths("$"))) == b'"***"'


def test_sort_arrays_compares_elements_by_canonical_text() -> None:
    node = parse(b'{"t":["b","a","b"],"n":[10,9,1.0],"o":[{"k":2},{"k":1}],"s":5}')
    assert write(sort_arrays(node, parse_paths("$.t,$.n,$.o,$.s,$.z"))) == (
        b'{"n":[1,10,9],"o":[{"k":1},{"k":2}],"s":5,"t":["a","b","b"]}'
    )


@pytest.mark.parametrize("paths", ["$, $[*]", "$[*], $"])
def test_inner_arrays_are_sorted_before_outer_ones(paths: str) -> None:
    assert write(sort_arrays(parse(b"[[2,9],[3,1]]"), parse_paths(paths))) == b"[[1,3],[2,9]]"


def test_deep_records_do_not_recurse() -> None:
    deep = b'{"a":1,"b":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    assert write(sort_arrays(remove(parse(deep), parse_paths("$.a")), parse_paths("$.b"))) == deep.replace(
        b'"a":1,', b""
    )


def test_nfc_normalises_the_names_of_a_path() -> None:
    assert parse_path("$.e\u0301[0].*").nfc() == Path(("\xe9", 0, ANY), "")
