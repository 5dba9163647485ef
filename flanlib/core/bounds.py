"""What numbers and words may be: declared once, as types, and checked before work.

A parameter's type says its range (`Seed`, `Share`, a `Literal`). The command
line, the notebooks' parameters, and functions marked `checked` refuse what
does not fit with the same message. Numbers in text are read by one grammar:
ASCII digits, no underscores, no spaces.
"""

import operator
import re
import typing
from collections.abc import Callable, Mapping
from functools import cache, wraps
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from flanlib.core import naming
from flanlib.core.errors import ParameterError

BILLION = 10**9  # more than this of anything is a slip of the hand
TOKENS = 2**20

Value = TypeVar("Value")
Taken = ParamSpec("Taken")
Made = TypeVar("Made", bound=type)


def whole(value: object) -> int:
    """A whole number, from a number or from text; `ValueError` if it is none.

    `True`, `1.0` and `"1e3"` are no whole numbers.
    """
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?[0-9]{1,1000}", value):
            raise ValueError("not a whole number")
        return int(value)
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ValueError("not a whole number")
    return operator.index(value)


def real(value: object) -> float:
    """A number, from a number or from text; `ValueError` if it is none.

    `True`, `"1_0"`, `"nan"` and `"inf"` are no numbers; -0.0 becomes 0.0.
    """
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", value):
            raise ValueError("not a number")
    elif isinstance(value, bool) or not hasattr(value, "__float__"):
        raise ValueError("not a number")
    try:
        return float(value) + 0.0
    except OverflowError:
        raise ValueError("not a number that a computer holds") from None


def file(value: Value) -> Value:
    """A path as it was typed; `ValueError` if it ends as a folder's does.

    A `Path` has no `/` at its end any more.
    """
    if isinstance(value, str) and value.endswith(("/", "/.")):
        raise ValueError("the name of a folder")
    return value


_WHOLE, _REAL = BeforeValidator(whole), BeforeValidator(real)

Seed = Annotated[int, _WHOLE, Field(ge=0, le=2**32 - 1)]
Count = Annotated[int, _WHOLE, Field(ge=0, le=BILLION)]
PositiveInt = Annotated[int, _WHOLE, Field(ge=1, le=BILLION)]
Tokens = Annotated[int, _WHOLE, Field(ge=1, le=TOKENS)]
InputTokens = Annotated[int, _WHOLE, Field(ge=8, le=TOKENS)]
PackTokens = Annotated[int, _WHOLE, Field(ge=16, le=TOKENS)]
Rank = Annotated[int, _WHOLE, Field(ge=1, le=2**16)]
Templates = Annotated[int, _WHOLE, Field(ge=0, le=10)]
Shots = Annotated[int, _WHOLE, Field(ge=0, le=64)]
Exemplars = Annotated[int, _WHOLE, Field(ge=1, le=64)]
Share = Annotated[float, _REAL, Field(ge=0, le=1, allow_inf_nan=False)]
Dropout = Annotated[float, _REAL, Field(ge=0, lt=1, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, _REAL, Field(ge=0, le=BILLION, allow_inf_nan=False)]
PositiveFloat = Annotated[float, _REAL, Field(gt=0, le=BILLION, allow_inf_nan=False)]
Device = Annotated[
    str, Field(pattern=r"^(|cpu|cuda(:[0-9]{1,3})?)$", description="cpu, cuda or cuda:N")
]
File = Annotated[
    Path, BeforeValidator(file), Field(description="the name of a file; one ends without /")
]
Dtype = Literal["", "float32", "bfloat16", "float16"]
RunId = Annotated[
    str, Field(pattern=r"^[0-9a-f]{12}$", description="the twelve hex digits of a run's id")
]


def wanted(kind: object) -> str:
    """What values a type allows, in words.

    Examples
    --------
    >>> wanted(Share), wanted(Dtype), wanted(Seed)
    ('a number from 0 to 1', 'float32, bfloat16 or float16', 'a whole number from 0 to 4294967295')
    """
    for inner in _members(kind):
        if typing.get_origin(inner) is Literal:
            names = [str(choice) for choice in typing.get_args(inner) if choice != ""]
            return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        plain = typing.get_args(inner)[0] if hasattr(inner, "__metadata__") else inner
        if about := _field(inner):
            what = {int: "a whole number", float: "a number"}.get(plain, "text")
            return about.description or f"{what} {_range(about)}".strip()
        if plain in _WORDS:
            return _WORDS[plain]
    return "another type"


_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"} | {
    Path: "a path"
}


