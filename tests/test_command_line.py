"""The command line: generated from the model, strict about what it takes, and able to write itself down again."""

from __future__ import annotations

import shlex
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hook_server import NOTIFY
from tallymark.command_line import parse, read_arguments, to_command_line
from tallymark.config.loading import JobConfig, load, read_local_text
from tallymark.config.notify import ReconcileNotifyOptions
from tallymark.config.reconcile import ReconcileConfig
from tallymark.errors import ConfigError

PLACES = ["--source", "a", "--backup", "b", "--out", "o"]


def parsed(*argv: str) -> ReconcileConfig:
    return parse(ReconcileConfig, "reconcile", [*PLACES, *argv], read_local_text)


def message(*argv: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parsed(*argv)
    return str(caught.value)


def help_text(capsys: pytest.CaptureFixture[str], model: type[JobConfig] = ReconcileConfig) -> str:
    with pytest.raises(SystemExit) as caught:
        parse(model, "reconcile", ["--help"], read_local_text)
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_the_places_alone_give_the_defaults() -> None:
    assert load(ReconcileConfig, None, {"source": "a", "backup": "b", "out": "o"}) == parsed()


def test_every_kind_of_option_arrives() -> None:
    config = parsed(
        *["--key", "a,$.b.c", "--ignore=$['x,y'],$.z", "--threshold", "99.95", "--chunk-size", "5"],
        *["--fail-on-empty", "--log-level", "debug", "--format", "csv", "--exclude", ""],
    )

    assert config.key == ("a", "$.b.c")
    assert config.ignore == ("$['x,y']", "$.z")
    assert Decimal("99.95") == config.threshold
    assert (
        config.chunk_size,
        config.fail_on_empty,
        config.log_level,
        config.format,
        config.exclude,
    ) == (5, True, "DEBUG", "csv", ())


def test_options_win_over_the_file_also_to_switch_off(tmp_path: Path) -> None:
    conf = tmp_path / "c.yaml"
    conf.write_text("fail_on_empty: true\nproof: full\nout: elsewhere")
    config = parsed("--conf", str(conf), "--no-fail-on-empty")

    assert (config.fail_on_empty, config.proof, config.out) == (False, "full", "o")


def test_every_field_is_an_option_and_every_option_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    """Seen from outside, in the help: the YAML keys and the options are one list."""
    offered = {word.strip(",") for word in help_text(capsys).split() if word.startswith("--")}
    beside = {"--help", "--conf", "--interactive", "--no-fail-on-empty", "--no-ledger", "--no-dry-run", "--no-history"}

    assert {"--" + name.replace("_", "-") for name in ReconcileConfig.model_fields} == offered - beside
    assert beside <= offered


def test_help_fits_80_columns_and_shows_defaults_choices_and_groups(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = help_text(capsys)
    flat = " ".join(text.split())

    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert "--proof {fast,full} cheapest sound proof, or read every record (default: fast)" in flat
    assert "(default: _SUCCESS, *.crc, _committed_*, _started_*, .DS_Store)" in flat
    assert "--source PLACE folder or prefix where the records come from (required)" in flat
    assert "count a source without any record as a difference (default: no)" in flat
    titles = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles == [
        "options:",
        "places:",
        "what counts as the same record:",
        "proof and verdict:",
        "a part, a plan, the past:",
        "the run:",
    ]


def test_a_job_without_dialogue_does_not_offer_one(capsys: pytest.CaptureFixture[str]) -> None:
    class Other(JobConfig):
        rows: int = 3

    assert "--interactive" not in help_text(capsys, Other)


def test_unknown_options_are_all_named_with_the_nearest_right_ones() -> None:
    assert (
        message("--chunk_size=5", "--bakup", "x", "--qqq")
        == "--chunk_size: unknown option. Did you mean --chunk-size?\n"
        "--bakup: unknown option. Did you mean --backup?\n"
        "--qqq: unknown option.\n"
        "See ./spark-submit.sh reconcile --help."
    )


def test_a_shortened_option_is_unknown() -> None:
    """--chunk would change its meaning when another option that begins so is added."""
    assert "--chunk: unknown option." in message("--chunk", "5")


def test_a_value_without_option_is_refused() -> None:
    assert message("s3://x").startswith("'s3://x': stands alone.")


def test_an_option_without_value_is_refused_with_the_way_to_write_a_dash() -> None:
    assert "a value that starts with a dash needs --option=VALUE" in message("--key", "--proof", "fast")


@pytest.mark.parametrize(
    "argv",
    [
        ["--mask", "$.a", "--mask", "$.b"],
        ["--fail-on-empty", "--no-fail-on-empty"],
        ["--source", "x"],
        ["--conf=a", "--conf=b"],
    ],
)
def test_an_option_given_twice_is_refused(argv: list[str]) -> None:
    """The last would win: the first --mask would be lost and its values shown."""
    assert "given twice" in message(*argv)


def test_wrong_values_are_listed_together_under_the_names_of_their_options() -> None:
    lines = message("--chunk-size", "0", "--proof", "half", "--threshold=-1").splitlines()

    assert [line.partition(":")[0] for line in lines] == ["--threshold", "--proof", "--chunk-size"]


def test_the_dialogue_is_asked_for_by_flag_and_keeps_what_was_given() -> None:
    arguments = read_arguments(ReconcileConfig, "reconcile", ["--interactive", "--conf", "c.yaml", "--proof", "full"])

    assert (arguments.conf, arguments.interactive, arguments.overrides) == ("c.yaml", True, {"proof": "full"})


def test_the_dialogue_cannot_start_where_nobody_answers() -> None:
    assert message("--interactive").startswith("--interactive: nobody can be asked here.")


def test_a_config_is_written_as_the_shortest_command_that_can_be_pasted() -> None:
    config = parsed("--key", "id,seq", "--mask", "$['a b']", "--chunk-size", "20000", "--fail-on-empty", "--report=-r")

    assert (
        to_command_line(config, "reconcile")
        == "./spark-submit.sh reconcile --source a --backup b --out o --report=-r --key id,seq "
        """--mask '$['"'"'a b'"'"']' --fail-on-empty"""
    )


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
PATHS = st.lists(TEXTS.map("$.".__add__), max_size=3).map(tuple)
CONFIGS = st.builds(
    ReconcileConfig,
    source=TEXTS,
    backup=TEXTS,
    out=TEXTS,
    report=st.none() | TEXTS,
    exclude=st.lists(TEXTS, max_size=3).map(tuple),
    format=st.sampled_from(["auto", "jsonl", "array", "csv"]),
    key=st.lists(TEXTS, max_size=3).map(tuple),
    ignore=PATHS,
    unordered=PATHS,
    unicode=st.sampled_from(["exact", "nfc"]),
    numbers=st.sampled_from(["exact", "lexical"]),
    mask=PATHS,
    threshold=st.decimals(0, 100, places=4),
    proof=st.sampled_from(["fast", "full"]),
    fail_on_empty=st.booleans(),
    chunk_size=st.integers(1, 1_000_000),
    run_id=st.none() | st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", fullmatch=True),
    log_level=st.sampled_from(["DEBUG", "INFO", "WARNING", "ERROR"]),
)


@given(CONFIGS)
@example(ReconcileConfig(source="a", backup="b", out="o", notify=ReconcileNotifyOptions.model_validate(NOTIFY)))
@example(ReconcileConfig(source="--", backup="-1", out="--proof=x", key=("a,b", "'c'", "["), exclude=(), run_id="-"))
def test_a_written_command_line_reads_back_as_the_same_config(config: ReconcileConfig) -> None:
    """The law that makes the printed command trustworthy, for any text that a shell can carry."""
    words = shlex.split(to_command_line(config, "reconcile"))

    assert words[:2] == ["./spark-submit.sh", "reconcile"]
    assert config == parse(ReconcileConfig, "reconcile", words[2:], read_local_text)
