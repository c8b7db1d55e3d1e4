"""Hints follow from what differing records have in common, and name an option that would take care of it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from tallymark.reconcile.evidence import Evidence
from tallymark.reconcile.hints import find_hints
from tallymark.reconcile.stages import arrow_schema
from tallymark.reconcile.tables import MISMATCHES

NOTHING = {"normalised_records": 0, "missing_in_backup": 0, "missing_in_source": 0}


def evidence(*rows: tuple[list[str], str, str]) -> Evidence:
    plain = {"file_path": "a.json", "bucket_type": "changed", "count": 1}
    found = [
        plain | {"changed_paths": paths, "json_content": source, "backup_content": backup}
        for paths, source, backup in rows
    ]
    seen = Evidence()
    seen.add(pa.RecordBatch.from_pylist(found, arrow_schema(MISMATCHES)))
    return seen


def options(seen: Evidence, settings: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    return [(hint.option, hint.value) for hint in find_hints(NOTHING, seen, settings or {}, [])]


@pytest.mark.parametrize(
    ("path", "source", "backup", "option"),
    [
        ("$.at", '{"at":"2024-05-06T07:08:09Z"}', '{"at":"2024-05-06T07:09:09.123Z"}', ("ignore", "$.at")),
        ("$.at", '{"at":1714979289}', '{"at":1714979299}', ("ignore", "$.at")),
        (
            "$.id",
            '{"id":"0b9a3c1e-6b0e-4d55-9f0e-2f6f1f0f9a11"}',
            '{"id":"1b9a3c1e-6b0e-4d55-9f0e-2f6f1f0f9a11"}',
            ("ignore", "$.id"),
        ),
        ("$.n", '{"n":9007199254740993}', '{"n":9007199254740992}', ("ignore", "$.n")),
        ("$.n", '{"n":12}', '{"n":"12"}', ("ignore", "$.n")),
        ("$.s", '{"s":"caf\u00e9"}', '{"s":"cafe\u0301"}', ("unicode", "nfc")),
        ("$.n", '{"n":1.0}', '{"n":1}', ("numbers", "exact")),
        ("$.a[0]", '{"a":["x","y"]}', '{"a":["y","x"]}', ("unordered", "$.a")),
        ("$.i[3].at", '{"i":[0,0,0,{"at":1714979289}]}', '{"i":[0,0,0,{"at":1714979299}]}', ("ignore", "$.i[*].at")),
    ],
)
def test_what_the_values_have_in_common_names_the_option(
    path: str, source: str, backup: str, option: tuple[str, str]
) -> None:
    assert options(evidence(([path], source, backup))) == [option]


@pytest.mark.parametrize(
    ("path", "source", "backup"),
    [
        ("$.speed", '{"speed":12.5}', '{"speed":13.5}'),
        ("$.s", '{"s":"ok"}', '{"s":"failed"}'),
        ("$.s", '{"s":"***"}', '{"s":"***"}'),
        ("$.gone", '{"gone":1}', "{}"),
        ("$.a[0]", '{"a":["x","y"]}', '{"a":["y","y"]}'),
        ("$.at", '{"at":"2024-05-06T07:08:09Z"}', '{"at":null}'),
    ],
)
def test_a_true_difference_gets_no_hint(path: str, source: str, backup: str) -> None:
    """To leave out what differs would make any backup match."""
    assert options(evidence(([path], source, backup))) == []


def test_one_record_that_differs_otherwise_takes_the_hint_away() -> None:
    time = (["$.at"], '{"at":1714979289}', '{"at":1714979299}')
    other = (["$.at"], '{"at":1714979289}', '{"at":"never"}')

    assert options(evidence(time, time)) == [("ignore", "$.at")]
    assert options(evidence(time, other)) == []


def test_a_hint_counts_its_records_and_keeps_what_the_list_has() -> None:
    """A list on the command line takes the place of the one in the file."""
    rows = [(["$.at"], f'{{"at":{1714979289 + n}}}', '{"at":1714979299}') for n in range(3)]
    rows += [(["$.at", "$.v"], '{"at":1714979289,"v":1}', '{"at":1714979290,"v":2}')]
    (hint,) = find_hints(NOTHING, evidence(*rows), {"ignore": ["$.x"]}, [])

    assert hint.text.startswith("$.at differs in 4 changed records; 3 of them in nothing else; every value looked at")
    assert (hint.option, hint.value) == ("ignore", "$.x,$.at")


def test_counts_and_errors_give_hints_too() -> None:
    totals = {"normalised_records": 15_000, "missing_in_backup": 5, "missing_in_source": 5}
    errors = [{"error": "CHANGED_DURING_RUN on a: x"}, {"error": "TRUNCATED_GZIP on b: y"}]

    found = find_hints(totals, Evidence(), {"numbers": "exact"}, errors)
    assert [(hint.option, hint.value) for hint in found] == [
        ("numbers", "lexical"),
        ("key", "FIELD"),
        ("min_age", "1h"),
    ]
    assert found[0].text.startswith("15,000 records match only in another form")
    assert find_hints(totals, Evidence(), {"numbers": "lexical", "key": ["id"]}, []) == []
