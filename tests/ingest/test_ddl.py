"""The statements for Athena and Trino: T15.

Written by hand from docs.aws.amazon.com/athena (partition-projection-supported-types, openx-json-serde) and
trino.io/docs (connector/hive, "Athena partition projection").
"""

from __future__ import annotations

import re

import pytest

from tallymark.ingest.ddl import athena_ddl, trino_ddl
from tallymark.ingest.layout import folder_of
from tallymark.ingest.tables import FIELDS

ATHENA = """\
CREATE EXTERNAL TABLE logs (
  `record_id` string,
  `user_id` string,
  `method` string,
  `url` string,
  `indate` string,
  `extra` map<string,string>,
  `not_text` map<string,string>
)
PARTITIONED BY (`dt` string, `hour` string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('mapping.indate' = 'inDate')
LOCATION 's3://b/out/published/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.range' = '2000-01-01,NOW+1DAYS',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.hour.type' = 'integer',
  'projection.hour.range' = '0,23',
  'projection.hour.digits' = '2',
  'storage.location.template' = 's3://b/out/published/dt=${dt}/hour=${hour}/'
);
"""
TRINO = """\
CREATE TABLE logs (
  record_id varchar,
  user_id varchar,
  method varchar,
  url varchar,
  indate varchar,
  extra map(varchar, varchar),
  not_text map(varchar, varchar),
  year varchar WITH (partition_projection_type = 'INTEGER', partition_projection_range = ARRAY['2000', '2099'], \
partition_projection_digits = 4),
  month varchar WITH (partition_projection_type = 'INTEGER', partition_projection_range = ARRAY['1', '12'], \
partition_projection_digits = 2),
  day varchar WITH (partition_projection_type = 'INTEGER', partition_projection_range = ARRAY['1', '31'], \
partition_projection_digits = 2),
  hour varchar WITH (partition_projection_type = 'INTEGER', partition_projection_range = ARRAY['0', '23'], \
partition_projection_digits = 2)
)
WITH (
  format = 'OPENX_JSON',
  external_location = 's3://b/published/',
  partitioned_by = ARRAY['year', 'month', 'day', 'hour'],
  partition_projection_enabled = true,
  partition_projection_location_template = \
's3://b/published/data/${year}_y/${month}_m/${day}_d/${hour}_h/'
);
"""


def test_the_statement_for_athena() -> None:
    assert athena_ddl("s3://b/out/published", "hive") == ATHENA


def test_the_statement_for_trino() -> None:
    assert trino_ddl("s3://b/published", "folders") == TRINO


def test_a_date_is_projected_for_trino_with_its_format() -> None:
    expected = (
        "  dt varchar WITH (partition_projection_type = 'DATE', partition_projection_range = "
        "ARRAY['2000-01-01', 'NOW+1DAYS'], partition_projection_format = 'yyyy-MM-dd'),\n"
    )

    assert expected in trino_ddl("s3://b/published", "hive")


@pytest.mark.parametrize("ddl", [athena_ddl, trino_ddl])
@pytest.mark.parametrize("layout", ["hive", "folders"])
def test_the_template_leads_to_the_folder_of_an_hour(ddl: object, layout: str) -> None:
    assert callable(ddl)
    found = re.search(r"'s3://b/p/(.*\$.*)/'", ddl("s3://b/p", layout))
    assert found is not None
    parts = {"dt": "2026-03-07", "year": "2026", "month": "03", "day": "07", "hour": "04"}

    folder = re.sub(r"\$\{(\w+)\}", lambda name: parts[name[1]], found[1])
    assert folder == folder_of("dt=2026-03-07/hour=04", layout)


@pytest.mark.parametrize("statement", [ATHENA, TRINO])
def test_every_field_is_a_column(statement: str) -> None:
    assert [name for name in (*FIELDS, "extra", "not_text") if f"{name.lower()}" not in statement] == []


@pytest.mark.parametrize(("ddl", "quoted"), [(athena_ddl, r"s3://b/o\'s/"), (trino_ddl, "s3://b/o''s/")])
def test_an_apostrophe_in_the_place_ends_no_text(ddl: object, quoted: str) -> None:
    assert callable(ddl)
    assert f"'{quoted}'" in ddl("s3://b/o's", "hive")
