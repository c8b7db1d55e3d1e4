"""The statements that let Athena, Glue and Trino read the published objects, without a crawler.

Partition projection: docs.aws.amazon.com/athena ("Partition projection") and trino.io/docs (Hive connector, "Athena
partition projection"). An hour is text with its zero: as a number it would be looked for under `hour=7`.
"""

from __future__ import annotations

_TEXT, _MAP = "text", "map"
_COLUMNS = {
    "record_id": _TEXT,
    "user_id": _TEXT,
    "method": _TEXT,  # a number where the dictionary has one: read as its digits
    "url": _TEXT,
    "inDate": _TEXT,
    "extra": _MAP,
    "not_text": _MAP,
}
_HOUR = {"hour": ("integer", "0,23", "digits", "2")}
_PARTITIONS = {
    "hive": {"dt": ("date", "2000-01-01,NOW+1DAYS", "format", "yyyy-MM-dd"), **_HOUR},
    "folders": {
        "year": ("integer", "2000,2099", "digits", "4"),
        "month": ("integer", "1,12", "digits", "2"),
        "day": ("integer", "1,31", "digits", "2"),
        **_HOUR,
    },
}
_TEMPLATES = {"hive": "dt=${dt}/hour=${hour}", "folders": "data/${year}_y/${month}_m/${day}_d/${hour}_h"}


def athena_ddl(location: str, layout: str) -> str:
    """Return CREATE EXTERNAL TABLE for Athena and Glue; ``location`` is the folder of the published objects."""
    types = {_TEXT: "string", _MAP: "map<string,string>"}
    location = location.replace("'", r"\'")
    partitions = _PARTITIONS[layout]
    projection = [
        line
        for name, (kind, values, detail, value) in partitions.items()
        for line in (
            f"  'projection.{name}.type' = '{kind}',",
            f"  'projection.{name}.range' = '{values}',",
            f"  'projection.{name}.{detail}' = '{value}',",
        )
    ]
    return "\n".join(
        [
            "CREATE EXTERNAL TABLE logs (",
            ",\n".join(f"  `{name.lower()}` {types[kind]}" for name, kind in _COLUMNS.items()),
            ")",
            f"PARTITIONED BY ({', '.join(f'`{name}` string' for name in partitions)})",
            "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'",
            "WITH SERDEPROPERTIES ('mapping.indate' = 'inDate')",
            f"LOCATION '{location}/'",
            "TBLPROPERTIES (",
            "  'projection.enabled' = 'true',",
            *projection,
            f"  'storage.location.template' = '{location}/{_TEMPLATES[layout]}/'",
            ");\n",
        ]
    )


def trino_ddl(location: str, layout: str) -> str:
    """Return CREATE TABLE for the Hive connector of Trino; ``location`` as in `athena_ddl`."""
    types = {_TEXT: "varchar", _MAP: "map(varchar, varchar)"}
    location = location.replace("'", "''")
    columns = [f"  {name.lower()} {types[kind]}" for name, kind in _COLUMNS.items()]
    for name, (kind, values, detail, value) in _PARTITIONS[layout].items():
        first, last = (f"'{end}'" for end in values.split(","))
        columns.append(
            f"  {name} varchar WITH (partition_projection_type = '{kind.upper()}', "
            f"partition_projection_range = ARRAY[{first}, {last}], "
            f"partition_projection_{detail} = {value if detail == 'digits' else repr(value)})"
        )
    names = ", ".join(f"'{name}'" for name in _PARTITIONS[layout])
    return "\n".join(
        [
            "CREATE TABLE logs (",
            ",\n".join(columns),
            ")",
            "WITH (",
            "  format = 'OPENX_JSON',",
            f"  external_location = '{location}/',",
            f"  partitioned_by = ARRAY[{names}],",
            "  partition_projection_enabled = true,",
            f"  partition_projection_location_template = '{location}/{_TEMPLATES[layout]}/'",
            ");\n",
        ]
    )
