"""The dialogue of ``reconcile --interactive``: asks for the main options, shows everything, asks before it starts.

The console and the reading function are given by the job; Ctrl-C and end of input reach it as KeyboardInterrupt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tallymark.command_line import as_text, to_command_line
from tallymark.config.loading import choices, load, option
from tallymark.config.reconcile import ReconcileConfig
from tallymark.config.spelling import suggestion

DEFAULT_OUT = "./tallymark-out"
DEFAULT_REPORT = "./detailed_report.csv"
# Narrower than what the option takes: outside, a run is slow or needs memory that was planned for.
SMALLEST_CHUNK, LARGEST_CHUNK = 10_000, 50_000

_FORMATS = {"1": "jsonl", "2": "array", "3": "csv"}
_FIELDS = ReconcileConfig.model_fields


def ask(defaults: Mapping[str, object], console: Console, read_line: Callable[[str], str]) -> ReconcileConfig | None:
    """Ask for the main options and return the config, or None if the user does not want to start.

    Args:
        defaults: options already given, by field name and not yet validated; each is offered for Enter.
        console: where the explanations, the table and the command line go.
        read_line: prints its argument and returns what was typed, as `input` does.
    """
    # A wrong option that no question covers should not cost the user all the answers.
    given = load(ReconcileConfig, None, {"source": "-", "backup": "-", "out": "-", **defaults})
    dialogue = _Dialogue({name: getattr(given, name) for name in defaults}, console, read_line)
    answers = {
        **defaults,
        "source": dialogue.text("source"),
        "backup": dialogue.text("backup"),
        "out": dialogue.text("out", DEFAULT_OUT),
        "format": dialogue.format(),
        "chunk_size": dialogue.chunk_size(),
        "report": dialogue.text("report", DEFAULT_REPORT),
        "log_level": dialogue.log_level(),
    }
    config = load(ReconcileConfig, None, answers)
    console.print(_settings(config))
    console.print("The same without questions:")
    # Neither wrapped nor taken for markup, so that it can be copied.
    console.print(to_command_line(config, "reconcile"), soft_wrap=True, markup=False, highlight=False)
    return config if dialogue.read("Start? [y/N] ").lower() in ("y", "yes") else None


@dataclass(frozen=True)
class _Dialogue:
    defaults: Mapping[str, Any]
    console: Console
    read_line: Callable[[str], str]

    def read(self, prompt: str) -> str:
        try:
            return self.read_line(prompt).strip()
        except EOFError as error:  # Ctrl-D means the same as Ctrl-C: leave
            raise KeyboardInterrupt from error

    def text(self, name: str, default: str | None = None) -> object:
        given = self.defaults.get(name) or default
        self._say(f"{name}: {_FIELDS[name].description}")
        shown = f" (default {given})" if given else ""
        return self._answer(f"{name}{shown}: ", given, lambda typed: typed)

    def format(self) -> object:
        given = str(self.defaults.get("format", "jsonl"))
        number = {value: key for key, value in _FORMATS.items()}.get(given, given)
        self._say("1) JSON Lines   2) JSON array   3) CSV   (auto: looks at each object)")

        def accept(typed: str) -> str:
            chosen = _FORMATS.get(typed, typed.lower())
            if chosen not in choices(_FIELDS["format"].annotation):
                raise ValueError("Type 1, 2, 3 or auto.")
            return chosen

        return self._answer(f"format (1-3, default {number}): ", given, accept)

    def chunk_size(self) -> object:
        given = self.defaults.get("chunk_size", _FIELDS["chunk_size"].default)
        between = f"{SMALLEST_CHUNK:,}-{LARGEST_CHUNK:,}"

        def accept(typed: str) -> int:
            digits = typed.replace(",", "").replace("_", "")
            if not digits.isdecimal() or len(digits) > 9 or not SMALLEST_CHUNK <= int(digits) <= LARGEST_CHUNK:
                raise ValueError(f"Type a number in {between}; {option('chunk_size')} takes others.")
            return int(digits)

        self._say("chunk size: records held per side while comparing")
        return self._answer(f"chunk size ({between}, default {given:,}): ", given, accept)

    def log_level(self) -> object:
        levels = choices(_FIELDS["log_level"].annotation)
        given = str(self.defaults.get("log_level", _FIELDS["log_level"].default))

        def accept(typed: str) -> str:
            if typed.upper() not in levels:
                raise ValueError(f"Type one of {', '.join(levels)}.{suggestion(typed, levels)}")
            return typed.upper()

        return self._answer(f"log level ({', '.join(levels)}, default {given}): ", given, accept)

    def _answer(self, prompt: str, default: Any, accept: Callable[[str], object]) -> object:
        """Ask until the answer is accepted; Enter takes the default, also one outside of what may be typed."""
        while True:
            typed = self.read(prompt)
            if not typed and default is not None:
                return default
            try:
                if typed:
                    return accept(typed)
                self._say("An answer is needed here; Ctrl-C leaves.")
            except ValueError as error:
                self._say(str(error))

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)


def _settings(config: ReconcileConfig) -> Table:
    table = Table("setting", "value", title="Settings", title_justify="left")
    for name in _FIELDS:
        value = getattr(config, name)
        table.add_row(name, Text("-" if value in (None, ()) else as_text(value), overflow="fold"))
    return table
