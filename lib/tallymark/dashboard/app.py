"""The Streamlit script of the dashboard: `streamlit run lib/tallymark/dashboard/app.py -- OUT[,OUT2...]`.

Reads the arguments and the environment, and hands the output folders to the page that is open. Started by
`make dashboard`.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timezone
from functools import partial

import streamlit as st

from tallymark.dashboard import bulkload, export, ingest, overview, reconcile
from tallymark.dashboard.reading import Folder
from tallymark.dashboard.showing import problems_shown
from tallymark.io.objects import ObjectStore

DEMO = ("build/demo/out", "build/demo-ingest/out", "build/demo-bulkload/out", "build/demo-export/out")


def main(arguments: list[str]) -> None:
    """Shows the page that is open, of the folders that the arguments name."""
    st.set_page_config(page_title="Tallymark", page_icon="✔", layout="wide")
    store = ObjectStore.from_environment(os.environ)
    named = [uri for argument in arguments for uri in argument.split(",") if uri]
    folders = [Folder(uri, store) for uri in dict.fromkeys(named or DEMO)]

    def now() -> datetime:
        return datetime.now(timezone.utc)

    pages = {
        "overview": partial(overview.show, folders),
        "reconcile": partial(reconcile.show, folders),
        "ingest": partial(ingest.show, folders),
        "bulkload": partial(bulkload.show, folders, now),
        "export": partial(export.show, folders),
    }
    page = st.navigation([
        st.Page(show, title=name.capitalize(), url_path=name, default=name == "overview")
        for name, show in pages.items()
    ])  # fmt: skip
    with problems_shown():
        page.run()
    st.sidebar.caption("Times are UTC.")


if __name__ == "__main__":
    main(sys.argv[1:])
