"""The options: one definition each, exact values, and messages that name key, value, cause and next step."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tallymark.config.fields import join_list, split_list
from tallymark.config.loading import JobConfig, load, merge
from tallymark.config.reconcile import ReconcileConfig
from tallymark.errors import ConfigError

CONF = Path(__file__).parents[1] / "conf" / "reconcile.yaml"
PLACES = {"source": "a", "backup": "b", "out": "o"}


def loaded(**options: object) -> ReconcileConfig:
    return load(ReconcileConfig, None, {**PLACES, **options})


def from_yaml(text: str, **overrides: object) -> ReconcileConfig:
    return load(ReconcileConfig, "run.yaml", {**PLACES, **overrides}, lambda _: text)


def message(text: str = "", **overrides: object) -> str:
    with pytest.raises(ConfigError) as caught:
        from_yaml(text, **overrides)
    return str(caught.value)


def test_every_option_has_the_documented_default() -> None:
    """Written by hand: a changed default is a changed promise."""
    globs = ("_SUCCESS", "*.crc", "_committed_*", "_started_*", ".DS_Store")
    places = {"source": "a", "backup": "b", "out": "o", "report": None, "exclude": globs}
    lists = {"key": (), "ignore": (), "unordered": (), "mask": ()}
    choices = {
        "format": "auto",
        "unicode": "exact",
        "numbers": "exact",
        "proof": "fast",
        "log_level": "INFO",
        "quality": "off",
    }
    others = {
        "threshold": Decimal(100),
        "ledger": True,
        "fail_on_empty": False,
        "chunk_size": 20000,
        "run_id": None,
        "rules": None,
    }

    parts: dict[str, object] = {
        "limits": {},
        "only_failed_from": None,
        "min_age": None,
        "dry_run": False,
        "history": False,
        "notify": None,
    }

    assert {**places, **lists, **choices, **others, **parts} == loaded().model_dump()


def test_the_shipped_file_has_every_key_and_nothing_else() -> None:
    """The commented file is the reference that people copy from."""
    assert list(ReconcileConfig.model_fields) == list(yaml.safe_load(CONF.read_text()))


def test_the_shipped_file_shows_the_defaults_and_runs_on_the_sample_data() -> None:
    config = load(ReconcileConfig, str(CONF), {})
    shown = {"source": "build/demo/source", "backup": "build/demo/backup", "out": "build/demo/out"}

    assert loaded(**shown, key=("device_id", "seq")) == config


def test_every_heading_stands_before_a_field_and_every_field_has_help() -> None:
    assert set(ReconcileConfig.headings) <= set(ReconcileConfig.model_fields)
    assert [name for name, field in ReconcileConfig.model_fields.items() if not field.description] == []


def test_the_command_line_wins_over_the_file() -> None:
    config = from_yaml("chunk_size: 5\nproof: full", chunk_size="7")

    assert (config.chunk_size, config.proof) == (7, "full")


def test_merge_does_not_judge() -> None:
    """The dialogue offers what is there before it is complete."""
    assert merge("c", {"chunk_size": 0}, lambda _: "source: x\nchunk_size: 9") == {"source": "x", "chunk_size": 0}


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        loaded().out = "elsewhere"


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", ()),
        ("  ", ()),
        ("a,b", ("a", "b")),
        (" a , b ", ("a", "b")),
        ("$['x,y'],$.z", ("$['x,y']", "$.z")),
        ('$["x],[y"],$.z', ('$["x],[y"]', "$.z")),
        (r"$['it\'s, so'],b", (r"$['it\'s, so']", "b")),
        ("$.a[0,1].b,$.c", ("$.a[0,1].b", "$.c")),
        ("'a,b',c", ("a,b", "c")),
        ("a,,b", ("a", "", "b")),
        ("it's,that's", ("it's", "that's")),
        ("[ab]*.json,*.tmp", ("[ab]*.json", "*.tmp")),
        ('["a,b", "c["]', ("a,b", "c[")),
        ("[]", ()),
        ("[1]", ("[1]",)),
    ],
)
def test_a_list_splits_at_its_own_commas_only(text: str, items: tuple[str, ...]) -> None:
    assert items == split_list(text)


@pytest.mark.parametrize("text", ["a[,b", "$['x],b", "[" * 5000])
def test_an_open_bracket_is_not_guessed_at(text: str) -> None:
    with pytest.raises(ValueError, match="not closed"):
        split_list(text)


@given(st.lists(st.text(st.sampled_from("ab,[]'\"\\ $.\n"), max_size=6) | st.text(max_size=5)).map(tuple))
def test_a_list_written_down_reads_back_the_same(items: tuple[str, ...]) -> None:
    """Commas, quotes and brackets within a name must survive the printed command line."""
    assert items == split_list(join_list(items))


def test_a_list_in_yaml_is_taken_literally_and_a_text_is_split() -> None:
    assert from_yaml("key: ['a,b']").key == ("a,b",)
    assert from_yaml("key: a, b").key == ("a", "b")


def test_an_excluded_name_is_matched_in_any_folder_and_a_pattern_with_a_slash_on_the_whole_path() -> None:
    config = loaded(exclude="*.crc,tmp/*.json")
    paths = ["x.crc", "a/b/.x.crc", "a.crc/x.json", "tmp/x.json", "a/tmp/x.json", "x.CRC", "tmp/x.JSON"]

    assert [path for path in paths if config.excludes(path)] == ["x.crc", "a/b/.x.crc", "tmp/x.json"]


def test_the_cumulative_report_lies_in_out_unless_it_is_placed() -> None:
    assert loaded(out="s3://b/out/").report_path == "s3://b/out/detailed_report.csv"
    assert loaded(report="/tmp/r.csv").report_path == "/tmp/r.csv"


def test_a_threshold_stays_exact_from_text_and_from_yaml() -> None:
    """A float would turn the twenty digits into 100 and pass what must fail."""
    assert Decimal("99.99999999999999999999") == loaded(threshold="99.99999999999999999999").threshold
    assert Decimal("99.99999999999999999999") == from_yaml("threshold: 99.99999999999999999999").threshold


@pytest.mark.parametrize("value", ["-0.1", "100.01", "nan", "inf", "1e-99999999", "half", True, ""])
def test_a_threshold_outside_of_0_to_100_is_refused(value: object) -> None:
    assert "--threshold: " in message(threshold=value)


@pytest.mark.parametrize("value", [0, 1_000_001, "-5", "many", 2.5, True])
def test_a_chunk_size_outside_of_its_range_is_refused(value: object) -> None:
    assert "--chunk-size: " in message(chunk_size=value)


@pytest.mark.parametrize("value", ["", "a/b", "a b", "x" * 65, "ü", "a\n", "..", ".hidden"])
def test_a_run_id_with_other_characters_is_refused(value: str) -> None:
    """It becomes part of paths, where ``..`` leaves the folder and a dot in front hides."""
    assert "--run-id: " in message(run_id=value)


def test_the_log_level_is_taken_in_any_case() -> None:
    assert loaded(log_level="warning").log_level == "WARNING"


def test_an_empty_place_is_refused() -> None:
    """An unset shell variable must not mean the current folder."""
    meaning = "folder or prefix where the records come from"

    assert message(source="") == f"--source: '' cannot be used: it is empty. Expected: {meaning}."


def test_a_path_without_dollar_is_refused_with_the_right_spelling() -> None:
    cause = "--mask[1]: 'user.name' cannot be used: a JSONPath starts with $, such as $.user.name."

    assert message(mask="$.a,user.name").startswith(cause)


def test_a_wrong_choice_lists_the_right_ones_and_the_nearest() -> None:
    advice = "Take one of auto, jsonl, array, csv. Did you mean jsonl?"

    assert message(format="jsnl") == f"--format: 'jsnl' is not a choice. {advice}"


def test_a_missing_place_says_both_ways_to_give_it() -> None:
    with pytest.raises(ConfigError) as caught:
        load(ReconcileConfig, None, {"source": "a", "out": "o"})

    assert (
        str(caught.value) == "--backup is missing (folder or prefix where they must have arrived): "
        "give it, or the key backup in the file of --conf."
    )


def test_an_unknown_key_names_the_nearest_one_and_hides_its_value() -> None:
    """The value may be a secret under a misspelt name."""
    assert message("chunk-size: secret") == "chunk-size in run.yaml: unknown key. Did you mean chunk_size?"
    assert message("zzz: 1") == "zzz in run.yaml: unknown key. Remove it; --help lists all keys."


def test_all_mistakes_are_listed_at_once_with_where_they_come_from() -> None:
    lines = message("proof: half\nkeys: [a]\nchunk_size: 5", chunk_size="0").splitlines()
    starts = [line.partition(":")[0] for line in lines]

    assert sorted(starts) == ["--chunk-size", "keys in run.yaml", "proof in run.yaml"]


@pytest.mark.parametrize("text", ["run_id: 20240101", "run_id: 2024-01-01", "run_id: 1.10", "report: yes"])
def test_what_yaml_makes_of_a_bare_word_is_refused_with_the_advice_to_quote(text: str) -> None:
    """1.10 would become 1.1 and 007 would become 7: the user has to say that it is a text."""
    assert "Write the value in quotes" in message(text)


@pytest.mark.parametrize("text", ["out: a\nproof: fast\nout: b", "key: [{a: 1, a: 2}]", "{proof: fast, 'proof': full}"])
def test_a_key_given_twice_is_refused(text: str) -> None:
    """YAML would silently take the last."""
    assert "is given twice" in message(text)


@pytest.mark.parametrize("text", ["- a", "just text", "7", "1: a", "yes: a"])
def test_a_file_without_keys_is_refused(text: str) -> None:
    assert "holds no keys with values" in message(text)


@pytest.mark.parametrize(
    "text", ["a: [", "a: b: c", "a: 2024-13-45", "--- 1\n--- 2", "a: !!python/name:os.system", "[" * 2000]
)
def test_broken_or_unsafe_yaml_is_a_message_and_no_traceback(text: str) -> None:
    assert message(text).startswith("--conf run.yaml: is not valid YAML: ")


def test_a_file_of_comments_only_gives_the_defaults() -> None:
    assert loaded() == from_yaml("# nothing yet")


def test_a_file_that_cannot_be_read_is_named_with_the_cause(tmp_path: Path) -> None:
    missing, binary = tmp_path / "no.yaml", tmp_path / "x.yaml"
    binary.write_bytes(b"\xff\xfe\xff")

    with pytest.raises(ConfigError, match=r"no\.yaml: cannot be read: No such file or directory\. Check the path"):
        load(ReconcileConfig, str(missing), {})
    with pytest.raises(ConfigError, match="cannot be read: 'utf-8' codec"):
        load(ReconcileConfig, str(binary), {})


def test_the_file_is_read_by_the_given_function() -> None:
    """So that s3:// works without this module knowing it."""
    texts = {"s3://conf/run.yaml": "{source: a, backup: b, out: o, proof: full}"}

    assert load(ReconcileConfig, "s3://conf/run.yaml", {}, texts.__getitem__).proof == "full"


