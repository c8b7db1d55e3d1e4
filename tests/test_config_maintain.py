"""The options of `maintain`: their defaults, and what is refused in which words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tallymark.config.loading import load
from tallymark.config.maintain import MaintainConfig
from tallymark.errors import ConfigError

CONF = Path(__file__).parents[1] / "conf" / "maintain.yaml"


def test_every_option_has_the_documented_default() -> None:
    expected = {"out": "o", "retention_days": 7, "dry_run": False, "log_level": "INFO"}

    assert load(MaintainConfig, None, {"out": "o"}).model_dump() == expected


def test_the_shipped_file_has_every_key_and_shows_the_defaults() -> None:
    assert list(MaintainConfig.model_fields) == list(yaml.safe_load(CONF.read_text(encoding="utf-8")))
    assert load(MaintainConfig, str(CONF), {}) == load(MaintainConfig, None, {"out": "build/demo/out"})


def test_less_than_a_week_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(ConfigError) as refused:
        load(MaintainConfig, None, {"out": "o", "retention_days": "6"})

    assert str(refused.value) == (
        "--retention-days: '6' cannot be used: readers of older versions need the files for 7 days at least. "
        "Expected: days for which files that no version needs any more are kept, at least 7."
    )
