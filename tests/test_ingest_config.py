"""The options of `ingest`: their defaults, and what is refused in which words."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from tallymark.command_line import parse
from tallymark.config.ingest import IngestConfig
from tallymark.config.loading import load
from tallymark.errors import ConfigError

CONF = Path(__file__).parents[1] / "conf" / "ingest.yaml"
PLACES = {"input": "i", "out": "o"}


def loaded(**options: object) -> IngestConfig:
    return load(IngestConfig, None, {**PLACES, **options})


def from_yaml(text: str, **overrides: object) -> IngestConfig:
    return load(IngestConfig, "run.yaml", {**PLACES, **overrides}, lambda _: text)


def message(text: str = "", **overrides: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        from_yaml(text, **overrides)
    return str(caught.value)


def test_every_option_has_the_documented_default() -> None:
    """Written by hand: a changed default is a changed promise. A number of a method is for ever."""
    methods = {"GET": 1, "POST": 2, "PUT": 3, "PATCH": 4, "DELETE": 5, "HEAD": 6, "OPTIONS": 7}
    source = {"api": None, "input": "i", "replay": False, "pagination": "none", "calls": 1, "page_param": "page"}
    window = {"cursor_param": "cursor", "header_from": None, "since": None, "until": None, "overlap": 60}
    form = {"out": "o", "layout": "hive", "publish": "compact", "records_per_object": 250_000, "methods": methods}
    record = {"urls": {"/api/products/product/": 1}, "keys_from": "env:TALLYMARK_FERNET_KEYS", "optional": ()}
    run = {
        "budget": Decimal(5),
        "quality": "off",
        "rules": None,
        "run_id": None,
        "every": None,
        "lock_seconds": 120,
        "sizes": False,
        "notify": None,
        "log_level": "INFO",
    }

    assert loaded().model_dump() == {**source, **window, **form, **record, **run}


def test_the_shipped_file_has_every_key_and_nothing_else() -> None:
    assert list(IngestConfig.model_fields) == list(yaml.safe_load(CONF.read_text()))


def test_the_shipped_file_shows_the_defaults_and_runs_against_the_demo() -> None:
    shown = {"api": "http://127.0.0.1:8765/logs/next?from={from}&to={to}", "pagination": "next"}
    shown |= {"out": "build/demo-ingest/out", "keys_from": "file:build/demo-ingest/keys"}

    assert load(IngestConfig, str(CONF), {}) == load(IngestConfig, None, shown)


def test_every_heading_stands_before_a_field_and_every_field_has_help() -> None:
    assert set(IngestConfig.headings) <= set(IngestConfig.model_fields)
    assert [name for name, field in IngestConfig.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("sources", "given"),
    [
        ({"input": None}, "none"),
        ({"api": "http://x"}, "--api and --input"),
        ({"replay": True}, "--input and --replay"),
        ({"api": "http://x", "replay": True}, "--api and --input and --replay"),
    ],
)
def test_exactly_one_source_is_needed(sources: dict[str, Any], given: str) -> None:
    assert message(**sources) == f"one source is needed, --api, --input or --replay; given: {given}."


@pytest.mark.parametrize("source", [{"api": "http://x"}, {"input": "x"}, {"replay": True}])
def test_any_source_is_enough(source: dict[str, object]) -> None:
    load(IngestConfig, None, {"out": "o", **source})


@pytest.mark.parametrize("one", [{"run_id": "x"}, {"since": "2026-03-17T14:00:00Z"}, {"until": "2026-03-17T14:00:00Z"}])
def test_a_schedule_makes_many_runs(one: dict[str, Any]) -> None:
    expected = "--every makes many runs: --run-id, --since and --until are for one."

    assert message(every="5m", **one) == expected


def test_sizes_are_those_of_a_source() -> None:
    assert message(input=None, replay=True, sizes=True) == "--sizes reads from --api or --input."


@pytest.mark.parametrize("text", ["2026-03-17T14:00Z", "2026-03-17T14:00:59Z", "2024-02-29T23:59Z"])
def test_a_moment_is_written_in_utc(text: str) -> None:
    assert loaded(since=text).since == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-03-17",
        "2026-03-17T14:00:00",
        "2026-03-17T14:00:00+00:00",
        "2026-03-17T14:00:00.5Z",
        "2026-03-17t14:00:00z",
        "2026-02-29T00:00Z",
        "2026-03-17T24:00Z",
        "2026-13-01T00:00Z",
        "２０２６-03-17T14:00Z",
    ],
)
def test_what_is_no_moment_in_utc_is_refused(text: str) -> None:
    cause = f"--since: {text!r} cannot be used: a moment is written in UTC, such as 2026-03-17T14:00:00Z."

    assert message(since=text) == f"{cause} Expected: start of the window, else where the last one ended."


def test_only_what_a_record_can_do_without_is_optional() -> None:
    assert loaded(optional="user_id, url").optional == ("user_id", "url")
    expected = "optional: inDate, record_id cannot be optional; only user_id, method and url can."
    assert message("optional: [record_id, url, inDate]") == expected


def test_numbers_are_nested_in_yaml_and_json_on_the_command_line() -> None:
    assert from_yaml("methods: {GET: 1, PURGE: 9}").methods == {"GET": 1, "PURGE": 9}
    argv = ["--input", "i", "--out", "o", "--urls", '{"/a,b": 3}']
    assert parse(IngestConfig, "ingest", argv, lambda _: "").urls == {"/a,b": 3}


@pytest.mark.parametrize("value", ["GET=1", '["GET"]', '{"GET": 0}', '{"GET": -1}', '{"GET": "x"}', '{"GET": true}'])
def test_what_is_no_number_of_a_name_is_refused(value: str) -> None:
    assert message(methods=value).startswith("--methods")


@pytest.mark.parametrize("value", ["-1", "100.1", "nan", True, "", "many"])
def test_a_budget_outside_of_0_to_100_is_refused(value: object) -> None:
    assert "--budget: " in message(budget=value)


def test_a_budget_may_be_a_fraction_or_nothing() -> None:
    assert (loaded(budget="0.1").budget, loaded(budget=0).budget) == (Decimal("0.1"), Decimal(0))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("overlap", -1),
        ("overlap", 525_601),
        ("lock_seconds", 4),
        ("lock_seconds", 86_401),
        ("calls", 0),
        ("records_per_object", 0),
        ("out", " "),
        ("keys_from", ""),
        ("page_param", ""),
        ("run_id", "../x"),
        ("pagination", "pages"),
        ("layout", "flat"),
        ("publish", "json"),
    ],
)
def test_a_value_outside_of_its_range_is_refused_by_its_option(name: str, value: Any) -> None:
    assert message(**{name: value}).startswith(f"--{name.replace('_', '-')}: {value!r} ")


def test_a_wrong_choice_names_the_nearest() -> None:
    assert message(layout="folder").endswith("Take one of hive, folders. Did you mean folders?")


def test_a_key_in_the_file_is_refused_without_showing_it() -> None:
    """Keys come by reference; whoever writes one into the file must not find it in the log too."""
    found = message("keys: bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmU=")

    assert found.startswith("keys in run.yaml: unknown key.")
    assert "bmV3" not in found
