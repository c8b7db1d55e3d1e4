"""What PostgreSQL's catalogue tells of a table: columns, unique keys, indexes, the relations that hold its rows.

Reads only the catalogue. What follows from it for a job is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from tallymark.errors import ConfigError
from tallymark.io.postgres import TableName


@dataclass(frozen=True, slots=True)
class Column:
    """A column; ``type_name`` is schema and name of its type (for a domain: of the type below), ``declared`` as SQL
    writes it, ``kind`` the letter of pg_type.typtype, ``precision`` and ``scale`` of a numeric that has them.
    """

    name: str
    declared: str
    type_name: tuple[str, str]
    kind: str
    category: str
    nullable: bool
    precision: int | None
    scale: int | None


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation with rows of its own: schema, name, the file that holds it, its size in pages."""

    schema: str
    name: str
    kind: str
    filenode: int
    pages: int

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it is now. ``unique_keys`` have the primary key first, then those without NULLs, the shortest first;
    ``indexes`` are the leading columns of every usable index. ``estimated_rows`` is None where nobody counted.
    """

    schema: str
    name: str
    oid: int
    kind: str
    columns: tuple[Column, ...]
    unique_keys: tuple[tuple[str, ...], ...]
    indexes: tuple[tuple[str, ...], ...]
    relations: tuple[Relation, ...]
    estimated_rows: int | None

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    def __str__(self) -> str:
        return str(TableName(self.schema, self.name))


_TABLE = """
SELECT c.oid, n.nspname, c.relname, c.relkind::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass(%s)
"""
# A domain is read as the type that it is made of, which may be a domain again.
_COLUMNS = """
WITH RECURSIVE types AS (
  SELECT a.attnum, a.atttypid AS oid, a.atttypmod AS mod FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT b.attnum, t.typbasetype, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE b.mod END
  FROM types b JOIN pg_catalog.pg_type t ON t.oid = b.oid WHERE t.typtype = 'd'
)
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), n.nspname, t.typname, t.typtype::text,
  t.typcategory::text, NOT a.attnotnull, b.mod
FROM pg_catalog.pg_attribute a
JOIN types b ON b.attnum = a.attnum JOIN pg_catalog.pg_type t ON t.oid = b.oid AND t.typtype <> 'd'
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE a.attrelid = %s ORDER BY a.attnum
"""
_INDEXES = """
SELECT i.indisprimary, i.indisunique AND i.indimmediate AS enforced, array_agg(a.attname::text ORDER BY k.place)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = %s AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND m.amname = 'btree'
  AND k.place <= i.indnkeyatts
GROUP BY i.indexrelid, 1, 2 ORDER BY i.indisprimary DESC, count(*), i.indexrelid
"""
_RELATIONS = """
WITH RECURSIVE family AS (
  SELECT %s::oid AS oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN family f ON i.inhparent = f.oid
)
SELECT n.nspname, c.relname, c.relkind::text, coalesce(pg_catalog.pg_relation_filenode(c.oid), 0),
  CASE WHEN c.relkind IN ('r', 'm') THEN
    pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8 ELSE 0 END,
  c.reltuples
FROM family f JOIN pg_catalog.pg_class c ON c.oid = f.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind <> 'p' ORDER BY c.oid
"""


def read_table(connection: psycopg.Connection[Any], name: TableName) -> Table:
    """Describes a table, as the transaction sees it.

    Raises:
        ConfigError: there is none of this name.
    """
    found = connection.execute(_TABLE, (str(name),)).fetchone()
    if found is None:
        raise ConfigError(f"there is no table {name} in this database: check the name, its quotes and the schema")
    oid, schema, relation, kind = found
    rows = connection.execute(_RELATIONS, (oid,)).fetchall()
    counted = [row[5] for row in rows]
    columns = tuple(_column(*row) for row in connection.execute(_COLUMNS, (oid, oid)).fetchall())
    filled = {column.name for column in columns if not column.nullable}
    indexes = connection.execute(_INDEXES, (oid,)).fetchall()
    # A parent knows nothing of the keys of tables that inherit from it; a partitioned table does.
    is_alone = kind == "p" or len(rows) == 1
    return Table(
        schema=schema,
        name=relation,
        oid=oid,
        kind=kind,
        columns=columns,
        unique_keys=tuple(
            tuple(names) for _, enforced, names in indexes if is_alone and enforced and filled.issuperset(names)
        ),
        indexes=tuple(tuple(names) for _, _, names in indexes),
        relations=tuple(Relation(*row[:5]) for row in rows),
        estimated_rows=int(sum(counted)) if counted and all(count >= 0 for count in counted) else None,
    )


def _column(
    name: str, declared: str, schema: str, type_name: str, kind: str, category: str, nullable: bool, modifier: int
) -> Column:
    is_bounded = type_name == "numeric" and modifier >= 4
    packed = modifier - 4
    # The scale has 11 bits with a sign since PostgreSQL 15.
    scale = ((packed & 0x7FF) ^ 1024) - 1024 if is_bounded else None
    precision = (packed >> 16) & 0xFFFF if is_bounded else None
    return Column(name, declared, (schema, type_name), kind, category, nullable, precision, scale)
