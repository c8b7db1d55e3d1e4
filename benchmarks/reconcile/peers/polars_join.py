"""polars, streaming engine: a full join on the hash of each line, or of each row where equal records differ in bytes.

    python polars_join.py CASE FOLDER OUT

polars has no SHA-256: its hash has 64 bits and proves nothing against whoever makes collisions on purpose. Files are
read again for the few differing records: keeping them beside their hashes took six times the memory, and longer.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl


def records(case: str, place: Path) -> pl.LazyFrame:
    files = f"{place}/**/*.gz"
    if case == "d":
        return pl.scan_ndjson(files)
    if case == "f":  # arrays cannot be scanned
        return pl.concat([pl.read_json(path).lazy() for path in sorted(place.rglob("*.gz"))])
    if case == "g":
        return pl.scan_csv(files)
    return pl.scan_csv(files, has_header=False, separator="\x1f", quote_char=None, schema={"line": pl.String})


def main(case: str, folder: Path, out: Path) -> None:
    sides = {side: records(case, folder / side) for side in ("source", "backup")}
    names = sorted(sides["source"].collect_schema().names())
    row = (pl.col(names[0]) if len(names) == 1 else pl.struct(names)).hash().alias("hash")
    counts = {
        side: frame.select(row).group_by("hash").agg(pl.len().cast(pl.Int64).alias(side))
        for side, frame in sides.items()
    }
    different = (
        counts["source"]
        .join(counts["backup"], on="hash", how="full", coalesce=True)
        .with_columns(pl.col("source").fill_null(0), pl.col("backup").fill_null(0))
        .filter(pl.col("source") != pl.col("backup"))
        .collect(engine="streaming")
    )
    more = pl.col("source") - pl.col("backup")
    answer = different.select(source_only=more.clip(lower_bound=0).sum(), backup_only=(-more).clip(lower_bound=0).sum())
    for side, frame in sides.items():
        only = different.filter(more > 0 if side == "source" else more < 0).lazy().select("hash")
        frame.with_columns(row).join(only, on="hash", how="semi").sink_ndjson(out / f"{side}_only.json")
    print(json.dumps({**answer.row(0, named=True), "version": pl.__version__}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
