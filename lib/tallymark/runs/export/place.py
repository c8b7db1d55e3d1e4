"""The place that an export fills: what an earlier run left there, the checkpoint and its backup, the manifest.

Called by `tallymark.runs.export.run`; what the checkpoint says is `tallymark.export.checkpoint`.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tallymark.config.export_options import ExportOptions
from tallymark.errors import ConfigError, IncompleteError
from tallymark.export.checkpoint import State, decode, encode
from tallymark.io.folder import Folder
from tallymark.io.objects import ObjectStore
from tallymark.io.uris import normalise_uri

MANIFEST = "manifest.json"
_CHECKPOINT = ".checkpoint.json"
_BACKUP = ".checkpoint.backup.json"
_OURS = re.compile(r"part-\d{8}\.(?:csv|jsonl|parquet)")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """``parts`` is the folder of the parts and the checkpoint, ``target`` that of the result; they are the same unless
    the parts become the one thing ``file`` of the latter: a merged file, or a Delta table.
    """

    parts: Folder
    target: Folder
    file: str | None
    keeps_checkpoint: bool

    @classmethod
    def of(cls, store: ObjectStore, options: ExportOptions, check: Callable[[], None]) -> Place:
        """Makes the folders where they are missing; ``check`` is asked before each publication."""
        parts = Folder.at(store, parts_uri(options), check)
        if not _is_one_thing(options):
            return cls(parts, parts, None, options.checkpoint)
        above, _, name = normalise_uri(options.to).rpartition("/")
        return cls(parts, Folder.at(store, above, check), name, options.checkpoint)

    @property
    def manifest_name(self) -> str:
        """The manifest lies in the folder, or beside the one file."""
        return MANIFEST if self.file is None else f"{self.file}.{MANIFEST}"

    def manifest(self) -> dict[str, Any] | None:
        """Returns the manifest of a finished export."""
        content = self.target.read(self.manifest_name)
        return None if content is None else json.loads(content)

    def load(self) -> State | None:
        """Returns what an unfinished run saved, from the backup where the checkpoint is damaged.

        Raises:
            IncompleteError: both are damaged.
        """
        saved = [(name, self.parts.read(name)) for name in (_CHECKPOINT, _BACKUP)]
        if all(content is None for _, content in saved):
            return None
        for name, content in saved:
            state = None if content is None else decode(content)
            if state is not None:
                if name == _BACKUP:
                    _log.warning("The checkpoint in %s is damaged; its backup is taken instead.", self.parts.uri)
                return state
        raise IncompleteError(
            f"the checkpoint in {self.parts.uri} and its backup are damaged: start again with --overwrite"
        )

    def save(self, state: State) -> None:
        """Keeps the state, and the one before as backup."""
        if self.keeps_checkpoint:
            self.parts.copy(_CHECKPOINT, _BACKUP)
            self.parts.write(_CHECKPOINT, encode(state))

    def leftovers(self) -> list[str]:
        """Returns the parts that lie there."""
        return [name for name in self.parts.sizes() if _OURS.fullmatch(name)]

    def clear(self) -> None:
        """Removes everything that an earlier export left; a merged file stays until it is replaced."""
        self.discard_unfinished()
        for name in (_CHECKPOINT, _BACKUP, *self.leftovers()):
            self.parts.remove(name)
        self.target.remove(self.manifest_name)

    def discard_unfinished(self) -> None:
        """Removes what a killed run was writing."""
        for names in ("part-*", _CHECKPOINT, _BACKUP, MANIFEST):
            self.parts.discard(names)

    def finish(self, kept: set[str]) -> None:
        """Removes parts that are not ``kept``, then the checkpoint."""
        for name in self.leftovers():
            if name not in kept:
                self.parts.remove(name)
        for name in (_BACKUP, _CHECKPOINT):
            self.parts.remove(name)

    def close(self) -> None:
        """Removes what is not of the result: the folders for unfinished files that S3 needs."""
        self.parts.close()
        self.target.close()


def parts_uri(options: ExportOptions) -> str:
    """Returns the folder of the parts, which is the one that a run must have for itself.

    Raises:
        ConfigError: there is no place beside which it could be.
    """
    uri = normalise_uri(options.to)
    if not _is_one_thing(options):
        return uri
    above, _, name = uri.rpartition("://")[2].rpartition("/")
    if not above or not name:
        raise ConfigError(f"--to {options.to}: with --merge, or as a Delta table, it has a folder above it")
    return f"{uri}.parts"


def _is_one_thing(options: ExportOptions) -> bool:
    return options.merge or options.format == "delta"


def unfinished(place: Place, options: ExportOptions) -> State | None:
    """Returns the state of the run that is gone on with; None where a new one begins, for which the place is cleared.

    Raises:
        ConfigError: another export is there, and it may be neither continued nor replaced.
        IncompleteError: what is there is damaged.
    """
    if options.resume:
        state = place.load()
        if state is not None or (place.manifest() is not None and not options.overwrite):
            return state
    elif not options.overwrite and place.load() is not None:
        raise ConfigError(
            f"--to {options.to}: an unfinished export is there; --resume goes on with it, --overwrite starts again"
        )
    if not options.overwrite:
        _require_free(place, options)
        return None
    place.clear()
    if options.format == "delta":
        from tallymark.runs.export.delta_parts import empty

        empty(options.to)
    return None


def _require_free(place: Place, options: ExportOptions) -> None:
    found = None
    if place.manifest() is not None:
        found = "a finished export"
    elif place.leftovers():
        found = "parts of an export without a checkpoint"
    elif place.file is not None and place.target.read_size(place.file) is not None:
        found = "a file"
    if found:
        raise ConfigError(f"--to {options.to}: {found} is there; name another place, or replace it with --overwrite")
