"""The published lines of many rows at once: the same bytes as `compact` and `plain` write one by one.

A text that comes often (user, method, url) is written once for each of its values, and what is as plain as it mostly is
(an id without escapes, a time of the usual form) by columns. All other rows go one by one.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tallymark.ingest.compact import TIME, Dictionary, compact, plain, short_user

_ESCAPED = r'["\\\x00-\x1f]'
_TIME = f"^{TIME.pattern}$"
_DIGITS = ((2, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19), (20, 26))


def lines_of(rows: pa.RecordBatch, dictionary: Dictionary | None) -> pa.Buffer:
    """Return the JSON lines of rows of `logs`, each with its end.

    Args:
        dictionary: of the compact form; None: the plain one.
    """
    ids, time = rows.column("record_id"), rows.column("inDate")
    is_usual = pc.and_(
        pc.and_(pc.is_null(rows.column("extra")), pc.is_null(rows.column("not_text"))),
        pc.and_(pc.invert(pc.match_substring_regex(ids, _ESCAPED)), pc.match_substring_regex(time, _TIME)),
    )
    if dictionary is None:
        texts = [_each(rows.column(name), orjson.dumps) for name in ("user_id", "method", "url")]
    else:
        time = pc.binary_join_element_wise(*(pc.utf8_slice_codeunits(time, *at) for at in _DIGITS), "")
        texts = [
            _each(rows.column("user_id"), lambda user: orjson.dumps(short_user(user))),
            _each(rows.column("method"), lambda method: orjson.dumps(dictionary.methods.get(method, method))),
            _each(rows.column("url"), lambda url: orjson.dumps(dictionary.urls.get(url, url))),
        ]
    user, method, url = texts
    parts = ['{"record_id":"', ids, '","user_id":', user, ',"method":', method, ',"url":', url, ',"inDate":"', time]
    lines = pc.binary_join_element_wise(*parts, '"}\n', "")
    is_usual = pc.and_(is_usual, pc.is_valid(lines))  # null where a field is
    others = rows.filter(pc.invert(is_usual)).to_pylist()
    one_by_one = [(plain(row) if dictionary is None else compact(row, dictionary)) + b"\n" for row in others]
    lines = pc.replace_with_mask(lines.cast(pa.binary()), pc.invert(is_usual), pa.array(one_by_one, pa.binary()))
    return pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), b"")[0].as_buffer()


def _each(column: pa.Array, written: Callable[[str], bytes]) -> pa.Array:
    """Return the JSON of each text of a column, written once for equal ones."""
    coded = column.dictionary_encode()
    texts = [written(text).decode() for text in coded.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(coded.indices)
