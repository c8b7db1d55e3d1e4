"""The options of a job: one model per job, filled from YAML, then from the command line on top.

Each option is defined once, as a field: type, default and help. The YAML key is the field's name, the option is the
same name with dashes; `tallymark.command_line` builds its parser from the fields, so the two lists cannot drift.
Whether a JSONPath is well formed and whether places overlap is checked by those who know JSONPaths and places.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tallymark.errors import ConfigError

_QUOTED = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
# Either quoted as a whole, or anything but a comma, where brackets keep theirs. An apostrophe elsewhere is a letter.
_ITEM = re.compile(rf"""\s*(?:{_QUOTED})\s*(?=,|\Z)|(?:\[(?:{_QUOTED}|[^\]'"])*\]|[^,\[])*""", re.DOTALL)


def split_list(text: str) -> tuple[str, ...]:
    """Split at commas, but not inside brackets or quotes; a JSON array of strings is taken literally.

    >>> split_list("$.a, $['b,c']")
    ('$.a', "$['b,c']")
    >>> split_list('["one,name"]')
    ('one,name',)
    """
    if text.startswith("["):
        try:
            array = json.loads(text)
        except (ValueError, RecursionError):
            array = None  # a glob such as [ab]*.json
        if isinstance(array, list) and all(isinstance(item, str) for item in array):
            return tuple(array)
    items, at = [], 0
    while text.strip() and (found := _ITEM.match(text, at)):
        item = found[0].strip()
        items.append(item[1:-1] if len(item) > 1 and item[0] == item[-1] and item[0] in "'\"" else item)
        if found.end() == len(text):
            break
        if text[found.end()] != ",":
            raise ValueError('a bracket or quote is not closed; if that is meant, write a JSON list: ["a[", "b"]')
        at = found.end() + 1
    return tuple(items)


def join_list(items: tuple[str, ...]) -> str:
    """Write a list so that `split_list` gives it back: with commas where that is enough, else as JSON."""
    text = ",".join(items)
    try:
        return text if split_list(text) == items else json.dumps(items, ensure_ascii=False)
    except ValueError:
        return json.dumps(items, ensure_ascii=False)


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("it is empty")
    return value


def _json_path(value: str) -> str:
    if not value.startswith("$"):
        raise ValueError(f"a JSONPath starts with $, such as $.{value.lstrip('.') or 'name'}")
    return value


def _number(value: object) -> object:
    if isinstance(value, bool):  # True is 1 to Python, but nobody means one record by it
        raise ValueError("a truth value is not a number")  # noqa: TRY004 - pydantic collects ValueError only
    return value


_split = BeforeValidator(lambda value: split_list(value) if isinstance(value, str) else value)
_upper = BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)

Text = Annotated[str, AfterValidator(_not_blank)]
Names = Annotated[tuple[Text, ...], _split]
JsonPaths = Annotated[tuple[Annotated[str, AfterValidator(_json_path)], ...], _split]
# Twenty places keep the percentage exact and keep 1e-999999 from becoming a fraction of a million digits.
Percentage = Annotated[Decimal, BeforeValidator(_number), Field(ge=0, le=100, decimal_places=20)]
ChunkSize = Annotated[int, BeforeValidator(_number), Field(ge=1, le=1_000_000)]
# It becomes part of paths, so no dot in front: .. leaves the folder, .x is hidden.
RunId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], _upper]


