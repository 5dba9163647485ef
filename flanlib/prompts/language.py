"""What a template's text may say, and how it becomes a function.

Text is sandboxed Jinja2 with strict undefined names, and little of it: fields,
conditions, and a few ways to change a word. Nothing in it can reach Python or
another file. Its size, its nesting, and the length of what comes of it are
bounded, so that no text takes memory or time without end: it is looked at before it
is compiled, and every step that can lengthen a text is counted before it is done.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from operator import itemgetter
from string import printable
from typing import Any

from jinja2 import StrictUndefined, TemplateError, Undefined, UndefinedError, nodes, pass_context
from jinja2.filters import do_title
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

from flanlib.core.naming import shown

FILTERS = {
    "capitalize": lambda text: str(text).capitalize(),
    "first": lambda items: items[0],
    "join": lambda items, between="": str(between).join(map(str, items)),
    "last": lambda items: items[-1],
    "length": len,
    "lower": lambda text: str(text).lower(),
    "replace": lambda text, old, new, count=-1: str(text).replace(str(old), str(new), count),
    "title": do_title,
    "trim": lambda text, signs=None: str(text).strip(signs),
    "upper": lambda text: str(text).upper(),
}
METHODS = ("endswith", "get", "lower", "replace", "split", "startswith", "strip", "upper")
RESERVED = frozenset(
    "and caller else elif false False if in is loop none None not or self super true True".split()
)
"""Words of Jinja2, which cannot be fields."""
FAILURES = (TemplateError, ArithmeticError, LookupError, TypeError, ValueError)
"""What rendering a template may raise."""

SIZE = 10_000
"""Characters of a text."""
PARTS = 500
"""Words, fields, constants, conditions and filters in a text."""
BRACKETS, DEPTH = 20, 50
"""How deep brackets, and conditions and filters, stand in one another."""
LONGEST = 10_000_000
"""Characters that one rendering may make; beyond what any model reads."""

_SAID = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const),
    *(nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not),
    *(nodes.Filter, nodes.Call, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Concat),
    *(nodes.Dict, nodes.Pair, nodes.List, nodes.Tuple),
)
_HOLDERS = (nodes.Dict, nodes.Pair, nodes.List, nodes.Tuple)
_LITERAL = (nodes.Const, nodes.Name, *_HOLDERS)
_CALLS = f"a call is one of {', '.join(METHODS)}, as in field.lower()"
_TOO_DEEP = (
    f"is nested too deeply; brackets stand {BRACKETS} deep at most, conditions and filters {DEPTH}"
)
_HALF = re.compile("[\ud800-\udfff]")  # of a pair of surrogates
_GROWING = f"more than {LONGEST:,} characters come of it"

Renderer = Callable[[Mapping[str, str]], str]


class _Context(Context):
    """The state of one rendering: how many characters its steps have made."""

    made = 0

    def count(self, size: int) -> None:
        self.made += size
        if self.made > LONGEST:
            raise ValueError(_GROWING)


class _Environment(SandboxedEnvironment):
    """Jinja2 that looks up items only, and calls a few methods of text only."""

    context_class = _Context

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item; never an attribute of that name."""
        try:
            return obj[argument]
        except (TypeError, LookupError):
            return self.undefined(obj=obj, name=argument)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """One of `METHODS`; nothing else is there."""
        found = getattr(obj, attribute, None) if attribute in METHODS else None
        return self.undefined(obj=obj, name=attribute) if found is None else found

    def call(self, context: _Context, function: Any, *arguments: Any) -> Any:
        """What a method gives, its size counted."""
        if isinstance(function, Undefined):
            return function()
        owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
        if not isinstance(owner, str | dict) or name not in METHODS:
            raise TypeError(f"{type(function).__name__!r} object is not callable")
        context.count(_size_after(name, owner, arguments))
        return function(*arguments)


