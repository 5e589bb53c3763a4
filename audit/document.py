"""A YAML file into a checked value, with errors that name file, line and the nearest right key.  Knows no schema."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from audit.errors import UsageError, nearest

Shape = TypeVar("Shape", bound=BaseModel)


class Dateless(RoundTripConstructor):
    """Leaves dates as text, so that the schema says what is wrong with a bad one, and where."""


Dateless.add_constructor("tag:yaml.org,2002:timestamp", Dateless.construct_yaml_str)


def read(path: Path, shape: type[Shape]) -> Shape:
    """The file's content as `shape`.  UsageError `file:line: where: what; did you mean ...?` for the first faults."""
    tree = _parse(path)
    try:
        return shape.model_validate(_plain(tree))
    except ValidationError as error:
        faults = [_fault(path, tree, shape, fault) for fault in error.errors()[:5]]
        raise UsageError("\n".join(dict.fromkeys(faults))) from None


def _parse(path: Path) -> Any:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as UTF-8 text: {error}.") from None
    try:
        tree = _tree(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{path}:{line}: not YAML: {error.problem or error.context}.") from None
    except YAMLError as error:
        raise UsageError(f"{path}: not YAML: {error}.") from None
    if not isinstance(tree, dict):
        raise UsageError(f"{path}:1: must hold a mapping of keys, not {type(tree).__name__}.")
    return tree


@lru_cache(maxsize=8)
def _tree(text: str) -> Any:
    """Parsed once, however many lines of it are asked for: nothing here changes a tree."""
    yaml = YAML(typ="rt")
    yaml.Constructor = Dateless
    return yaml.load(text)


def _plain(tree: Any) -> Any:
    """Round-trip containers as plain dicts, lists and scalars."""
    if isinstance(tree, dict):
        return {key: _plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_plain(value) for value in tree]
    for kind in (bool, int, float, str):
        if isinstance(tree, kind):
            return kind(tree)
    return tree


def _fault(path: Path, tree: Any, shape: type[BaseModel], fault: Any) -> str:
    place = tuple(part for part in fault["loc"] if not _is_branch(part))
    where = ".".join(str(part) for part in place)
    line = _line(tree, place)
    if fault["type"] == "extra_forbidden":
        known = _keys(shape, place[:-1])
        return f"{path}:{line}: {where}: not a key; {nearest(str(place[-1]), known)}"
    message = fault["msg"].removeprefix("Value error, ")
    return f"{path}:{line}: {where}: {message[0].lower()}{message[1:]} (got {fault['input']!r:.80})"


def _is_branch(part: Any) -> bool:
    """Pydantic names the branch of a union (`list[...]`, a class) inside the place: it is no part of the file."""
    return isinstance(part, str) and (
        part[:1].isupper() or "[" in part or part in {"str", "int", "float", "bool", "dict"}
    )


def _line(tree: Any, place: tuple[Any, ...]) -> int:
    line: int = 0
    for part in place:
        try:
            marks: Any = tree.lc  # type: ignore[attr-defined,unused-ignore]
            mark = marks.key(part) if isinstance(tree, dict) else marks.item(part)
            line, tree = mark[0], tree[part]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return int(line) + 1


def _keys(shape: Any, place: tuple[Any, ...]) -> list[str]:
    """The keys that a model allows at a place."""
    for part in place:
        if isinstance(part, int):
            continue
        field = getattr(shape, "model_fields", {}).get(part) or _by_alias(shape, part)
        if field is None:
            return []
        shape = _model_in(field.annotation) or shape
    return [field.alias or name for name, field in getattr(shape, "model_fields", {}).items()]


def _by_alias(shape: Any, alias: str) -> Any:
    return next((f for f in getattr(shape, "model_fields", {}).values() if f.alias == alias), None)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)


def line(path: Path, place: tuple[str | int, ...]) -> int:
    """The line (from 1) on which a part of the file starts; the nearest part above it where it is not written."""
    return _line(_parse(path), place)
