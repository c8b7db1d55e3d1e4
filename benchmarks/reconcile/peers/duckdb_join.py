"""DuckDB: a full outer join on the SHA-256 of each line; where equal records may differ in bytes, typed columns.

    python duckdb_join.py CASE FOLDER OUT

Cases d, f and g are read by `read_json` or `read_csv`, loaded once and compared by EXCEPT ALL in both directions:
with the readers inside both EXCEPT ALL it took twice as long. In the other cases a line stays beside its hash:
reading the files again for the few differing lines took a third longer (1 million records a side).
"""

# ruff: noqa: S608 - the paths in the queries are our own

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb

TYPED = {"d": "read_json", "f": "read_json", "g": "read_csv"}


def compare_lines(base: duckdb.DuckDBPyConnection, folder: Path, out: Path) -> dict[str, int]:
    # The CSV reader with a delimiter that JSON never holds is DuckDB's fastest way to lines.
    options = "delim='\x1f', quote='', escape='', header=false, auto_detect=false, columns={'line': 'VARCHAR'}"

    def hashes(side: str) -> str:
        lines = f"read_csv('{folder / side}/**/*.gz', {options})"
        return f"(SELECT sha256(line) AS hash, count(*) AS n, any_value(line) AS line FROM {lines} GROUP BY hash)"

    base.execute(f"""
        CREATE TABLE different AS
        SELECT coalesce(s.n, 0) AS source_n, coalesce(b.n, 0) AS backup_n, coalesce(s.line, b.line) AS line
        FROM {hashes("source")} s FULL OUTER JOIN {hashes("backup")} b USING (hash)
        WHERE s.n IS DISTINCT FROM b.n
    """)
    base.execute(f"COPY different TO '{out}/different.csv'")
    only = "coalesce(sum(greatest({} - {}, 0)), 0)::BIGINT"
    sides = only.format("source_n", "backup_n"), only.format("backup_n", "source_n")
    row = base.execute(f"SELECT {', '.join(sides)} FROM different").fetchone() or ()
    return dict(zip(("source_only", "backup_only"), row, strict=True))


def compare_columns(base: duckdb.DuckDBPyConnection, reader: str, folder: Path, out: Path) -> dict[str, int]:
    answer = {}
    for side in ("source", "backup"):
        base.execute(f"CREATE TABLE {side} AS FROM {reader}('{folder / side}/**/*.gz')")
        answer[side] = base.table(side).shape[0]
    # EXCEPT pairs columns by position, and the backup has other names first.
    names = ", ".join(f'"{name}"' for name in base.table("source").columns)
    for side, other in (("source", "backup"), ("backup", "source")):
        only = f"SELECT {names} FROM {side} EXCEPT ALL SELECT {names} FROM {other}"
        (count,) = base.execute(f"COPY ({only}) TO '{out}/{side}_only.json'").fetchone() or (0,)
        answer[f"{side}_only"] = count
    return answer


def main(case: str, folder: Path, out: Path) -> None:
    base = duckdb.connect(config={"temp_directory": str(out / "spill")})
    answer = compare_columns(base, TYPED[case], folder, out) if case in TYPED else compare_lines(base, folder, out)
    print(json.dumps({**answer, "version": duckdb.__version__}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