def _filter(name: str) -> Callable:
    """A filter, the size of what it gives counted."""

    @pass_context
    def counted(context: _Context, value: object, *arguments: Any) -> Any:
        context.count(_size_after(name, value, arguments))
        try:
            return FILTERS[name](value, *arguments)
        except TypeError as error:
            said = str(error).removeprefix("<lambda>() ")
            raise TypeError(f"filter {name!r} {said}") from None

    return counted


def _size_after(name: str, value: object, arguments: tuple) -> int:
    """At most how many characters a filter or a method makes."""
    size = _size(value)
    if name == "join" and arguments:
        size += _size(arguments[0]) * len(value)
    if name == "replace" and len(arguments) > 1:
        size += str(value).count(str(arguments[0])) * _size(arguments[1])
    return size


def _size(value: object) -> int:
    return len(value if isinstance(value, str) else str(value))


ENVIRONMENT = _Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)
ENVIRONMENT.globals.clear()  # range, dict, lipsum and the like are no fields
ENVIRONMENT.filters = {name: _filter(name) for name in FILTERS}


def fields(text: str) -> frozenset[str]:
    """Names a text refers to.

    Examples
    --------
    >>> sorted(fields("{{ premise }} So {{ hypothesis }}?"))
    ['hypothesis', 'premise']
    """
    return frozenset(_names(_parsed(text)))


def check(text: str, known: Iterable[str]) -> None:
    """Refuse text that says more than it may, names a field not `known`, or does not render.

    Raises
    ------
    ValueError
        Saying what is wrong and what there is.
    """
    known = sorted(known)
    if unknown := sorted(fields(text) - set(known)):
        there = shown(known) if len(known) > 20 else ", ".join(known) or "none"
        raise ValueError(f"unknown field {shown(unknown[0])}; there are {there}")
    render = renderer(text)
    for sample in ("x", printable):
        try:
            render(dict.fromkeys(known, sample))
        except (UndefinedError, LookupError):
            pass  # a member that only a real field has
        except FAILURES as error:
            raise ValueError(f"does not render: {line(error)}") from None


@lru_cache(maxsize=1_024)
def _parsed(text: str) -> nodes.Template:
    """The tree of a text that says no more than it may.

    Raises
    ------
    ValueError
        Saying what may not be said, or what is too long or too deep.
    """
    if len(text) > SIZE:
        raise ValueError(f"has {len(text):,} characters; a template has {SIZE:,} at most")
    try:
        text.encode()
        deep = _brackets(text) > BRACKETS
        tree = None if deep else ENVIRONMENT.parse(text)
    except UnicodeEncodeError as error:
        raise ValueError(f"has half a character ({text[error.start]!r}); write it whole") from None
    except TemplateError as error:
        raise ValueError(line(error.message)) from None
    except RecursionError:
        tree = None
    except (ValueError, SyntaxError) as error:  # a number that is none
        raise ValueError(f"is not Jinja2: {line(error)}") from None
    if tree is None:
        raise ValueError(_TOO_DEEP)
    _allow(tree)
    return tree


def line(said: object) -> str:
    """What is `said`, in one line, what is beyond 200 characters left out."""
    text = " ".join(str(said).split())
    return text if len(text) <= 200 else f"{text[:200]}…"


def _brackets(text: str) -> int:
    """How deep brackets stand in one another."""
    depth = deepest = 0
    for _, kind, sign in ENVIRONMENT.lex(text):
        if kind == "operator":
            depth += (sign in "([{") - (sign in ")]}")
            deepest = max(deepest, depth)
    return deepest


def _names(tree: nodes.Template) -> list[str]:
    """Every mention of a field, in any order."""
    return [node.name for node in tree.find_all(nodes.Name)]


def _allow(tree: nodes.Template) -> None:
    """Refuse a tree that is too large or says more than it may."""
    waiting: list[tuple[nodes.Node, nodes.Node | None, int]] = [(tree, None, 1)]
    for n, (node, parent, depth) in enumerate(waiting):
        if n >= PARTS:
            raise ValueError(f"says more than {PARTS} things (fields, words, conditions, filters)")
        if depth > DEPTH:
            raise ValueError(_TOO_DEEP)
        if problem := _problem(node, parent):
            raise ValueError(problem)
        waiting.extend((child, node, depth + 1) for child in node.iter_child_nodes())


