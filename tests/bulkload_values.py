"""Records with every type and every awkward text, and what must stand in the table afterwards."""

from __future__ import annotations

import json

from bulkload_loads import query
from tallymark.io.postgres import Server

KINDS = {
    "s": "smallint", "i": "integer", "l": "bigint", "f": "double precision", "b": "boolean", "t": "text",
    "v": "varchar(3)", "n": "numeric", "m": "numeric(12,2)", "d": "date", "p": "timestamp", "z": "timestamptz",
    "j": "jsonb", "u": "uuid",
}  # fmt: skip
TEXTS = [
    "",
    " ",
    "\\N",
    "NULL",
    "null",
    '"',
    "'",
    ",",
    "\t",
    "\\",
    "\\.",
    "\n",
    "\r",
    "\r\n",
    "a\n\\.\nb",
    "😀 한글",
    "\x01\x7f",
    "%s",
]
FULL = {
    "k": 100, "s": -32768, "i": 2147483647, "l": -9223372036854775808, "f": 1e-7, "b": False, "t": "x", "v": "가나다",
    "n": "123456789012345678901234567890.000000000012345", "m": "-1234567890.12", "d": "0001-01-01",
    "p": "9999-12-31 23:59:59.999999", "z": "2026-03-08T02:30:00-05:00", "j": {"a": [1, '\\u0000 \\ " \n']},
    "u": "12345678-1234-1234-1234-1234567890ab",
}  # fmt: skip
# As PostgreSQL itself writes them, in UTC and ISO.
STORED = (
    "-32768", "2147483647", "-9223372036854775808", "1e-07", "false", "x", "가나다",
    "123456789012345678901234567890.000000000012345", "-1234567890.12", "0001-01-01", "9999-12-31 23:59:59.999999",
    "2026-03-08 07:30:00+00", '{"a": [1, "\\\\u0000 \\\\ \\" \\n"]}', "12345678-1234-1234-1234-1234567890ab",
)  # fmt: skip
COLUMNS = [{"name": "k", "type": "bigint"}, *({"name": name, "type": kind} for name, kind in KINDS.items())]
TABLE = {"pattern": "*", "table": "kinds", "key": ["k"], "columns": COLUMNS}
RECORDS = [
    *({"k": number, "t": text, "j": text} for number, text in enumerate(TEXTS)),
    FULL,
    {"k": 101, "d": "infinity", "p": "-infinity", "z": "infinity", "n": "0.00", "m": 0, "f": -0.0},
    {"k": 102},
]


def check_stored(server: Server, table: str) -> None:
    as_text = ", ".join(f"{name}::text" for name in KINDS)
    utc = f"SELECT {as_text} FROM (SELECT set_config('timezone', 'UTC', false)) zone, {table} WHERE k = "
    assert query(server, f"{utc}100") == [STORED]
    endless = query(server, f"SELECT d::text, p::text, z::text, n::text, m::text, f::text FROM {table} WHERE k = 101")
    assert endless == [("infinity", "-infinity", "infinity", "0.00", "0.00", "-0")]
    assert query(server, f"{utc}102") == [(None,) * len(KINDS)]
    assert [row for (row,) in query(server, f"SELECT t FROM {table} WHERE k < 100 ORDER BY k")] == TEXTS
    stored = query(server, f"SELECT j::text FROM {table} WHERE k < 100 ORDER BY k")
    assert [json.loads(row) for (row,) in stored] == TEXTS
