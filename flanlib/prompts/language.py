"""What a template's text may say, and how it becomes a function.

Text is sandboxed Jinja2 with strict undefined names, and little of it: fields,
conditions, and a few ways to change a word. Nothing in it can reach Python,
another file, or more memory than its fields take.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.sandbox import SandboxedEnvironment

ENVIRONMENT = SandboxedEnvironment(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False
)
ENVIRONMENT.globals.clear()  # range, dict, lipsum and the like are no fields

FILTERS = ("capitalize", "first", "join", "last", "length", "lower", "replace", "title", "trim")
FILTERS += ("upper",)
METHODS = ("endswith", "get", "lower", "replace", "split", "startswith", "strip", "upper")
FAILURES = (TemplateError, ArithmeticError, LookupError, TypeError, ValueError)
"""What rendering a template may raise."""

_SAID = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const),
    *(nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not),
    *(nodes.Filter, nodes.Call, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Concat),
    *(nodes.Dict, nodes.Pair, nodes.List, nodes.Tuple),
)
_RESERVED = {"self", "super", "caller", "loop"}

Renderer = Callable[[Mapping[str, str]], str]


def fields(text: str) -> frozenset[str]:
    """Names a text refers to.

    Examples
    --------
    >>> sorted(fields("{{ premise }} So {{ hypothesis }}?"))
    ['hypothesis', 'premise']
    """
    return frozenset(meta.find_undeclared_variables(ENVIRONMENT.parse(text)))


def check(text: str, known: Iterable[str]) -> None:
    """Refuse text that says more than it may, or that does not render.

    Parameters
    ----------
    known
        Names that the text may refer to.

    Raises
    ------
    ValueError
        Saying what is wrong and what there is.
    """
    try:
        tree = ENVIRONMENT.parse(text)
    except TemplateSyntaxError as error:
        raise ValueError(error.message) from None
    for node in tree.find_all(nodes.Node):
        _allow(node)
    known = sorted(known)
    if unknown := sorted(meta.find_undeclared_variables(tree) - set(known)):
        raise ValueError(f"unknown field {unknown[0]!r}; there are {', '.join(known)}")
    try:
        renderer(text)(dict.fromkeys(known, "x"))
    except (UndefinedError, LookupError):
        pass  # a member that only a real field has
    except FAILURES as error:
        raise ValueError(f"does not render: {error}") from None


def _allow(node: nodes.Node) -> None:
    for kind, name, allowed in (
        (nodes.Filter, "name", FILTERS),
        (nodes.Getattr, "attr", METHODS),
    ):
        if isinstance(node, kind) and getattr(node, name) not in allowed:
            raise ValueError(
                f"{getattr(node, name)!r} has no place in a template; there are"
                f" {', '.join(allowed)}"
            )
    if not isinstance(node, _SAID):
        raise ValueError(
            f"{type(node).__name__.lower()!r} has no place in a template, which has fields,"
            " conditions and filters only"
        )


def renderer(text: str) -> Renderer:
    """A function from fields to text, the same as Jinja2's to the character.

    Text with nothing but `{{ field }}` becomes one format string, which is
    several times faster; anything else is left to Jinja2.
    """
    names: list[str] = []
    parts: list[str] = []
    for output in ENVIRONMENT.parse(text).body:
        for node in output.nodes if isinstance(output, nodes.Output) else (output,):
            if isinstance(node, nodes.TemplateData):
                parts.append(node.data.replace("%", "%%"))
            elif isinstance(node, nodes.Name) and node.name not in _RESERVED:
                names.append(node.name)
                parts.append("%s")
            else:
                return ENVIRONMENT.from_string(text).render
    pattern = "".join(parts)
    values = itemgetter(*names) if len(names) > 1 else None

    def substitute(fields: Mapping[str, str]) -> str:
        try:
            if values is None:
                return pattern % tuple([fields[name] for name in names])
            return pattern % values(fields)
        except KeyError as error:
            raise UndefinedError(f"{error} is undefined") from None

    return substitute
