"""The options of `bulkload`: defaults, the shipped file, and lists that must agree with the domain."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
import yaml

from tallymark.bulkload.columns import column_type
from tallymark.bulkload.matrix import METHODS, OWN_METHODS, SCENARIOS
from tallymark.config.bulkload import EXACTLY_ONCE, BulkloadConfig, Method
from tallymark.config.loading import load
from tallymark.config.postgres import PostgresConfig
from tallymark.errors import ConfigError
from tallymark.runs.bulkload.run import cells_of
from tallymark.runs.bulkload.targets import targets_of

CONF = Path(__file__).parents[1] / "conf" / "bulkload.yaml"
COLUMN = {"name": "id", "type": "bigint"}
TABLE = {"pattern": "*", "table": "t", "columns": [COLUMN]}


def loaded(**options: object) -> BulkloadConfig:
    return load(BulkloadConfig, None, options)


def test_every_option_has_the_documented_default() -> None:
    server = dict.fromkeys(PostgresConfig.model_fields)
    places = {"input": "build/demo-bulkload/input", "output_dir": "migration_outputs", "tables": ()}
    reading = {"exclude": ("_SUCCESS", "*.crc", ".DS_Store"), "nul": "reject", "time_zone": "UTC"}
    doing = {"load": False, "replay": False, "recommend": False, "scenario": None, "repeat": 3, "roofline": True}
    matrix = {"method": METHODS, "batch_size": (100, 500, 1000, 2000, 5000), "connections": (1, 2, 5, 10), "seed": 0}
    others: dict[str, object] = {
        "provider": None,
        "instance_type": None,
        "prices": {},
        "emulate": None,
        "max_rejected": Decimal(0),
    }
    run = {"quality": "off", "rules": None, "run_id": None, "notify": None, "log_level": "INFO"}

    assert {**server, **places, **reading, **doing, **matrix, **others, **run} == loaded().model_dump()


def test_the_shipped_file_has_every_key_and_shows_the_defaults() -> None:
    config = load(BulkloadConfig, str(CONF), {})

    assert list(BulkloadConfig.model_fields) == list(yaml.safe_load(CONF.read_text(encoding="utf-8")))
    assert loaded(tables=config.tables, time_zone="Asia/Seoul") == config
    assert [target.label for target in targets_of(config)] == [
        "bid_pblanclistinfo_cnstwk",
        "bid_pblanclistinfo_servc",
        "bid_pblanclistinfo_thng",
    ]


def test_the_lists_of_the_config_are_those_of_the_domain() -> None:
    assert get_args(Method) == METHODS
    assert EXACTLY_ONCE == OWN_METHODS
    for scenario, (batch_size, connections) in SCENARIOS.items():
        (cell,) = cells_of(loaded(scenario=scenario, method="copy_text"))
        assert (cell.batch_size, cell.connections) == (batch_size, connections)


def test_a_file_goes_to_the_first_table_whose_pattern_it_meets() -> None:
    config = load(BulkloadConfig, str(CONF), {})

    found = [config.table_of(f"2026/BidPublicInfoService_BID_{kind}_1.json.gz") for kind in ("SERVC", "THNG", "X")]

    assert [table and table.table for table in found] == ["bid_pblanclistinfo_servc", "bid_pblanclistinfo_thng", None]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"connections": "51"}, "less than or equal to 50"),
        ({"method": "copy"}, "Did you mean copy_text"),
        ({"time_zone": "Seoul"}, "no such time zone"),
        ({"prices": {"gcp": 0}}, "greater than 0"),
        ({"password_from": "S3cr3t"}, "names the place of the password"),
        ({"tables": [TABLE | {"columns": [COLUMN, COLUMN]}]}, "the column id of t is given twice"),
        ({"tables": [TABLE | {"key": ["no"]}]}, "the key of t names no, which is none of its columns"),
    ],
)
def test_a_wrong_value_is_refused_with_its_cause(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        loaded(**options)


@pytest.mark.parametrize("kind", ["integre", "numeric(5,6)", "varchar(0)", "text(3)", "bigint; DROP TABLE t"])
def test_a_type_that_cannot_be_loaded_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"text|varchar|numeric"):
        column_type(kind)
    with pytest.raises(ConfigError, match="tables: t:"):
        targets_of(loaded(tables=[TABLE | {"columns": [{"name": "id", "type": kind}]}]))
