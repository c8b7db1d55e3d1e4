"""An export in a process of its own that kills itself, by SIGKILL, at a chosen moment.

``export_child.py OPTIONS MOMENT NTH``: OPTIONS as JSON; MOMENT names a function and whether its n-th call is fatal
before or after it, such as ``folder.publish:after``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from tallymark.config.export_options import ExportOptions
from tallymark.io.folder import Folder
from tallymark.runs.export import run
from tallymark.runs.export.parts import Parts, RawPart
from tallymark.runs.export.place import Place


def places() -> dict[str, tuple[Any, str]]:
    return {
        "read": (Parts, "_copy"),
        "write": (RawPart, "write"),
        "publish": (Folder, "publish"),
        "checkpoint": (Place, "save"),
        "finish": (Place, "finish"),
        "remove": (Folder, "remove"),
    }


def arm(owner: Any, name: str, moment: str, nth: int) -> None:
    original: Callable[..., Any] = getattr(owner, name)
    calls, lock = 0, threading.Lock()

    def fatal(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        with lock:
            calls += 1
            now = calls == nth
        if now and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if now:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, fatal)


def main() -> None:
    options, point, nth = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    place, _, moment = point.partition(":")
    if place == "delta":
        from tallymark.io import delta_append

        arm(delta_append, "append_once", moment, nth)
    else:
        arm(*places()[place], moment, nth)
    for name in ("columns", "order_by"):
        options[name] = tuple(options.get(name, ()))
    run.export(ExportOptions(**options))


if __name__ == "__main__":
    main()
