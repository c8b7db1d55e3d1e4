"""Chunks are exact whatever the key is like: ties, NULLs, gaps, every type, no key at all, partitions, changes."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest

from export_runs import Export, copied, rows
from postgres_server import TcpProxy
from tallymark.errors import ConfigError
from tallymark.export.keys import KeyColumn
from tallymark.export.spans import KeysetCutter, Selection, Span
from tallymark.io.embedded_postgres import RunningPostgres
from tallymark.io.postgres import Server
from tallymark.runs.export.live import Live

Connection = psycopg.Connection[Any]


def same(connection: Connection, folder: Path, query: str = "SELECT * FROM t") -> bool:
    """Whether the parts hold exactly the rows of the query, NULL and empty text told apart."""
    parts = [part.read_bytes().split(b"\n")[1:-1] for part in sorted(folder.glob("part-*.csv"))]
    return Counter(line for part in parts for line in part) == Counter(copied(connection, query).split(b"\n")[:-1])


def test_rows_of_one_timestamp_are_cut_by_the_primary_key_behind_it(
    database: Connection, run: Export, tmp_path: Path
) -> None:
    database.execute("CREATE TABLE t AS SELECT i AS id, '2024-01-01'::timestamp AS at FROM generate_series(1, 10000) i")
    database.execute("ALTER TABLE t ADD PRIMARY KEY (id)")
    result = run(order_by=("at",))

    assert [chunk["rows"] for chunk in result.manifest["chunks"]] == [1_000] * 10 + [0]
    assert result.manifest["order"] == ["at", "id"]
    assert same(database, tmp_path / "out")


def test_ties_without_any_key_stay_together(database: Connection, run: Export, tmp_path: Path) -> None:
    database.execute("CREATE TABLE t AS SELECT i / 700 AS k, i AS v FROM generate_series(1, 5000) i")
    result = run(order_by=("k",))

    assert same(database, tmp_path / "out")
    assert [int(row[0]) for row in rows(tmp_path / "out")] == sorted(i // 700 for i in range(1, 5001))
    assert len(result.manifest["chunks"]) > 3


NULLABLE = """
CREATE TABLE t AS SELECT i AS id, CASE WHEN i % 10 <> 0 THEN i % 7 END AS a, CASE WHEN i % 3 <> 0 THEN i % 50 END AS b
FROM generate_series(1, 3000) i;
ALTER TABLE t ADD PRIMARY KEY (id); CREATE INDEX ON t (a, b, id)
"""


@pytest.mark.parametrize(("order", "size"), [(("a",), 333), (("b", "a"), 3), (("a", "b"), 7), (("id", "a"), 333)])
def test_rows_with_null_in_the_key_are_all_there_and_in_order(
    database: Connection, run: Export, tmp_path: Path, order: tuple[str, ...], size: int
) -> None:
    database.execute(NULLABLE)
    where = "id <= 100" if size < 10 else "true"
    run(order_by=order, batch_size=size, where=where, merge=True, to=str(tmp_path / "t.csv"))
    keys = ", ".join([*order, "id"])
    content = (tmp_path / "t.csv").read_bytes().partition(b"\n")[2]

    assert content == copied(database, f"SELECT * FROM t WHERE {where} ORDER BY {keys}")


def test_a_chunk_may_end_among_the_last_rows_whose_key_is_null(
    database: Connection, run: Export, tmp_path: Path
) -> None:
    database.execute("CREATE TABLE t AS SELECT CASE WHEN i % 5 > 0 THEN i END AS k FROM generate_series(1, 2500) i")

    assert run(order_by=("k",), batch_size=600, verify=True).rows == 2_500
    assert same(database, tmp_path / "out")


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_two_runs_make_equal_bytes_whatever_the_network_brings_at_once(
    database: Connection, run: Export, fresh_database: Server, postgres_proxy: TcpProxy, tmp_path: Path, form: str
) -> None:
    """Rows of a few bytes, of more than a block, and in between."""
    database.execute(
        "CREATE TABLE t AS SELECT i AS id, repeat(chr(97 + i % 26), CASE i % 500 WHEN 7 THEN 300000 ELSE i % 900 END) "
        "AS v FROM generate_series(1, 9000) i; ALTER TABLE t ADD PRIMARY KEY (id)"
    )
    postgres_proxy.delay = 0.001
    slow = replace(fresh_database, port=postgres_proxy.port)
    for place, server in (("one", fresh_database), ("two", slow)):
        run(server=server, to=str(tmp_path / place), format=form, batch_size=9_000)

    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def digests(folder: Path) -> list[str]:
    return [sha256(part.read_bytes()).hexdigest() for part in sorted(folder.glob("part-*"))]


def test_gaps_in_the_key_cost_no_statements(database: Connection, run: Export, tmp_path: Path) -> None:
    database.execute(
        "CREATE TABLE t AS SELECT (i + CASE WHEN i > 1000 THEN 1000000000000 ELSE 0 END)::bigint AS id "
        "FROM generate_series(1, 5500) i; ALTER TABLE t ADD PRIMARY KEY (id)"
    )
    result = run()

    assert len(result.manifest["chunks"]) == 6
    assert same(database, tmp_path / "out")


@pytest.mark.parametrize(
    "key",
    [
        "'2024-01-01'::timestamptz + i * interval '1 microsecond'",
        "(i::numeric / 3)",
        "(CASE WHEN i % 2 = 0 THEN 'é' ELSE 'E''\\\"' END || i)",
        "(CASE WHEN i < 2 THEN 9223372036854775807 ELSE -9223372036854775808 + i END)",
        "(chr(33 + i % 90) || i)::char(9)",
    ],
)
def test_a_key_of_any_type_keeps_its_precision(database: Connection, run: Export, tmp_path: Path, key: str) -> None:
    database.execute(
        f"CREATE TABLE t AS SELECT {key} AS k FROM generate_series(1, 300) i; ALTER TABLE t ADD UNIQUE (k)"
    )
    database.execute("ALTER TABLE t ALTER k SET NOT NULL")
    result = run(batch_size=50)

    assert result.manifest["cut_by"] == "keyset"
    assert [chunk["rows"] for chunk in result.manifest["chunks"]] == [50] * 6 + [0]
    assert same(database, tmp_path / "out")


def test_each_chunk_is_found_by_the_index(database: Connection) -> None:
    database.execute(NULLABLE + "; ANALYZE t")
    key = tuple(KeyColumn(name, ("pg_catalog", "int4"), name != "id") for name in ("a", "b", "id"))
    cutter = KeysetCutter(psycopg.sql.Identifier("t"), key, Selection(("id", "a", "b"), None))
    database.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    span = Span(1, 100, ("2", "5", "40"), ("4", None, "90"))
    plan = "\n".join(row[0] for row in database.execute(psycopg.sql.SQL("EXPLAIN ") + cutter.query(span)).fetchall())

    assert "Seq Scan" not in plan
    # The few rows of one value may be sorted; the ranges are not.
    assert all(int(rows) < 10 for rows in re.findall(r"Sort  \(cost=.* rows=(\d+) ", plan))
    assert plan.count("Index Cond") == plan.count("Scan using")
    assert "OFFSET" not in cutter.query(span).as_string(None)


def test_a_table_without_a_key_is_cut_by_its_pages(database: Connection, run: Export, tmp_path: Path) -> None:
    database.execute("CREATE TABLE t AS SELECT i AS v, repeat('x', 100) AS w FROM generate_series(1, 20000) i")
    database.execute("DELETE FROM t WHERE v % 3 = 0; UPDATE t SET v = -v WHERE v % 7 = 0")
    result = run()

    assert result.manifest["cut_by"] == "ctid"
    assert len(result.manifest["chunks"]) > 5
    assert same(database, tmp_path / "out")


def test_a_table_with_a_key_is_cut_by_its_pages_where_that_is_asked_for(
    database: Connection, run: Export, tmp_path: Path
) -> None:
    """The file is that of one COPY of the table."""
    database.execute("CREATE TABLE t AS SELECT i * 7919 % 10007 AS id FROM generate_series(1, 9000) i")
    database.execute("ALTER TABLE t ADD PRIMARY KEY (id)")
    result = run(order_by=("ctid",), merge=True, to=str(tmp_path / "t.csv"))

    assert (result.manifest["cut_by"], result.manifest["order"]) == ("ctid", [])
    assert len(result.manifest["chunks"]) > 5
    assert (tmp_path / "t.csv").read_bytes() == b"id\n" + copied(database, "SELECT * FROM t")


@pytest.mark.parametrize("kind", ["TABLE", "MATERIALIZED VIEW"])
def test_nobody_rewrites_what_is_being_exported(database: Connection, run: Export, tmp_path: Path, kind: str) -> None:
    """A materialised view that is refreshed, or a table that is clustered, would be another file, and empty."""
    database.execute(f"CREATE {kind} t AS SELECT i AS id FROM generate_series(1, 9000) i; SET lock_timeout = 50")
    rewrite = "VACUUM FULL t" if kind == "TABLE" else "REFRESH MATERIALIZED VIEW t"
    seen: list[str] = []

    @contextmanager
    def look(live: Live) -> Iterator[None]:
        with pytest.raises(psycopg.errors.LockNotAvailable):
            database.execute(rewrite)
        seen.append(rewrite)
        yield

    assert run(show_progress=look).rows == 9_000
    assert seen
    assert same(database, tmp_path / "out")
    database.execute(rewrite)


def test_leaves_of_a_partitioned_table_are_each_cut_by_their_own_pages(
    database: Connection, run: Export, tmp_path: Path
) -> None:
    database.execute(
        "CREATE TABLE t (k int, v int) PARTITION BY RANGE (k); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO "
        "(2000); CREATE TABLE t2 (v int, k int); ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (2000) TO (9000); "
        "CREATE TABLE t3 PARTITION OF t DEFAULT; INSERT INTO t SELECT i, -i FROM generate_series(1, 5000) i"
    )
    assert run().manifest["cut_by"] == "ctid"
    assert same(database, tmp_path / "out")
    assert run(chunk_mode=False, overwrite=True).manifest["cut_by"] == "nothing"
    assert same(database, tmp_path / "out")


def test_children_of_a_table_are_counted_once(database: Connection, run: Export, tmp_path: Path) -> None:
    """The key of the parent says nothing about its children, so it is not used."""
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE child () INHERITS (t); "
        "INSERT INTO t SELECT generate_series(1, 1500); INSERT INTO child SELECT generate_series(1, 1500)"
    )
    assert run().rows == 3_000
    assert same(database, tmp_path / "out")


@pytest.mark.parametrize(
    ("made", "given", "words"),
    [
        ("CREATE VIEW t AS SELECT 1 AS a", {}, "it is a view"),
        ("CREATE TABLE t (a int)", {"consistency": "per-chunk"}, "has no key.* takes --consistency snapshot"),
        ("CREATE TABLE t (a int PRIMARY KEY)", {"order_by": ("ctid", "a")}, "no column 'ctid'"),
        ("CREATE TABLE t (a int PRIMARY KEY)", {"order_by": ("ctid",), "consistency": "per-chunk"}, "t. cannot be cut"),
        ("CREATE TABLE t (a int)", {"columns": ("b",)}, "no column 'b'"),
        ("CREATE TABLE t (a int)", {"order_by": ("aa",)}, "Did you mean a"),
        ("CREATE TABLE u (a int)", {}, 'no table "t"'),
        ("CREATE TABLE t (a int)", {"table": "t; DROP TABLE t"}, "no name of a table"),
    ],
)
def test_what_cannot_be_exact_is_refused(
    database: Connection, run: Export, tmp_path: Path, made: str, given: dict[str, Any], words: str
) -> None:
    database.execute(made)
    with pytest.raises(ConfigError, match=words):
        run(**given)
    assert not (tmp_path / "out").exists()


def test_a_view_is_exported_by_a_named_order(database: Connection, run: Export, tmp_path: Path) -> None:
    database.execute("CREATE VIEW t AS SELECT i AS a FROM generate_series(1, 2500) i")
    assert run(order_by=("a",)).rows == 2_500
    assert same(database, tmp_path / "out")


FOREIGN = """
CREATE EXTENSION IF NOT EXISTS file_fdw;
DROP FOREIGN TABLE IF EXISTS far; DROP SERVER IF EXISTS files; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE far (a int, b text) SERVER files OPTIONS (program 'seq 1 2500 | sed s/$/,x/', format 'csv')
"""
ALIKE = """
DROP TABLE IF EXISTS alike; DROP COLLATION IF EXISTS any_case;
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE alike AS SELECT (CASE i % 2 WHEN 0 THEN 'Ab' ELSE 'aB' END || i / 10) COLLATE any_case AS k, i AS v
FROM generate_series(1, 2500) i
"""


@pytest.mark.parametrize(("made", "table", "key"), [(FOREIGN, "far", "a"), (ALIKE, "alike", "k")])
def test_a_foreign_table_and_texts_that_count_as_equal_are_cut_by_a_named_key(
    old_postgres: RunningPostgres, run: Export, tmp_path: Path, made: str, table: str, key: str
) -> None:
    with old_postgres.server.connect("tests") as connection:
        connection.execute(made)
        result = run(server=old_postgres.server, table=table, order_by=(key,), verify=True)

        assert len(result.manifest["chunks"]) >= 3
        assert same(connection, tmp_path / "out", f"SELECT * FROM {table}")


@pytest.mark.parametrize(
    "where",
    [
        "1=1; DROP TABLE t",
        "1=1) --",
        "1=1) UNION SELECT 1 FROM pg_shadow WHERE (true",
        "id IN (WITH x AS (DELETE FROM t RETURNING id) SELECT id FROM x)",
        "1=1) THEN true END FROM pg_shadow WHERE (true",
        "nowhere = 1",
        "/*",
    ],
)
def test_a_condition_is_one_expression_or_refused(database: Connection, run: Export, where: str) -> None:
    database.execute("CREATE TABLE t AS SELECT 1 AS id")
    with pytest.raises(ConfigError, match="--where"):
        run(where=where, order_by=("id",))

    assert database.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_a_condition_that_writes_or_sleeps_fails(database: Connection, run: Export) -> None:
    database.execute("CREATE TABLE t AS SELECT 1 AS id")
    database.execute("CREATE FUNCTION wipe() RETURNS bool LANGUAGE sql AS 'DELETE FROM t; SELECT true'")
    with pytest.raises(Exception, match="read-only"):
        run(where="wipe()")
    with pytest.raises(Exception, match="57014"):
        run(where="pg_sleep(60) IS NOT NULL", statement_timeout=1)

    assert database.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_what_reads_the_whole_table_may_take_longer_than_a_chunk(database: Connection, run: Export) -> None:
    """The look at the values for Parquet, the one COPY, and the count at the end."""
    database.execute("CREATE TABLE t AS SELECT i AS id, i / 2.0 AS n FROM generate_series(1, 900) i")
    database.execute("ALTER TABLE t ALTER n TYPE numeric(9, 1), ADD PRIMARY KEY (id)")
    result = run(where="pg_sleep(0.0013) IS NOT NULL", statement_timeout=1, format="parquet", chunk_mode=False)

    assert result.rows == 900


def test_a_comment_in_the_condition_ends_with_its_line(database: Connection, run: Export, tmp_path: Path) -> None:
    database.execute("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 20) i")
    assert run(where="id > 5 -- the first ones are old").rows == 15


def test_a_strange_name_is_exported_as_itself(database: Connection, run: Export, tmp_path: Path) -> None:
    database.execute('CREATE TABLE "we""ird; DROP TABLE t--" ("Größe ""x""" int PRIMARY KEY, "#" text)')
    database.execute("""INSERT INTO "we""ird; DROP TABLE t--" VALUES (1, 'a'), (2, NULL)""")
    result = run(table='"we""ird; DROP TABLE t--"', format="jsonl")

    assert result.rows == 2
    part = (tmp_path / "out/part-00000001.jsonl").read_text()
    assert next(json.loads(line) for line in part.splitlines()) == {'Größe "x"': 1, "#": "a"}