def _problem(node: nodes.Node, parent: nodes.Node | None) -> str:
    """What a part of a text says that it may not; empty if all is well."""
    kind = type(node).__name__.lower()
    if not isinstance(node, _SAID):
        return f"{kind!r} has no place in a template, which has fields, conditions and filters only"
    for one, name, allowed in ((nodes.Filter, "name", FILTERS), (nodes.Getattr, "attr", METHODS)):
        if isinstance(node, one) and getattr(node, name) not in allowed:
            said = shown(getattr(node, name))
            return f"{said} has no place in a template; there are {', '.join(allowed)}"
    if isinstance(node, nodes.Name) and node.name in RESERVED:
        return f"{node.name!r} is a word of Jinja2's and no field"
    if isinstance(node, nodes.Getattr) and not (
        isinstance(parent, nodes.Call) and parent.node is node
    ):
        return f"{node.attr!r} is a method; write {node.attr}()"
    if isinstance(node, nodes.Call) and not isinstance(node.node, nodes.Getattr):
        return f"{kind!r} of {type(node.node).__name__.lower()!r} has no place; {_CALLS}"
    if isinstance(node, nodes.Call | nodes.Filter) and (node.dyn_args or node.dyn_kwargs):
        return "'*' has no place in a template; write the arguments one by one"
    if isinstance(node, nodes.Getitem) and not _safe_item(node):
        return "[…] holds whole numbers, as in [0] or [:9], or follows a mapping {…}"
    if isinstance(parent, _HOLDERS) and not isinstance(node, _LITERAL):
        return f"{kind!r} has no place in [] and {{}}, which hold fields and constants"
    if isinstance(node, nodes.Const) and isinstance(node.value, float):
        return "a number with a point has no place in a template; write it as text"
    if isinstance(node, nodes.Const) and isinstance(node.value, str) and _HALF.search(node.value):
        return f"{shown(node.value)} has half a character; write it whole"
    return ""


def _safe_item(node: nodes.Getitem) -> bool:
    """Whether a subscript can name no method."""
    if isinstance(node.node, nodes.Dict):
        return not isinstance(node.arg, nodes.Slice)
    ends = [node.arg]
    if isinstance(node.arg, nodes.Slice):
        ends = [end for end in (node.arg.start, node.arg.stop, node.arg.step) if end is not None]
    return all(isinstance(end, nodes.Const) and type(end.value) is int for end in ends)


def renderer(text: str) -> Renderer:
    """A function from fields to text, the same as Jinja2's to the character.

    Text with nothing but `{{ field }}` becomes one format string, which is
    several times faster; anything else is left to Jinja2.

    Raises
    ------
    ValueError
        If the text says more than it may.
    """
    tree = _parsed(text)
    names: list[str] = []
    parts: list[str] = []
    for output in tree.body:
        for node in output.nodes if isinstance(output, nodes.Output) else (output,):
            if isinstance(node, nodes.TemplateData):
                parts.append(node.data.replace("%", "%%"))
            elif isinstance(node, nodes.Name):
                names.append(node.name)
                parts.append("%s")
            else:
                return _jinja(text, _names(tree))
    pattern = "".join(parts)
    values = itemgetter(*names) if len(names) > 1 else None

    def substitute(fields: Mapping[str, str]) -> str:
        try:
            found = values(fields) if values else tuple([fields[name] for name in names])
        except KeyError as error:
            raise UndefinedError(f"{error} is undefined") from None
        if sum(map(len, found)) > LONGEST:
            raise ValueError(_GROWING)
        return pattern % found

    return substitute


def _jinja(text: str, names: list[str]) -> Renderer:
    """A renderer by Jinja2, for fields that do not exceed the bound by themselves."""
    template = ENVIRONMENT.from_string(text)

    def render(fields: Mapping[str, str]) -> str:
        if sum(len(fields.get(name, "")) for name in names) > LONGEST:
            raise ValueError(_GROWING)
        return template.render(fields)

    return render
