"""YAML documents, read strictly: one meaning for every key, errors that name it."""

import re
import types
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from flanlib.core import naming
from flanlib.core.errors import FlanlibError

Document = TypeVar("Document")

DEEPEST = 50
MOST_VALUES = 200_000
LONGEST_NUMBER = 100
_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
_ADDED = ("extra_forbidden", "unexpected_keyword_argument")
_ABSENT = ("missing", "missing_argument", "missing_keyword_only_argument")


class _Fault(yaml.MarkedYAMLError):
    """What is wrong with a document, and where."""

    def __init__(self, problem: str, mark: yaml.Mark) -> None:
        super().__init__(problem=problem, problem_mark=mark)


class _Loader(yaml.CSafeLoader):
    """The safe loader, which names the line of a value that it cannot hold."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            if node.tag.endswith((":int", ":float")) and len(node.value) > LONGEST_NUMBER:
                raise ValueError("too long for a number")
            if node.tag.endswith(":int") and not re.fullmatch("[+-]?(0|[1-9][0-9]*)", node.value):
                raise ValueError("write a number in plain digits, or a text in quotes")
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:
            raise _Fault(f"{naming.shown(node.value)}: {error}", node.start_mark) from None


def read(path: Path, schema: type[Document], error: type[FlanlibError]) -> Document:
    """A document's content as the schema's type.

    Parameters
    ----------
    schema
        A pydantic dataclass.
    error
        What to raise, naming file, entry and field, when the file is not YAML
        in UTF-8 or does not fit the schema.
    """
    try:
        content = _content(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror})") from None
    except UnicodeDecodeError as problem:
        raise error(f"{path}: not UTF-8 (byte {problem.start}); save it as UTF-8") from None
    except (yaml.YAMLError, RecursionError) as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        what = " ".join((getattr(problem, "problem", None) or str(problem)).split())
        raise error(f"{path}{line}: not YAML: {naming.shortened(what)}") from None
    if not isinstance(content, dict):
        kind = "empty" if content is None else f"a {type(content).__name__}"
        raise error(f"{path}: {kind}, not a mapping of fields")
    try:
        return TypeAdapter(schema).validate_python(content)
    except ValidationError as problem:
        raise error(f"{path}: {_explained(problem, content, schema)}") from None


def _content(text: str) -> object:
    """What one document says; its size is known before any of it is built."""
    _bound(yaml.parse(text, Loader=yaml.CSafeLoader))
    loader = _Loader(text)
    try:
        if (node := loader.get_single_node()) is None:
            return None
        _check_keys(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _bound(events: Iterable[yaml.Event]) -> None:
    """Refuse what is too deep, or too large once its aliases are written out."""
    sizes: dict[str, int] = {}
    within: list[list[Any]] = [["", 0]]  # anchor and size of every collection that is open
    for event in events:
        if getattr(event, "tag", None):
            raise _Fault(
                f"could not determine what tag {naming.shown(event.tag)} means; remove it",
                event.start_mark,
            )
        if isinstance(event, yaml.CollectionStartEvent):
            within.append([event.anchor, 1])
            if len(within) > DEEPEST:
                raise _Fault(f"nested deeper than {DEEPEST} levels", event.start_mark)
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = within.pop()
        elif isinstance(event, yaml.AliasEvent):
            if any(event.anchor == anchor for anchor, _ in within):
                raise _Fault(f"alias {event.anchor!r} stands in itself", event.start_mark)
            anchor, size = None, sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
        else:
            continue
        within[-1][1] += size
        if anchor:
            sizes[anchor] = size
        if within[-1][1] > MOST_VALUES:
            raise _Fault(f"more than {MOST_VALUES} values, aliases included", event.start_mark)


def _check_keys(root: yaml.Node) -> None:
    """Every key is text and stands once in its mapping."""
    left, done = [root], set()
    while left:
        node = left.pop()
        if id(node) in done or isinstance(node, yaml.ScalarNode):
            continue
        done.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            left += node.value
            continue
        seen: set[str] = set()
        for key, value in node.value:
            left.append(value)
            if not isinstance(key, yaml.ScalarNode):
                raise _Fault(f"a {key.id} as a key; a key is one word", key.start_mark)
            if key.tag not in (_TEXT, _MERGE):
                kind = key.tag.rpartition(":")[2]
                found = naming.shown(key.value)
                raise _Fault(f"key {found} is read as {kind}; put it in quotes", key.start_mark)
            if key.value in seen:
                raise _Fault(f"key {naming.shown(key.value)} stands twice", key.start_mark)
            seen.add(key.value)


def _explained(problem: ValidationError, content: dict[str, Any], schema: type) -> str:
    """Entry, field and fault of the first thing that does not fit; misspelt fields go first."""
    errors = problem.errors()
    first = next((one for one in errors if one["type"] in _ADDED), errors[0])
    where = _place([*first["loc"]], content)
    if first["type"] in _ADDED:
        known = naming.alternatives(str(first["loc"][-1]), _names(schema, first["loc"][:-1]))
        return f"{where}: there is no such field{known}"
    if first["type"] in _ABSENT:
        return f"{where}: missing"
    said = first["msg"].removeprefix("Value error, ")
    if first["type"] in ("tuple_type", "too_short"):  # what a document has are lists
        said = said.replace("tuple", "list").replace("Tuple", "List")
    quote = first["type"] == "string_type" and not isinstance(first["input"], dict | list)
    return f"{where}: {said}; found {naming.shown(first['input'])}" + (
        "; put it in quotes" if quote else ""
    )


def _place(loc: list[Any], content: dict[str, Any]) -> str:
    """`template 't1', input` for templates.0.input, where an entry has a name."""
    parts = [part if isinstance(part, int) else naming.shown(part)[1:-1] for part in loc]
    if len(loc) > 2 and isinstance(loc[1], int):
        entry = content[loc[0]][loc[1]]
        name = isinstance(entry, dict) and (entry.get("id") or entry.get("key"))
        if name:
            rest = ".".join(map(str, parts[2:]))
            return f"{parts[0].removesuffix('s')} {naming.shown(name)}, {rest}"
    return ".".join(map(str, parts))


def _names(schema: object, loc: Iterable[object]) -> list[str]:
    """Fields that a part of a document may have."""
    for part in loc:
        if isinstance(part, int) or not is_dataclass(schema):
            schema = next(iter(get_args(schema)), None)
        else:
            schema = get_type_hints(schema).get(part)
        if get_origin(schema) in (Union, types.UnionType):
            schema = get_args(schema)[0]
    return [field.name for field in fields(schema)] if is_dataclass(schema) else []