def check(name: str, kind: object, value: object, about: str = "") -> Any:
    """A value as its type wants it.

    Raises
    ------
    ParameterError
        Naming the parameter, what it is (`about`), what was found, and what is allowed.
    """
    try:
        return _adapter(kind).validate_python(value)
    except ValidationError:
        meaning = f" ({about})" if about else ""
        raise ParameterError(
            f"{name}: {naming.shown(value)} is not {wanted(kind)}{_meant(kind, value)}{meaning}"
        ) from None


def checked(function: Callable[Taken, Value]) -> Callable[Taken, Value]:
    """Let a function refuse arguments that its types do not allow, when it is called.

    Parameters with bounds or choices are checked; others are left alone. A
    generator function refuses at the call, before its first item.

    Parameters
    ----------
    function
        One whose signature has types of this module, or literals.
    """
    known = signature(function)

    @cache
    def bounded() -> dict[str, object]:
        hints = typing.get_type_hints(function, include_extras=True)
        return {name: kind for name, kind in hints.items() if _bounded(kind) and name != "return"}

    @wraps(function)
    def call(*args: Taken.args, **given: Taken.kwargs) -> Value:
        bound = known.bind(*args, **given)
        for name in bound.arguments.keys() & bounded():
            bound.arguments[name] = check(name, bounded()[name], bound.arguments[name])
        return function(*bound.args, **bound.kwargs)

    return call


def refusing(kind: Made) -> Made:
    """Let a pydantic dataclass refuse values by `ParameterError`, as `checked` functions do."""
    make = kind.__init__

    @wraps(make)
    def made(self: object, *args: object, **given: object) -> None:
        try:
            make(self, *args, **given)
        except ValidationError as error:
            raise ParameterError(_refusal(kind, error.errors(include_url=False)[0])) from None

    kind.__init__ = made
    return kind


def _refusal(kind: type, first: Mapping[str, Any]) -> str:
    """What does not fit a class, by field, in the words of `check`."""
    name, what = str(first["loc"][0]), first["type"]
    known = typing.get_type_hints(kind, include_extras=True)
    if name not in known:
        if what == "unexpected_keyword_argument":
            return f"{kind.__name__} has no field {name!r}{naming.alternatives(name, known)}"
        return f"{kind.__name__}: give every field by its name"
    listed = "a list of " if what == "tuple_type" else ""
    return f"{name}: {naming.shown(first['input'])} is not {listed}{wanted(known[name])}"


@cache
def _adapter(kind: object) -> TypeAdapter:
    return TypeAdapter(kind)


def _members(kind: object) -> list[object]:
    """The types that a union stands for, without None; else the type itself."""
    if hasattr(kind, "__metadata__") or typing.get_origin(kind) is Literal:
        return [kind]
    if inner := [t for t in typing.get_args(kind) if t not in (type(None), ...)]:
        return [member for t in inner for member in _members(t)]
    return [kind]


def _bounded(kind: object) -> bool:
    return any(
        hasattr(t, "__metadata__") or typing.get_origin(t) is Literal for t in _members(kind)
    )


def _field(kind: object) -> FieldInfo | None:
    return next((m for m in getattr(kind, "__metadata__", ()) if isinstance(m, FieldInfo)), None)


def _range(about: FieldInfo) -> str:
    limits = {}
    for one in about.metadata:
        limits |= {
            name: getattr(one, name) for name in ("ge", "gt", "le", "lt") if hasattr(one, name)
        }
    if "gt" in limits:
        return f"above {limits['gt']} and at most {limits['le']}"
    high = f"to {limits['le']}" if "le" in limits else f"to below {limits['lt']}"
    return f"from {limits['ge']} {high}"


def _meant(kind: object, value: object) -> str:
    """The choice that a mistyped word is nearest to."""
    choices = [
        c for t in _members(kind) if typing.get_origin(t) is Literal for c in typing.get_args(t)
    ]
    near = naming.nearest(value, filter(None, choices)) if isinstance(value, str) else []
    return f"; did you mean {near[0]!r}?" if near else ""