def test_rows_written_meanwhile_do_not_show(
    database: Connection, fresh_database: Server, run: Export, tmp_path: Path
) -> None:
    """Inserts, updates of the key, deletes, and a commit that was open when the export began."""
    database.execute("CREATE TABLE t AS SELECT i AS id, 0 AS v FROM generate_series(1, 30000) i")
    database.execute("ALTER TABLE t ADD PRIMARY KEY (id)")
    before = copied(database, "SELECT * FROM t ORDER BY id")
    stop = threading.Event()

    def write() -> None:
        with fresh_database.connect("writer") as connection:
            number = 0
            while not stop.is_set():
                number += 1
                connection.execute("UPDATE t SET id = id + 100000, v = 1 WHERE id = %s", (number * 37 % 30000,))
                connection.execute("INSERT INTO t VALUES (%s, 2)", (-number,))
                connection.execute("DELETE FROM t WHERE id = %s", (30000 - number,))

    with fresh_database.connect("open") as late, late.transaction():
        late.execute("INSERT INTO t VALUES (40000, 9)")
        writer = threading.Thread(target=write)
        with fresh_database.connect("look") as look:
            # The snapshot is taken before the first write: the writer starts when the keeper is there.
            def begin() -> None:
                while not look.execute("SELECT 1 FROM pg_ls_dir('pg_snapshots')").fetchone():
                    pass
                writer.start()

            starter = threading.Thread(target=begin)
            starter.start()
            result = run(merge=True, to=str(tmp_path / "t.csv"), verify=True)
            starter.join()
            stop.set()
            writer.join()

    assert (tmp_path / "t.csv").read_bytes().partition(b"\n")[2] == before
    assert result.manifest["rows_in_snapshot"] == 30_000
    assert result.manifest["consistency"]["achieved"] == "snapshot"
    assert database.execute("SELECT count(*) FROM t WHERE v > 0").fetchone() != (0,)
