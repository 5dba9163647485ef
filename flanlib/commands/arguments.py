"""Command-line arguments made from typed signatures and numpydoc.

A verb is a function. Its parameters become options, their types check what
is typed, their docstrings are the help. A parameter that is a dataclass
(factors, recipe, settings) stands for its fields. With `like`, a verb's
`**given` stands for the parameters of the function it hands them to, so that
a default and its meaning are written down once; options that many verbs have
are explained in `SHARED`.
"""

import argparse
import inspect
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

from flanlib.core import naming
from flanlib.core.errors import ParameterError

HIDDEN = {"catalogue", "progress", "say", "mixture", "phases", "adapter_of"}
ALIASES = {"tasks": "--task", "clusters": "--cluster", "models": "--model"}
# Help of options whose meaning is the same in every verb that says nothing else.
SHARED = {
    "collection": "Name below data/, or a folder.",
    "device": "Without it, CUDA where there is a device, else the CPU.",
    "dtype": "Of computing; without it, bfloat16 where device and weights suggest it.",
    "format": "How it is printed.",
    "only": "Figures, by name or its beginning, such as fig5.",
    "rows": "Folder of local rows; without it, the collection's own source.",
}


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One parameter of a verb, or one field of a dataclass it takes.

    Attributes
    ----------
    type
        Of one value, as annotated.
    default
        MISSING where it has to be given.
    help
        What its docstring says; empty where nothing does.
    part
        Parameter the field belongs to; empty for a parameter itself.
    several
        Whether it takes a list.
    positional
        Whether it is given without its name.
    """

    name: str
    type: Any
    default: object
    help: str
    part: str = ""
    several: bool = False
    positional: bool = False

    @property
    def destination(self) -> str:
        """Where argparse keeps it."""
        return f"{self.part}.{self.name}" if self.part else self.name


def like(source: str, **values: str) -> Callable[[Callable], Callable]:
    """Let a verb's `**given` stand for another function's parameters.

    Parameters
    ----------
    source
        `module:function`; imported when the verb's arguments are wanted.
    values
        Help of parameters that the verb words differently.
    """

    def mark(verb: Callable) -> Callable:
        verb.source, verb.words = source, values
        return verb

    return mark


@cache
def arguments(verb: Callable) -> Sequence[Argument]:
    """Everything a verb can be told."""
    found: list[Argument] = []
    for parameter in _signature(verb).values():
        if parameter.kind is parameter.VAR_KEYWORD:
            known = {argument.name for argument in found}
            found += [a for a in _borrowed(verb) if a.name not in known]
        elif is_dataclass(parameter.annotation):
            found += _fields(parameter)
        else:
            found.append(_argument(parameter, _words(verb)))
    return found


def _words(verb: Callable) -> dict[str, str]:
    """Help of a verb's own and borrowed parameters; its own words come first."""
    if not hasattr(verb, "source"):
        return {**SHARED, **documented(verb)}
    return {**documented(_source(verb)), **SHARED, **verb.words, **documented(verb)}


def _source(verb: Callable) -> Callable:
    module, _, name = verb.source.partition(":")
    return getattr(import_module(module), name)


def _borrowed(verb: Callable) -> Iterator[Argument]:
    words, own = _words(verb), _signature(verb)
    for parameter in _signature(_source(verb)).values():
        if parameter.name not in HIDDEN and parameter.name not in own:
            option = parameter.replace(kind=parameter.KEYWORD_ONLY)
            yield _argument(option, words)


def _signature(function: Callable) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function, eval_str=True).parameters)


def _fields(parameter: inspect.Parameter) -> Iterator[Argument]:
    kind = parameter.annotation
    types = typing.get_type_hints(kind, include_extras=True)
    meanings = getattr(import_module(kind.__module__), "MEANINGS", {})
    words = {**meanings, **documented(kind)}
    given = parameter.default if parameter.default is not parameter.empty else None
    for one in fields(kind):
        default = one.default if one.default is not MISSING else None
        if given is not None:
            default = getattr(given, one.name)
        inner, several = _shape(types[one.name])
        yield Argument(
            name=one.name,
            type=inner,
            default=default,
            help=words.get(one.name, ""),
            part=parameter.name,
            several=several,
        )


def _argument(parameter: inspect.Parameter, words: dict[str, str]) -> Argument:
    inner, several = _shape(parameter.annotation)
    variable = parameter.kind is parameter.VAR_POSITIONAL
    required = parameter.default is parameter.empty and not variable
    return Argument(
        name=parameter.name,
        type=inner,
        default=() if variable else MISSING if required else parameter.default,
        help=words.get(parameter.name, ""),
        several=several or variable,
        positional=variable or (required and parameter.kind is parameter.POSITIONAL_OR_KEYWORD),
    )


def _shape(kind: object) -> tuple[object, bool]:
    """Type of one value, and whether there may be several."""
    if typing.get_origin(kind) in (typing.Union, UnionType):
        members = [t for t in typing.get_args(kind) if t is not NoneType]
        return _shape(next((t for t in members if _plain(t) is not str), members[0]))
    if typing.get_origin(kind) in (tuple, list, Sequence):
        return typing.get_args(kind)[0], True
    return kind, False


def _plain(kind: object) -> object:
    """A type without its annotations."""
    return typing.get_args(kind)[0] if hasattr(kind, "__metadata__") else kind


