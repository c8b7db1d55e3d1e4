"""The same rules as a Great Expectations suite: their engine counts again, independently, and writes its Data Docs.

Great Expectations is imported here, when a suite runs, and nowhere else: that takes seconds. It runs in memory
(ephemeral context) and tells nobody. Values that fail a rule stand in the pages of rules that fail and touch no
private column; nothing else of a row ever leaves. Called by `tallymark.runs.quality`.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame

from tallymark.errors import AccountingError, IncompleteError
from tallymark.quality.pages import make_offline, write_index
from tallymark.quality.rules import Rule, RuleFile
from tallymark.quality.verdict import RuleVerdict, TableVerdict

SAMPLES = 20
"""Values of a rule that a page shows at most."""
_COUNTS_ONLY = {"result_format": "BASIC", "partial_unexpected_count": 0, "exclude_unexpected_values": True}
"""A limit of 0 costs no Spark job and brings no value to the driver."""
_WITH_SAMPLES = {"result_format": "BASIC", "partial_unexpected_count": SAMPLES}


@dataclass(frozen=True)
class Judged:
    """A table at the version that was judged, and what the split found in it."""

    rules: RuleFile
    frame: DataFrame
    verdict: TableVerdict


def write_pages(judged: Sequence[Judged], run_id: str, run_time: datetime, folder: Path) -> None:
    """Runs the suites of a run and writes their Data Docs, one site, into a local folder.

    Raises:
        AccountingError: Great Expectations counts otherwise than the split; no page was written.
        IncompleteError: it could not judge a rule.
    """
    with _in_silence():
        context = _context(folder)
        for one in judged:
            _run_suite(context, one, run_id, run_time)
        context.build_data_docs()
    make_offline(folder)
    write_index(folder, run_id, [one.verdict for one in judged])


@contextmanager
def _in_silence() -> Iterator[None]:
    """No telemetry, and no log lines: what fails is in the results, and messages of Spark quote values."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when it is imported
    logger, nowhere = logging.getLogger("great_expectations"), logging.NullHandler()
    logger.addHandler(nowhere)
    logger.propagate = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of `condition_parser`, until they take it away
            yield
    finally:
        logger.propagate = True
        logger.removeHandler(nowhere)


def _context(folder: Path) -> Any:
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        data_docs_sites={"quality": {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}},
        progress_bars=ProgressBarsConfig(globally=False),
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _run_suite(context: Any, judged: Judged, run_id: str, run_time: datetime) -> None:
    from great_expectations.core import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    rules = judged.rules
    batch = _batch(context, judged)
    found = _validate(rules, batch, context.suites.add(_suite(rules.table, rules.rules)), _COUNTS_ONLY)
    results = {result.expectation_config.meta["rule"]: result for result in found.results}
    _require_equal(judged.verdict, results)
    shown = [
        rule for rule, said in zip(rules.rules, judged.verdict.rules) if said.failed and rules.may_show_values(rule)
    ]
    if shown:
        samples = _validate(rules, batch, _suite(f"{rules.table} samples", shown), _WITH_SAMPLES)
        for result in samples.results:
            result.result = _escaped(result.result)
            results[result.expectation_config.meta["rule"]] = result
    found.results = list(results.values())
    identifier = RunIdentifier(run_name=run_id, run_time=run_time)
    found.meta |= {"run_id": identifier, "validation_time": run_time, "version": judged.verdict.version}
    context.validation_results_store.store_validation_results(
        found, ValidationResultIdentifier(ExpectationSuiteIdentifier(rules.table), identifier, batch.id)
    )


def _escaped(found: Any) -> Any:
    """Returns a result for their templates, which write a value into the page as it is: it could be a script."""
    if isinstance(found, Mapping):
        return {name: _escaped(value) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [_escaped(value) for value in found]
    return escape(found) if isinstance(found, str) else found


def _validate(rules: RuleFile, batch: Any, suite: Any, result_format: Mapping[str, Any]) -> Any:
    try:
        return batch.validate(suite, result_format=dict(result_format))
    except Exception as error:  # noqa: BLE001 - whatever it is, its message may quote a record
        raise IncompleteError(
            f"Great Expectations stopped with {type(error).__name__} on {rules.table}; its message may quote records "
            f"and is not repeated: try the rules of {rules.place} on a small table"
        ) from None


def _batch(context: Any, judged: Judged) -> Any:
    """Returns the rows as a batch. Not persisted: a count reads the columns that it needs, a cache would hold all."""
    source = context.data_sources.add_spark(name=judged.rules.table, persist=False)
    # Conditions in SQL find their view only in the session of the rows, which need not be the first of the process.
    source._spark = judged.frame.sparkSession
    asset = source.add_dataframe_asset(name=f"version-{judged.verdict.version}")
    return asset.add_batch_definition_whole_dataframe("rows").get_batch({"dataframe": judged.frame})


def _suite(name: str, rules: Sequence[Rule]) -> Any:
    import great_expectations as gx
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    wanted = [
        ExpectationConfiguration(type=rule.type, kwargs=dict(rule.kwargs), meta={"rule": rule.name}) for rule in rules
    ]
    return gx.ExpectationSuite(name=name, expectations=wanted)


def _require_equal(verdict: TableVerdict, results: Mapping[str, Any]) -> None:
    for said in verdict.rules:
        result = results[said.rule]
        if any(info.get("raised_exception") for info in _exceptions(result)):
            raise IncompleteError(
                f"Great Expectations could not judge the rule {said.rule} of {verdict.table} ({said.type}); "
                "its message may quote records and is not repeated: try the rule on a small table"
            )
        failed, passed = _failed(said, result.result), bool(result.success)
        if failed != said.failed or passed != said.passed:
            raise AccountingError(
                f"{verdict.table}: rule {said.rule} fails for {said.failed} rows (passed: {said.passed}) by the split "
                f"and for {failed} (passed: {passed}) by Great Expectations: a defect, nothing is reported"
            )


def _exceptions(result: Any) -> list[Mapping[str, Any]]:
    """Returns what was raised: by one metric it stands alone, by several under their names."""
    info = result.exception_info or {}
    return [info] if "raised_exception" in info else list(info.values())


def _failed(said: RuleVerdict, result: Mapping[str, Any]) -> int:
    if "unexpected_count" in result:
        return result["unexpected_count"] or 0  # None of an empty table
    return int(result["observed_value"]) if said.type == "unexpected_rows_expectation" else 0
