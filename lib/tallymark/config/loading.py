"""Fills the model of a job from a YAML file and the command line, and names what is wrong.

Each option is defined once, as a field: type, default and help. The YAML key is the field's name, the option is the
same name with dashes; `tallymark.command_line` builds its parser from the fields, so the two lists cannot drift.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from tallymark.config.spelling import suggestion
from tallymark.errors import ConfigError


class JobConfig(BaseModel):
    """Base of the options of every job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    has_dialogue: ClassVar[bool] = False  # whether the job offers --interactive
    headings: ClassVar[Mapping[str, str]] = {}  # first field of a group -> what the help writes above it


M = TypeVar("M", bound=JobConfig)


def read_local_text(path: str) -> str:
    """Read a local file; the jobs pass a reader that also knows s3:// and its like."""
    return Path(path).read_text(encoding="utf-8")


def load(
    model: type[M],
    yaml_path: str | None,
    overrides: Mapping[str, object],
    read_text: Callable[[str], str] = read_local_text,
) -> M:
    """Validate the YAML file with the overrides on top; ConfigError lists everything that is wrong."""
    try:
        return model.model_validate(merge(yaml_path, overrides, read_text))
    except ValidationError as error:
        problems = [_problem(model, detail, yaml_path, overrides) for detail in error.errors()]
        raise ConfigError("\n".join(problems)) from error


def merge(
    yaml_path: str | None, overrides: Mapping[str, object], read_text: Callable[[str], str] = read_local_text
) -> dict[str, object]:
    """Lay the overrides over the YAML file, without judging the values."""
    return {**(read_yaml("--conf", yaml_path, read_text) if yaml_path is not None else {}), **overrides}


def option(name: str) -> str:
    """Name the command-line option of a field."""
    return "--" + name.replace("_", "-")


def choices(annotation: Any) -> tuple[str, ...]:
    """List the values that a field is limited to; empty if it is not."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(choice for part in get_args(annotation) for choice in choices(part))


def _problem(model: type[JobConfig], detail: Any, yaml_path: str | None, overrides: Mapping[str, object]) -> str:
    """Say in one line which option, its value, the cause and the next step."""
    if not detail["loc"]:  # of the options together
        return str(detail["msg"]).removeprefix("Value error, ") + "."
    name, *place = detail["loc"]
    label = (option(name) if name in overrides else f"{name} in {yaml_path}") + "".join(f"[{at}]" for at in place)
    field = model.model_fields.get(name)
    if field is None:  # the value stays out: it may be a secret under a misspelt name
        return f"{label}: unknown key.{suggestion(name, model.model_fields) or ' Remove it; --help lists all keys.'}"
    if detail["type"] == "missing":
        return f"{option(name)} is missing ({field.description}): give it, or the key {name} in the file of --conf."
    value, allowed = detail["input"], choices(field.annotation)
    if allowed:
        return f"{label}: {value!r} is not a choice. Take one of {', '.join(allowed)}.{suggestion(str(value), allowed)}"
    cause = detail["msg"].removeprefix("Value error, ").rstrip(".")
    quotes = " Write the value in quotes." if detail["type"] == "string_type" and value is not None else ""
    return f"{label}: {_shown(value, detail['loc'])} cannot be used: {cause}.{quotes} Expected: {field.description}."


def _shown(value: object, place: Sequence[object]) -> str:
    """Write a wrong value, unless it is or holds what should name a secret: it may be the secret itself."""
    if isinstance(value, Mapping) or (value and str(place[-1]).endswith("_from")):
        return "what is given"
    return repr(value)


class _YamlLoader(yaml.SafeLoader):
    """Safe loader which keeps decimals exact and refuses a key given twice (YAML would take the last)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name} is given twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)

    def construct_decimal(self, node: yaml.ScalarNode) -> object:
        try:
            return Decimal(node.value)
        except InvalidOperation:
            return self.construct_yaml_float(node)  # .inf and 1:30.5; the field refuses them


_YamlLoader.add_constructor("tag:yaml.org,2002:float", _YamlLoader.construct_decimal)


def read_yaml(given_by: str, path: str, read_text: Callable[[str], str]) -> dict[str, object]:
    """Read a YAML file of keys with values, decimals kept exact; ConfigError names the option that gave it."""
    try:
        content = yaml.load(read_text(path), Loader=_YamlLoader)  # noqa: S506 - derived from SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{given_by} {path}: cannot be read: {reason}. Check the path and its permissions."
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{given_by} {path}: is not valid YAML: {error}. Correct that line.") from error
    if content is not None and not (isinstance(content, dict) and all(isinstance(key, str) for key in content)):
        raise ConfigError(f"{given_by} {path}: holds no keys with values. Write one 'key: value' per line.")
    return content or {}
