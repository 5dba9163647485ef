"""YAML documents, read strictly: one meaning for every key, errors that name it."""

import reprlib
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from flanlib.errors import FlanlibError


class _Loader(yaml.CSafeLoader):
    """The safe loader, which besides refuses a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"key {key.value!r} stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read(path: Path, schema: Any, error: type[FlanlibError]) -> Any:
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
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except UnicodeDecodeError as problem:
        raise error(f"{path}: not UTF-8 (byte {problem.start}); save it as UTF-8") from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        what = getattr(problem, "problem", None) or str(problem)
        raise error(f"{path}{line}: not YAML: {what}") from None
    if not isinstance(content, dict):
        kind = "empty" if content is None else f"a {type(content).__name__}"
        raise error(f"{path}: {kind}, not a mapping of fields")
    try:
        return TypeAdapter(schema).validate_python(content)
    except ValidationError as problem:
        raise error(f"{path}: {_explained(problem, content)}") from None


def _explained(problem: ValidationError, content: dict[str, Any]) -> str:
    """Entry, field and fault of the first thing that does not fit."""
    first = problem.errors()[0]
    where = _place([*first["loc"]], content)
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{where}: there is no such field"
    if first["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{where}: missing"
    return f"{where}: {first['msg']}; found {reprlib.repr(first['input'])}"


def _place(loc: list[Any], content: dict[str, Any]) -> str:
    """`template 't1', input` for templates.0.input, where an entry has a name."""
    if len(loc) > 2 and isinstance(loc[1], int):
        entry = content[loc[0]][loc[1]]
        name = isinstance(entry, dict) and (entry.get("id") or entry.get("key"))
        if name:
            return f"{loc[0].removesuffix('s')} {name!r}, {'.'.join(map(str, loc[2:]))}"
    return ".".join(map(str, loc))