@cache
def documented(thing: Callable | type) -> dict[str, str]:
    """Parameter or attribute -> what the numpydoc of a function or class, `thing`, says of it."""
    from flanlib.reporting import reference

    found = reference.meanings(inspect.getdoc(thing) or "")
    return {name: " ".join(words.split()) for name, words in found.items()}


def summary(thing: Callable) -> str:
    """First line of the docstring of `thing`."""
    return (inspect.getdoc(thing) or "").split("\n", 1)[0]


def fill(parser: argparse.ArgumentParser, found: Sequence[Argument]) -> None:
    """Add arguments to a `parser`; those of a dataclass form a group."""
    groups: dict[str, argparse._ActionsContainer] = {}
    for argument in found:
        title = argument.part or "options"
        if title not in groups:
            groups[title] = parser if title == "options" else parser.add_argument_group(title)
        _add(groups[title], argument)


def _add(group: argparse._ActionsContainer, argument: Argument) -> None:
    words = (argument.help + _shown(argument)).replace("%", "%%")
    if _plain(argument.type) is bool:
        action = argparse.BooleanOptionalAction if argument.default is True else "store_true"
        names, settings = flags(argument)[:1], {"action": action, "default": argument.default}
        group.add_argument(*names, dest=argument.destination, help=words, **settings)
        return
    settings: dict[str, Any] = {"help": words, "type": _reader(argument)}
    settings["metavar"] = _metavar(argument)
    if argument.positional:
        several = {"nargs": "*"} if argument.several else {}
        group.add_argument(argument.name, **settings, **several)
        return
    settings |= {"nargs": "+", "action": Several} if argument.several else {"action": Once}
    if argument.default is MISSING:
        settings["required"] = True
    else:
        settings["default"] = argument.default
    group.add_argument(*flags(argument), dest=argument.destination, **settings)


def flags(argument: Argument) -> list[str]:
    """What an `argument` is called on the command line; nothing for a positional one."""
    if argument.positional:
        return []
    flag = "--" + argument.name.rstrip("_").replace("_", "-")
    if _plain(argument.type) is bool and argument.default is True:
        return [flag, flag.replace("--", "--no-", 1)]
    return [flag, *([ALIASES[argument.name]] if argument.name in ALIASES else [])]


class Once(argparse.Action):
    """An option with one value; given twice, one of them would not count."""

    given = False

    def __call__(self, parser, namespace, values, option_string=None):
        if self.given:
            raise argparse.ArgumentError(self, "given twice; give it once")
        self.given = True
        setattr(namespace, self.dest, values)


class Several(argparse.Action):
    """A list, in words or with commas, given once or more; names count once."""

    given: tuple = ()

    def __call__(self, parser, namespace, values, option_string=None):
        parts = [part for value in values for part in _parts(value)]
        if not parts:
            raise argparse.ArgumentError(self, f"{naming.shown(' '.join(values))} names nothing")
        self.given = tuple(dict.fromkeys((*self.given, *parts)))
        setattr(namespace, self.dest, self.given)


def _parts(value: object) -> list[Any]:
    if not isinstance(value, str):
        return [value]
    return [part.strip() for part in value.split(",") if part.strip()]


def _shown(argument: Argument) -> str:
    """Range and default as help tells them; what is empty is told in words there."""
    found, default = [], argument.default
    if _plain(argument.type) in (int, float) and argument.type != _plain(argument.type):
        from flanlib.core import bounds

        found.append(bounds.wanted(argument.type))
    if default is True:
        found.append("default: yes")
    elif default is not False and default not in (None, MISSING, "", ()):
        word = isinstance(default, str) and default.strip()
        found.append(f"default: {default if word else repr(default)}")
    return f" ({'; '.join(found)})" if found else ""


def _metavar(argument: Argument) -> str:
    kind = _plain(argument.type)
    if typing.get_origin(kind) is typing.Literal:
        return "{" + ",".join(str(choice) for choice in typing.get_args(kind) if choice) + "}"
    names = {} if argument.positional else {int: "N", float: "X", Path: "PATH"}
    return names.get(kind, argument.name.upper().replace("_", "-"))


def _reader(argument: Argument) -> Callable[[str], object]:
    """Text to a checked value; argparse turns the error into a usage line."""
    kind = argument.type

    def read(text: str) -> object:
        from flanlib.core import bounds

        if "\0" in text:
            raise argparse.ArgumentTypeError(f"{naming.shown(text)} has a zero byte in it")
        if _plain(kind) is Path and not text.strip():
            raise argparse.ArgumentTypeError(f"{text!r} is no path")
        if kind in (str, Path):
            return kind(text)
        try:
            return bounds.check("", kind, text)
        except ParameterError as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix(": ")) from None

    return read


def call(verb: Callable, found: Sequence[Argument], space: argparse.Namespace) -> int | None:
    """Call a verb with what was parsed into `space`."""
    parts: dict[str, dict[str, Any]] = {}
    for argument in found:
        value = getattr(space, argument.destination)
        parts.setdefault(argument.part, {})[argument.name] = value
    given = parts.pop("", {})
    signature = _signature(verb)
    for name, values in parts.items():
        given[name] = signature[name].annotation(**values)
    variable = next((p.name for p in signature.values() if p.kind is p.VAR_POSITIONAL), None)
    return verb(*given.pop(variable), **given) if variable else verb(**given)