def test_another_job_brings_its_own_model() -> None:
    class Other(JobConfig):
        rows: int = 3

    assert load(Other, None, {"rows": "4"}).rows == 4


@pytest.mark.parametrize("text", ["quality: off", "quality: 'off'", ""])
def test_off_is_not_taken_for_false(text: str) -> None:
    """YAML reads a bare off as a truth value."""
    assert from_yaml(text).quality == "off"


def test_limits_are_nested_in_yaml_and_json_on_the_command_line() -> None:
    text = "limits:\n  north/: {match_rate: 99.95, missing_files: 0}\n  south/: {mismatches: 10}\n"
    given = '{"north/": {"match_rate": 99.95, "missing_files": 0}, "south/": {"mismatches": 10}}'
    dumped = {name: limit.model_dump() for name, limit in from_yaml(text).limits.items()}

    assert dumped == {
        "north/": {"match_rate": Decimal("99.95"), "missing_files": 0, "mismatches": None},
        "south/": {"match_rate": None, "missing_files": None, "mismatches": 10},
    }
    assert loaded(limits=given).limits["south/"].mismatches == 10


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("limits: {north/: {}}", "it limits nothing"),
        ("limits: {north/: {match_rate: 101}}", "less than or equal to 100"),
        ("limits: {north/: {mismatches: -1}}", "greater than or equal to 0"),
        ("limits: {north/: {missing: 1}}", "Extra inputs"),
        ("min_age: 1 hour", "--"),
        ("min_age: 0h", "--"),
        ("{history: true, dry_run: true}", "give one of them"),
        ("notify: {}", "nobody would be told"),
        ("notify: {webhooks: [{url_from: 'https://hooks.example.org/T0/s3cret', shape: slack}]}", "url_from"),
        ("notify: {webhooks: [{url_from: 'env:HOOK', shape: irc}]}", "shape"),
        ("notify: {email: {host: a, user: b, sender: c, to: [d]}}", "give both or none"),
        (
            "notify: {email: {host: a, user: b, password_from: 'env:P', security: none, sender: c, to: [d]}}",
            "in the open",
        ),
        ("notify: {email: {host: a, sender: c, to: []}}", "at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, cause: str) -> None:
    assert cause.replace("--", "min_age") in message(text)


def test_a_webhook_url_given_in_the_open_is_not_repeated() -> None:
    """Its secret would stand in a log."""
    text = "notify: {webhooks: [{url_from: 'https://hooks.example.org/T0/s3cret', shape: slack}]}"

    assert "s3cret" not in message(text)


def test_the_history_needs_no_source_and_no_backup() -> None:
    config = load(ReconcileConfig, None, {"out": "o", "history": True})

    assert (config.source, config.backup) == ("*", "*")
    assert load(ReconcileConfig, None, {"out": "o", "source": "a", "history": True}).source == "a"
    with pytest.raises(ConfigError, match="--source is missing"):
        load(ReconcileConfig, None, {"out": "o", "history": False})
