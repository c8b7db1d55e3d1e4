"""The job `export` as one Python call, without Spark and without a file of options."""

from __future__ import annotations

import os

from tallymark.config.export_options import ExportOptions
from tallymark.errors import ConfigError
from tallymark.runs.export.run import export


def export_to_csv(
    table_name: str,
    csv_path: str | os.PathLike[str],
    where_clause: str | None = None,
    batch_size: int = 10_000,
    order_by_field: str | None = None,
    chunk_mode: bool = True,
    enable_checkpoint: bool = True,
    max_retries: int = 3,
) -> int:
    """Copies a table into one CSV file with a header, and returns the number of its rows.

    The connection comes from the variables of libpq (``PGHOST``, ``PGDATABASE``, ``PGPASSWORD`` ...). The file appears
    whole, in place of an older one; beside it lies its manifest. A call that was killed is gone on with by the same
    call, in the snapshot of the first one.

    Args:
        table_name: ``schema.name``; what is not quoted is lower case to PostgreSQL.
        where_clause: condition in SQL.
        batch_size: rows of the first chunk; it follows the width of the rows.
        order_by_field: column, or columns with commas between; else the primary key.
        chunk_mode: False copies all in one statement.
        enable_checkpoint: False starts again after a kill.
        max_retries: attempts after a failure that may pass.

    Raises:
        ConfigError: a name, the condition or the connection is wrong.
        IncompleteError: it could not be read or written whole; the former file, if any, is as it was.
    """
    if batch_size < 1 or max_retries < 0:
        raise ConfigError("batch_size must be at least 1, and max_retries not negative")
    names = order_by_field.split(",") if order_by_field else []
    options = ExportOptions(
        table=table_name,
        to=os.fspath(csv_path),
        merge=True,
        where=where_clause,
        batch_size=batch_size,
        order_by=tuple(name.strip() for name in names),
        chunk_mode=chunk_mode,
        checkpoint=enable_checkpoint,
        max_retries=max_retries,
        resume=enable_checkpoint,
        overwrite=True,
    )
    return export(options).rows
