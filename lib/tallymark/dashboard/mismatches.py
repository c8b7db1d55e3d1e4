"""The mismatches of a run of `reconcile`: which paths changed, which records. Called by the page `reconcile`.

The content of a record is read when somebody chooses it, and not before; masked values are masked in the table already.
"""

from __future__ import annotations

import streamlit as st

from tallymark.dashboard import charts
from tallymark.dashboard.reading import Folder, Row, any_of, containing, names, text
from tallymark.dashboard.showing import plain, show_table

SHOWN_RECORDS = 200
LONGEST = 20_000  # characters of a record on a page
_COLUMNS = ("hash_short", "file_path", "bucket_type", "count", "changed_paths", "reason")
_TABLE = "mismatches"


def show(folder: Folder, run_id: str) -> None:
    """Shows the mismatches of a run that has a verdict."""
    this_run = f"run_id = {text(run_id)}"
    kinds = folder.rows(
        f'SELECT bucket_type, sum("count") AS records FROM mismatches WHERE {this_run} GROUP BY 1 ORDER BY 2 DESC',
        _TABLE,
    )
    if not kinds:
        st.success("Every record of one side was found on the other.")
        return
    paths = folder.rows(
        f'SELECT path, sum(n) AS records FROM (SELECT unnest(changed_paths) AS path, "count" AS n FROM mismatches '
        f"WHERE {this_run}) GROUP BY path ORDER BY records DESC, path LIMIT 20",
        _TABLE,
    )
    left, right = st.columns(2)
    with left:
        charts.bars("Records by kind", {row["bucket_type"]: row["records"] for row in kinds}, "records")
    with right:
        if paths:
            charts.bars("Changed paths", {row["path"]: row["records"] for row in paths}, "changed records")
    left, right = st.columns(2)
    chosen = left.multiselect("Kind", [row["bucket_type"] for row in kinds], placeholder="all")
    part = right.text_input("File contains")
    where = f"{this_run} AND {any_of('bucket_type', chosen)} AND {containing('file_path', part)}"
    rows = folder.rows(
        f"SELECT {names((*_COLUMNS, 'hash'))} FROM mismatches WHERE {where} ORDER BY file_path, bucket_type, hash "
        f"LIMIT {SHOWN_RECORDS}",
        _TABLE,
    )
    if len(rows) == SHOWN_RECORDS:
        st.caption(f"The first {SHOWN_RECORDS} records by file; narrow the filter to see others.")
    listed = [{name: row[name] for name in _COLUMNS} for row in rows]
    show_table(listed, "Records that differ", "No record meets the filter.")
    if rows:
        _show_content(folder, this_run, rows)


def _show_content(folder: Folder, this_run: str, rows: list[Row]) -> None:
    labels = [f"{number}. {row['hash_short']} in {row['file_path']}" for number, row in enumerate(rows, 1)]
    label = st.selectbox("Show the content of a record", labels, index=None, placeholder="none: contents stay hidden")
    if label is None:
        return
    row = rows[labels.index(label)]
    same = " AND ".join(f"{name} = {text(row[name])}" for name in ("hash", "file_path", "bucket_type"))
    query = f"SELECT json_content, backup_content FROM mismatches WHERE {this_run} AND {same} LIMIT 1"
    (found,) = folder.rows(query, _TABLE)
    if row["changed_paths"]:
        st.markdown(plain(f"Changed: {', '.join(row['changed_paths'])}"))
    contents = {"In the source": found["json_content"], "In the backup": found["backup_content"]}
    if row["bucket_type"] == "backup_only":  # it has one content, wherever the table holds it
        contents = {"In the backup": found["backup_content"] or found["json_content"]}
    shown = {side: content for side, content in contents.items() if content is not None}
    if not shown:
        st.info("The table does not hold the content of this record.")
    for column, (side, content) in zip(st.columns(max(1, len(shown))), shown.items(), strict=False):
        column.markdown(side)
        column.code(content[:LONGEST], language="json", wrap_lines=True)
        if len(content) > LONGEST:
            column.caption(f"The first {LONGEST:,} of {len(content):,} characters.")
