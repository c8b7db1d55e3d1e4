"""The end of one export: count, verify, merge, manifest, then clean up. Each step may be done twice.

Called by `tallymark.runs.export.run`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from tallymark.config.export_options import ExportOptions
from tallymark.errors import IncompleteError
from tallymark.export.checkpoint import SNAPSHOT, Change, State
from tallymark.export.manifest import Harm, Source, manifest
from tallymark.runs.export.memory import peak_bytes
from tallymark.runs.export.parts import csv_header
from tallymark.runs.export.place import Place
from tallymark.runs.export.reading import Reading

Judge = Callable[[Mapping[str, Any]], None]


def finish(
    place: Place,
    options: ExportOptions,
    reading: Reading,
    state: State,
    changes: Sequence[Change],
    seconds: float,
    judge: Judge,
) -> dict[str, Any]:
    """Proves and publishes the result; returns the manifest.

    Args:
        judge: is shown the manifest before it is written, and raises RefusedError where it must not be.

    Raises:
        AccountingError: the files do not hold the rows of the snapshot.
        IncompleteError: a chunk could not be verified.
    """
    counted = reading.count() if state.consistency == SNAPSHOT else None
    if options.verify:
        state = _verified(state, reading)
    made = manifest(
        state,
        _source(reading),
        file_format=options.format,
        counted=counted,
        file=_merge(place, options, reading, state) if options.merge else None,
        changes=changes,
        harm=Harm(state.longest_transaction, reading.oldest_xmin_age()),
        seconds=seconds,
        verified=options.verify,
        peak_memory=peak_bytes(),
    )
    judge(made)
    place.target.write(place.manifest_name, as_json(made))
    _clean(place, made)
    return made


def finish_again(place: Place, made: dict[str, Any]) -> dict[str, Any]:
    """Cleans up after a run that was killed between its manifest and its end."""
    _clean(place, made)
    return made


def as_json(made: dict[str, Any]) -> bytes:
    """Writes a manifest for people and programs."""
    return (json.dumps(made, ensure_ascii=False, indent=2) + "\n").encode()


def _clean(place: Place, made: dict[str, Any]) -> None:
    place.finish({chunk["part"] for chunk in made["chunks"]} if place.file is None else set())


def _verified(state: State, reading: Reading) -> State:
    for holds, what in (
        (reading.parts.both_hold, "the source, read again in the same snapshot, holds other rows than the parts for"),
        (reading.parts.file_holds, "the file, read again, is not what was written for"),
    ):
        wrong = sorted(reading.parts.differing(state.chunks, holds))
        if wrong:
            named = ", ".join(map(str, wrong[:10])) + (" ..." if len(wrong) > 10 else "")
            raise IncompleteError(f"{what} {len(wrong)} chunks ({named}): export again with --overwrite")
    return replace(state, chunks=tuple(replace(chunk, verified=True) for chunk in state.chunks))


def _source(reading: Reading) -> Source:
    plan = reading.plan
    return Source(
        server=reading.server,
        server_version=reading.server_version,
        tls=reading.tls,
        table=str(plan.table),
        columns=[
            {"name": column.name, "type": column.declared, "fallback": reading.fallbacks.get(column.name)}
            for column in plan.columns
        ],
        where=plan.cutter.selection.where,
        mode=plan.mode,
        order=plan.order,
        warnings=plan.warnings,
    )


def _merge(place: Place, options: ExportOptions, reading: Reading, state: State) -> dict[str, Any]:
    """Joins the parts in their order into the one file, and publishes it whole."""
    assert place.file is not None
    digest, size = sha256(), 0
    with open(place.target.temporary(place.file), "wb") as target:

        def write(block: bytes) -> None:
            nonlocal size
            target.write(block)
            digest.update(block)
            size += len(block)

        if options.format == "csv":
            plan = reading.plan
            write(
                reading.sessions.run(
                    lambda connection: csv_header(connection, plan.cutter, plan.table.identifier), "reading the header"
                )[0]
            )
        for chunk in state.chunks:
            if chunk.part is not None:
                for block in place.parts.chunks(chunk.part):
                    write(block)
    place.target.publish(place.file)
    return {"name": place.file, "bytes": size, "sha256": digest.hexdigest()}
