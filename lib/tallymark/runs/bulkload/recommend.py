"""An answer from what was measured: which cell to take, where more connections stop helping, what rows cost.

Reads the Delta table of cells in the output folder; nothing is measured, and Spark is not needed.
"""

from __future__ import annotations

import os
from typing import Any

from tallymark.bulkload.result import Advice
from tallymark.bulkload.statistics import cheapest, cost_of_a_million, knee, ranked, summarise
from tallymark.config.bulkload import BulkloadConfig
from tallymark.errors import ConfigError
from tallymark.io import delta
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import normalise_uri


def recommend(config: BulkloadConfig) -> list[Advice]:
    """Returns the advice for each provider, instance and measurement, from its latest benchmark.

    Raises:
        ConfigError: nothing was measured in the output folder.
    """
    table = delta.table_uri(normalise_uri(config.output_dir), "bulkload_cells")
    store = ObjectStore.from_environment(os.environ)
    rows = [
        row
        for batch in delta.read_rows(store, table, {"kind": "benchmark"})
        for row in batch.to_pylist()
        if config.run_id in (None, row["run_id"])
    ]
    latest: dict[tuple[str, str, str], str] = {}
    for row in sorted(rows, key=lambda row: row["run_time"]):
        latest[row["provider"], row["instance_type"], row["measurement"]] = row["run_id"]
    found = [_advice(key, run_id, rows, config) for key, run_id in sorted(latest.items())]
    advice = [one for one in found if one is not None]
    if not advice:
        raise ConfigError(f"no cell was measured well in {config.output_dir}: run ./spark-submit.sh bulkload first")
    return advice


def _advice(
    key: tuple[str, str, str], run_id: str, rows: list[dict[str, Any]], config: BulkloadConfig
) -> Advice | None:
    cells = summarise(row for row in rows if row["run_id"] == run_id)
    recommended = cheapest(cells)
    if recommended is None:
        return None
    provider, instance_type, measurement = key
    methods = dict.fromkeys(one.cell.method for one in ranked(cells))
    knees = {method: found for method in methods if (found := knee(cells, method)) is not None}
    price = config.prices.get(f"{provider}/{instance_type}", config.prices.get(provider))
    # A price is a cloud's, and an emulated network is not.
    is_known = price is not None and measurement == "measured" and recommended.rows_per_second
    cost = cost_of_a_million(recommended.rows_per_second or 0, float(price or 0)) if is_known else None
    return Advice(provider, instance_type, measurement, run_id, ranked(cells)[0], recommended, knees, cost)
