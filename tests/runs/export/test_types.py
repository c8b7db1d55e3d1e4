"""Every type comes through without loss, or is named as text: CSV, JSON Lines, Parquet, Delta."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from export_runs import Export, copied, rows

TABLE = """
CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE t (
  id int PRIMARY KEY, small smallint, big bigint, yes boolean, price numeric(9,2), free numeric, shifted numeric(3,-2),
  r real, d double precision, s text, c char(4), v varchar(9), b bytea, day date, at time, stamp timestamp,
  stamptz timestamptz, span interval, list int[], words text[], doc jsonb, raw json, uid uuid, m mood, p positive,
  cash money, net inet, never numeric(4,1), eternity timestamptz, bits bit(3)
);
INSERT INTO t VALUES
 (1, -32768, 9223372036854775807, true, 1234567.89, 123456789012345678901234567890.12345, 12300, 1.1, 1e308, 'plain',
  'ab', 'v', '\\x00ff', '2024-02-29', '23:59:59.999999', '2024-02-29 12:00:00.123456', '2024-02-29 12:00:00+05:30',
  '1 year -2 days 03:04:05.6', '{1,NULL,3}', '{"a,b","c\\"d",NULL,""}', '{"a": 1.0, "b": "ü"}', '{"a":  1,
 "a": 2}', '00000000-0000-0000-0000-000000000001', 'sad', 7, '12.34', '10.0.0.0/8', 'NaN', 'infinity', B'101'),
 (2, 0, 0, false, 0, 'NaN', 0, 'NaN', 'Infinity', '', '', '', '', '0001-01-01', '00:00', '0001-01-01 00:00',
  '9999-12-31 23:59:59.999999+00', '0', '{}', '{}', 'null', '"x"', '00000000-0000-0000-0000-00000000000f',
  'it''s "ok"', 1, '-0.01', '::1', 1.5, '2024-01-01 00:00+00', B'000'),
 (3, 1, -1, NULL, -0.01, 'Infinity', -100, '-0', '-Infinity', E'a,"b"\\\\c\\r\\nd\\te', NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '0044-03-15 00:00+00 BC', NULL),
 (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '\\.', ' ', 'NULL', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
"""


@pytest.fixture(autouse=True)
def table(database: psycopg.Connection[Any]) -> None:
    database.execute(TABLE)


def test_csv_is_read_back_equal_by_copy_from(database: psycopg.Connection[Any], run: Export, tmp_path: Path) -> None:
    run(merge=True, to=str(tmp_path / "t.csv"))
    database.execute("CREATE TABLE back (LIKE t)")
    with database.cursor().copy("COPY back FROM STDIN (FORMAT csv, HEADER match)") as copy:
        copy.write((tmp_path / "t.csv").read_bytes())

    assert copied(database, "SELECT * FROM back ORDER BY id") == copied(database, "SELECT * FROM t ORDER BY id")
    assert len(rows(tmp_path)) == 0  # the parts are gone


def test_json_lines_hold_one_record_a_line_with_exact_numbers(run: Export, tmp_path: Path) -> None:
    run(format="jsonl", merge=True, to=str(tmp_path / "t.jsonl"))
    lines = (tmp_path / "t.jsonl").read_text().splitlines()
    first, second, third, fourth = (json.loads(line, parse_float=Decimal) for line in lines)

    assert first["big"] == 9223372036854775807
    assert first["free"] == Decimal("123456789012345678901234567890.12345")
    assert first["words"] == ["a,b", 'c"d', None, ""]
    assert (second["free"], second["d"], third["free"]) == ("NaN", "Infinity", "Infinity")
    assert third["s"] == 'a,"b"\\c\r\nd\te'
    assert (second["s"], third["c"], fourth["s"]) == ("", None, "\\.")


@pytest.mark.parametrize("form", ["parquet", "delta"])
def test_arrow_holds_what_it_has_a_type_for_and_names_the_rest(run: Export, tmp_path: Path, form: str) -> None:
    result = run(format=form, verify=True)
    if form == "parquet":
        found = pa.concat_tables(pq.read_table(part) for part in sorted((tmp_path / "out").glob("*.parquet")))
    else:
        found = DeltaTable(tmp_path / "out").to_pyarrow_table().sort_by("id")
    columns = {name: found.column(name).to_pylist() for name in found.column_names}
    fallbacks = {column["name"]: column["fallback"] for column in result.manifest["columns"]}

    assert columns["small"] == [-32768, 0, 1, None]
    assert columns["big"] == [9223372036854775807, 0, -1, None]
    assert columns["yes"] == [True, False, None, None]
    assert columns["price"] == [Decimal("1234567.89"), Decimal("0.00"), Decimal("-0.01"), None]
    assert columns["free"] == ["123456789012345678901234567890.12345", "NaN", "Infinity", None]
    assert columns["d"][0] == 1e308
    assert columns["d"][1:] == [float("inf"), float("-inf"), None]
    assert str(columns["r"]) == "[1.100000023841858, nan, -0.0, None]"
    assert columns["s"] == ["plain", "", 'a,"b"\\c\r\nd\te', "\\."]
    assert columns["b"] == [b"\x00\xff", b"", None, None]
    assert columns["day"] == [date(2024, 2, 29), date(1, 1, 1), None, None]
    assert list(map(str, columns["stamp"][:2])) == ["2024-02-29 12:00:00.123456", "0001-01-01 00:00:00"]
    assert columns["stamptz"][:2] == [
        datetime(2024, 2, 29, 6, 30, tzinfo=timezone.utc),
        datetime(9999, 12, 31, 23, 59, 59, 999999, timezone.utc),
    ]
    assert columns["p"] == [7, 1, None, None]
    assert columns["never"] == ["NaN", "1.5", None, None]
    assert columns["eternity"] == ["infinity", "2024-01-01 00:00:00+00", "0044-03-15 00:00:00+00 BC", None]
    assert columns["list"] == ["{1,NULL,3}", "{}", None, None]
    if form == "parquet":
        assert columns["at"] == [time(23, 59, 59, 999999), time(0, 0), None, None]
        assert found.schema.field("price").type == pa.decimal128(9, 2)
        assert found.schema.field("stamptz").type == pa.timestamp("us", "UTC")
    assert {name for name, reason in fallbacks.items() if reason} - {"at"} == {
        "free", "shifted", "span", "list", "words", "doc", "raw", "uid", "m", "cash", "net", "never", "eternity", "bits"
    }  # fmt: skip
    assert "NaN, infinity" in fallbacks["never"]
