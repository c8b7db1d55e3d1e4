"""The gate of `export`: the rows of its chunks are written and judged before the manifest makes the export one.

An export needs no Spark and stays small; the rules need both. So they run in a process of their own, which ends.
Called by `tallymark.runs.export.run`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from tallymark.config.export_options import ExportOptions
from tallymark.errors import ConfigError
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import join, normalise_uri
from tallymark.runs.apart import apart
from tallymark.runs.export.finish import Judge
from tallymark.runs.export.record import write_chunks
from tallymark.runs.quality.gate import OFF, Gate, Written, open_gate

JUDGED = "export_chunks"


def open_judge(options: ExportOptions, store: ObjectStore) -> Judge:
    """Returns what judges a manifest; it raises RefusedError.

    Raises:
        ConfigError: the options do not fit, or a rule is wrong.
    """
    if options.quality == OFF:
        return lambda _made: None
    if options.out is None:
        raise ConfigError(f"--quality {options.quality} needs --out: the rows of the chunks and the report go there")
    out = normalise_uri(options.out)
    gate = apart(lambda: open_gate(options.quality, options.rules, store, out, (JUDGED,)))

    def judge(made: Mapping[str, Any]) -> None:
        if _has_spark():
            _judge(gate, made)
        elif options.format == "delta":  # its threads forbid a fork
            _judge_and_stop(gate, made)
        else:
            apart(lambda: _judge_and_stop(gate, made))

    return judge


def _has_spark() -> bool:
    """A notebook's session must not be shared with a process that ends."""
    pyspark = sys.modules.get("pyspark")
    return pyspark is not None and pyspark.SparkContext._active_spark_context is not None


def _judge_and_stop(gate: Gate, made: Mapping[str, Any]) -> None:
    from tallymark.io.session import spark_session

    spark = spark_session("tallymark export: quality")
    try:
        _judge(gate, made)
    finally:
        spark.stop()


def _judge(gate: Gate, made: Mapping[str, Any]) -> None:
    from tallymark.io.session import spark_session

    write_chunks(gate.store, gate.out, made)
    run_id, began = made["run_id"], datetime.fromtimestamp(made["started"], timezone.utc)
    written = Written(join(gate.out, f"delta/{JUDGED}"), f"run_id = '{run_id}'")
    gate.check(spark_session("tallymark export: quality"), run_id, began, {JUDGED: written})
