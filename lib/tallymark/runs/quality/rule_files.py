"""Reads rule files from wherever they lie, before anything else of a run is read."""

from __future__ import annotations

from collections.abc import Collection
from importlib.util import find_spec

from tallymark.config.loading import read_yaml
from tallymark.config.spelling import suggestion
from tallymark.errors import ConfigError
from tallymark.io.objects import ObjectStore
from tallymark.io.stored import StoredObject
from tallymark.quality.rules import RuleFile, read_rules

_ENDINGS = (".yaml", ".yml")


def _require_engine() -> None:
    """Says now, and not after hours of work, that the driver lacks Great Expectations. Executors do not need it.

    Raises:
        ConfigError: it is not installed.
    """
    if find_spec("great_expectations") is None:
        raise ConfigError("great_expectations is not installed: pip install 'tallymark[quality]' where the driver runs")


def read_rule_file(store: ObjectStore, place: str) -> RuleFile:
    """Returns the rules of one file.

    Raises:
        ConfigError: it is missing, or something in it is wrong.
    """
    _require_engine()
    found = store.stat(place)
    if found is None:
        raise ConfigError(f"--rules {place}: no such file")
    return _read(store, found)


def rules_of_tables(store: ObjectStore, place: str, tables: Collection[str]) -> dict[str, RuleFile]:
    """Returns the rules of a job's tables: of one file, or of those in a folder that are about them.

    Raises:
        ConfigError: a file is wrong, two are about one table, or none is about any of them.
    """
    _require_engine()
    one = store.stat(place)
    files = [one] if one else [file for file in store.list_objects(place) if file.path.endswith(_ENDINGS)]
    found: dict[str, RuleFile] = {}
    for file in files:
        rules = _read(store, file)
        if rules.table in found:
            raise ConfigError(f"--rules: {rules.place} and {found[rules.table].place} are both about {rules.table}")
        found[rules.table] = rules
    wanted = {table: rules for table, rules in found.items() if table in tables}
    if not wanted:
        nearest = "".join(suggestion(table, tables) for table in found) if one else ""
        raise ConfigError(f"--rules {place}: no file is about {' or '.join(sorted(tables))}.{nearest}")
    return wanted


def _read(store: ObjectStore, file: StoredObject) -> RuleFile:
    def text(_: str) -> str:
        return b"".join(store.read_chunks(file)).decode("utf-8")

    return read_rules(file.uri, read_yaml("--rules", file.uri, text))
