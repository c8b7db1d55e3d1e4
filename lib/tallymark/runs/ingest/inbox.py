"""What a run takes in: the objects of a prefix, or pages of the API, spooled below OUT before anything else happens.

A page stays in the spool until its records are committed and published. What a killed run has fetched, the next one
takes along: an API need not give it twice.
"""

from __future__ import annotations

import os
import tempfile
from datetime import datetime, timedelta, timezone
from itertools import chain
from pathlib import Path

from tallymark.config.ingest import IngestConfig
from tallymark.errors import ConfigError
from tallymark.io.log_api import LogApi, read_pages
from tallymark.io.objects import ObjectStore
from tallymark.io.stored import StoredObject
from tallymark.io.uris import join
from tallymark.runs.ingest.begun import Run

_FIRST_WINDOW = timedelta(hours=1)
_HIDDEN = ("_SUCCESS", ".DS_Store")


class Inbox:
    """The objects of one run, and the window that its API was asked for."""

    def __init__(self, run: Run, watermark: str | None) -> None:
        config = run.config
        self._run = run
        self._watermark = watermark
        self._spooled: list[StoredObject] = []
        self.since, self.until = window_of(config, watermark, run.started)

    @property
    def window(self) -> tuple[str | None, str | None]:
        """Start and end of what the API was asked for."""
        return (_text(self.since), _text(self.until)) if self._run.config.api else (None, None)

    @property
    def watermark(self) -> str | None:
        """Up to where the API has been asked, once this run is committed; it never goes back."""
        asked = [_text(self.until)] if self._run.config.api else []
        return max([*asked, *([self._watermark] if self._watermark else [])], default=None)

    def objects(self) -> list[StoredObject]:
        """Return the objects of items; pages are fetched now.

        Raises:
            ConfigError, IncompleteError: the API or the place cannot be read. Pages that came stay in the spool.
        """
        run = self._run
        if run.config.input:
            return input_objects(run.store, run.config.input)
        self._fetch()
        self._spooled = list(run.store.list_objects(run.spool))
        return self._spooled

    def clear(self) -> None:
        """Remove the pages that were taken in."""
        for page in self._spooled:
            self._run.store.delete_object(page.uri)

    def _fetch(self) -> None:
        run, config = self._run, self._run.config
        with tempfile.TemporaryDirectory(prefix="tallymark-") as scratch:
            page = Path(scratch) / "page.json"
            # Named even if nothing comes: the folder is there to be listed.
            pages = read_pages(api_of(config), self.since, self.until, os.environ)
            for number, items in enumerate(chain((b"[]",), pages)):
                page.write_bytes(items)
                run.store.put_file(page, join(run.spool, f"{run.run_id}-{number:06}.json"))


def input_objects(store: ObjectStore, place: str) -> list[StoredObject]:
    """Return the objects of items below a place."""
    return [obj for obj in store.list_objects(place) if obj.path.rpartition("/")[2] not in _HIDDEN]


def api_of(config: IngestConfig) -> LogApi:
    """Return the API that the options describe."""
    return LogApi(
        url=str(config.api),
        pagination=config.pagination,
        calls=config.calls,
        page_param=config.page_param,
        cursor_param=config.cursor_param,
        header_from=config.header_from,
    )


def window_of(config: IngestConfig, watermark: str | None, now: datetime) -> tuple[datetime, datetime]:
    """Return what the API is to be asked for; raise ConfigError if that is nothing."""
    until = _moment(config.until) if config.until else now.replace(microsecond=0)
    if config.since:
        since = _moment(config.since)
    elif watermark:
        since = _moment(watermark) - timedelta(minutes=config.overlap)
    else:
        since = until - _FIRST_WINDOW
    if config.api and since >= until:
        raise ConfigError(f"the window is empty: --since {_text(since)} is not before --until {_text(until)}")
    return since, until


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