class JobConfig(BaseModel):
    """Base of the options of every job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    has_dialogue: ClassVar[bool] = False  # whether the job offers --interactive
    headings: ClassVar[Mapping[str, str]] = {}  # first field of a group -> what the help writes above it


class ReconcileConfig(JobConfig):
    """The options of ``reconcile``."""

    has_dialogue: ClassVar[bool] = True
    headings: ClassVar[Mapping[str, str]] = {
        "source": "places",
        "format": "what counts as the same record",
        "threshold": "proof and verdict",
        "chunk_size": "the run",
    }

    source: Text = Field(description="folder or prefix where the records come from")
    backup: Text = Field(description="folder or prefix where they must have arrived")
    out: Text = Field(description="folder for the result tables and reports")
    report: Text | None = Field(default=None, description="path of the cumulative CSV, else OUT/detailed_report.csv")
    exclude: Names = Field(
        default=("_SUCCESS", "*.crc", "_committed_*", "_started_*", ".DS_Store"),
        description="globs of objects never compared: of the name, or of the relative path if the glob has a slash",
    )
    format: Literal["auto", "jsonl", "array", "csv"] = Field(default="auto", description="auto looks at each object")
    key: Names = Field(default=(), description="fields that tie a changed record to its original: a,b or $.a.b")
    ignore: JsonPaths = Field(default=(), description="JSONPaths left out of the comparison")
    unordered: JsonPaths = Field(default=(), description="JSONPaths of arrays whose order does not matter")
    unicode: Literal["exact", "nfc"] = Field(default="exact", description="texts as they are, or in normal form C")
    numbers: Literal["exact", "lexical"] = Field(default="exact", description="by value (1 = 1.0), or as written")
    mask: JsonPaths = Field(default=(), description="JSONPaths whose values reports and tables show as ***")
    threshold: Percentage = Field(default=Decimal(100), description="lowest match rate that passes, 0 to 100 percent")
    proof: Literal["fast", "full"] = Field(default="fast", description="cheapest sound proof, or read every record")
    ledger: bool = Field(default=True, description="do not read again what an earlier run compared, unchanged")
    fail_on_empty: bool = Field(default=False, description="count a source without any record as a difference")
    chunk_size: ChunkSize = Field(default=20_000, description="records held per side while comparing, 1 to 1000000")
    run_id: RunId | None = Field(default=None, description="name of the run, 1 to 64 of A-Z a-z 0-9 _ - . (not first)")
    log_level: LogLevel = Field(default="INFO", description="how much is logged")

    @property
    def report_path(self) -> str:
        """Where the cumulative CSV goes."""
        return self.report or f"{self.out.rstrip('/')}/detailed_report.csv"

    def excludes(self, relative_path: str) -> bool:
        """Tell whether an object, named by its path below source or backup, is never compared."""
        name = relative_path.rpartition("/")[2]
        return any(fnmatchcase(relative_path if "/" in glob else name, glob) for glob in self.exclude)


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
    return {**(_read_yaml(yaml_path, read_text) if yaml_path is not None else {}), **overrides}


def option(name: str) -> str:
    """Name the command-line option of a field."""
    return "--" + name.replace("_", "-")


def choices(annotation: Any) -> tuple[str, ...]:
    """List the values that a field is limited to; empty if it is not."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(choice for part in get_args(annotation) for choice in choices(part))


def suggestion(wrong: str, names: Iterable[str]) -> str:
    """Name the nearest right spelling, as a sentence; empty if nothing is near."""
    spelt = {name.lower(): name for name in names}
    nearest = difflib.get_close_matches(wrong.lower(), spelt, n=1)
    return f" Did you mean {spelt[nearest[0]]}?" if nearest else ""


def _problem(model: type[JobConfig], detail: Any, yaml_path: str | None, overrides: Mapping[str, object]) -> str:
    """Say in one line which option, its value, the cause and the next step."""
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
    return f"{label}: {value!r} cannot be used: {cause}.{quotes} Expected: {field.description}."


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


def _read_yaml(path: str, read_text: Callable[[str], str]) -> dict[str, object]:
    try:
        content = yaml.load(read_text(path), Loader=_YamlLoader)  # noqa: S506 - derived from SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"--conf {path}: cannot be read: {reason}. Check the path and its permissions.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"--conf {path}: is not valid YAML: {error}. Correct that line.") from error
    if content is not None and not (isinstance(content, dict) and all(isinstance(key, str) for key in content)):
        raise ConfigError(f"--conf {path}: holds no keys with values. Write one 'key: value' per line.")
    return content or {}
