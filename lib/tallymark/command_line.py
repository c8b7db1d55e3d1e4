"""The command line of a job, made from the fields of its model, and the way back from a config to a command line.

The values are not judged here: they travel as text into `tallymark.config.loading.load`, which reports all problems
at once.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tallymark.config.fields import join_list
from tallymark.config.loading import JobConfig, M, choices, load, option
from tallymark.config.spelling import suggestion
from tallymark.errors import ConfigError

PROGRAM = "./spark-submit.sh"


@dataclass(frozen=True)
class Arguments:
    """What stood on the command line, not yet validated."""

    conf: str | None
    interactive: bool
    overrides: dict[str, object]


def read_arguments(model: type[JobConfig], prog: str, argv: Sequence[str]) -> Arguments:
    """Split argv into options; unknown, repeated and abbreviated ones raise ConfigError, --help prints and exits."""
    parser = _parser(model, prog)
    known, rest = parser.parse_known_args(list(argv))
    unknown = [token.partition("=")[0] for token in rest if token.startswith("-")]
    if rest:
        names = [name for action in parser._actions for name in action.option_strings]  # the only list argparse has
        lines = [f"{name}: unknown option.{suggestion(name.replace('_', '-'), names)}" for name in unknown]
        lines = lines or [f"{rest[0]!r}: stands alone. Values follow an option: --source PLACE."]
        raise ConfigError("\n".join(lines) + f"\nSee {PROGRAM} {prog} --help.")
    overrides = vars(known)
    return Arguments(overrides.pop("conf", None), overrides.pop("interactive", False), overrides)


def parse(model: type[M], prog: str, argv: Sequence[str], read_text: Callable[[str], str]) -> M:
    """Validate argv on top of the file that --conf names; a job with a dialogue calls `read_arguments` itself."""
    arguments = read_arguments(model, prog, argv)
    if arguments.interactive:
        raise ConfigError("--interactive: nobody can be asked here. Give the options instead.")
    return load(model, arguments.conf, arguments.overrides, read_text)


def to_command_line(config: JobConfig, job: str) -> str:
    """Write the command that gives this config again, quoted for a shell; defaults are left out."""
    words = [PROGRAM, job]
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if not field.is_required() and value == field.default:
            continue
        if isinstance(value, bool):
            words.append(option(name) if value else option("no_" + name))
            continue
        text = as_text(value)
        # A separate word that starts with a dash would be taken for an option.
        words += [f"{option(name)}={text}"] if text.startswith("-") else [option(name), text]
    return shlex.join(words)


def as_text(value: object) -> str:
    """Write a value the way its option takes it.

    >>> as_text((100, 500)), as_text({"GET": 1})
    ('100,500', '{"GET": 1}')
    """
    if isinstance(value, tuple) and not any(isinstance(item, BaseModel) for item in value):
        return join_list(tuple(map(str, value)))
    if isinstance(value, tuple | Mapping | BaseModel):
        return json.dumps(value, default=lambda model: model.model_dump(mode="json"), ensure_ascii=False)
    return str(value)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        hint = " (a value that starts with a dash needs --option=VALUE)" if "expected one argument" in message else ""
        raise ConfigError(f"{message}{hint}.\nSee {self.prog} --help.")


class _Once(argparse.Action):
    """Refuses a repeated option: the last would silently win, and a second --mask would undo the first."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        if hasattr(namespace, self.dest):
            parser.error(f"{option_string}: given twice, give it once")
        # argparse of Python 3.10 and 3.11 takes the two dashes of --option=-- for its own separator
        setattr(namespace, self.dest, "--" if values == [] and self.nargs is None else values)


class _Switch(_Once):
    """--flag and --no-flag: sets a truth value and takes no argument."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, _values: Any, option_string: Any = None
    ) -> None:
        super().__call__(parser, namespace, not str(option_string).startswith("--no-"), option_string)


class _HelpLayout(argparse.HelpFormatter):
    """Names on a line of their own where they are long; never wider than 100 columns, which nobody likes to read."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=min(100, shutil.get_terminal_size().columns) - 1)


def _parser(model: type[JobConfig], prog: str) -> _Parser:
    parser = _Parser(
        prog=f"{PROGRAM} {prog}",
        usage="%(prog)s [--conf FILE] [options]",  # the generated one would take ten lines
        description="Each option is also a key of the YAML file, with _ for -. The command line wins over the file. "
        "Lists are separated by commas.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=_HelpLayout,
    )
    parser.add_argument("--conf", metavar="FILE", action=_Once, help="YAML file with any of the options below")
    if model.has_dialogue:
        parser.add_argument("--interactive", action="store_true", help="ask for the main options, show them, confirm")
    group: argparse._ActionsContainer = parser
    for name, field in model.model_fields.items():
        if name in model.headings:
            group = parser.add_argument_group(model.headings[name])
        _add_option(group, name, field)
    return parser


def _add_option(group: argparse._ActionsContainer, name: str, field: FieldInfo) -> None:
    text = f"{field.description}{_default_text(field)}".replace("%", "%%")
    if field.annotation is bool:
        group.add_argument(option(name), option("no_" + name), dest=name, action=_Switch, nargs=0, help=text)
        return
    allowed = choices(field.annotation)
    if allowed:
        metavar = "{" + ",".join(allowed) + "}"
    elif field.annotation is int:
        metavar = "N"
    else:
        kinds: dict[Any, str] = {tuple: "LIST", Mapping: "JSON"}
        metavar = kinds.get(get_origin(field.annotation), "PLACE" if field.is_required() else "VALUE")
    group.add_argument(option(name), dest=name, action=_Once, metavar=metavar, help=text)


def _default_text(field: FieldInfo) -> str:
    if field.is_required():
        return " (required)"
    if field.default is None or field.default == ():
        return ""
    default = {True: "yes", False: "no"}[field.default] if isinstance(field.default, bool) else as_text(field.default)
    return f" (default: {default.replace(',', ', ')})"
