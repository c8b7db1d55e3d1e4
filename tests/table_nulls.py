"""What the description of the tables promises of nulls, held against tables that real runs have left."""

from __future__ import annotations

from pathlib import Path

from deltalake import DeltaTable

from tallymark.columns import COMMENT
from tallymark.report.catalogue import TABLES


def undocumented_nulls(out: Path, job: str) -> list[str]:
    """Return the columns that hold a null in a table of the job, though `docs/tables.md` names no reason for one."""
    found = []
    for table in TABLES:
        place = out / "delta" / table.name
        if table.job == job and place.is_dir():
            rows = DeltaTable(place).to_pyarrow_table()
            assert set(rows.schema.names) == set(table.schema.names)
            found += [
                f"{table.name}.{field.name}"
                for field in table.schema
                if b"; null " not in field.metadata[COMMENT.encode()] and rows.column(field.name).null_count
            ]
    return found
