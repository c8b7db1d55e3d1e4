"""Every error that Tallymark raises on purpose, and the exit code that each one means.

    TallymarkError                 base: catch it to catch all of them
    ├── ConfigError                2  the command line, the YAML or the named place is wrong
    ├── IncompleteError            3  something could not be read or written
    │   ├── ObjectError               one object: becomes an ERROR row, the others go on
    │   └── AccountingError           an equation does not hold: a defect of ours, never reported as a match
    ├── LockedError                4  another run holds the lock
    └── RefusedError               1  what was written fails its rules; the former publication stays

Anything else that reaches the top is a defect and keeps its traceback. Imports nothing of the package.
"""

from __future__ import annotations

EXIT_MATCH = 0
EXIT_DIFFERENT = 1
EXIT_CONFIG = 2
EXIT_INCOMPLETE = 3
EXIT_LOCKED = 4
EXIT_INTERRUPTED = 130


class TallymarkError(Exception):
    """Base of all errors of the package; ``exit_code`` is what the process returns."""

    exit_code = EXIT_INCOMPLETE


class ConfigError(TallymarkError):
    """The command line, the YAML file or a place named by them is wrong."""

    exit_code = EXIT_CONFIG


class IncompleteError(TallymarkError):
    """Something could not be read or written, so the run cannot vouch for everything."""


class ObjectError(IncompleteError):
    """One object could not be read: it becomes an ERROR row and the others go on.

    ``reason`` is a stable code in capitals (``TRUNCATED_GZIP``), ``detail`` says what was seen and
    what to do next. Pickles by its three arguments, because it travels from executors.
    """

    def __init__(self, uri: str, reason: str, detail: str) -> None:
        super().__init__(uri, reason, detail)
        self.uri = uri
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason} on {self.uri}: {self.detail}"


class AccountingError(IncompleteError):
    """The accounting equations do not hold for a row that was about to be reported."""


class LockedError(TallymarkError):
    """Another run works on the same output."""

    exit_code = EXIT_LOCKED


class RefusedError(TallymarkError):
    """The rows that this run has written fail their rules: they are not published.

    ``incomplete``: something could not be read either, which outranks it.
    """

    exit_code = EXIT_DIFFERENT

    def __init__(self, message: str, *, incomplete: bool = False) -> None:
        super().__init__(message)
        if incomplete:
            self.exit_code = EXIT_INCOMPLETE
