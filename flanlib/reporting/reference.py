"""The API reference: what docstrings and signatures say, as pages.

Modules are read and not imported, so that the reference needs nothing that
the library needs. Types stand in signatures, meanings in docstrings; a name
that means the same everywhere is explained once, in `glossary`.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from flanlib.core import paths, storage
from flanlib.reporting.glossary import TERMS

if TYPE_CHECKING:
    import jinja2

PACKAGE = paths.PACKAGE
SECTIONS = "Parameters Attributes Returns Yields Raises Source Examples Notes".split()
LISTED = ("Parameters", "Attributes", "Raises")  # sections of names and what they mean


@dataclass(frozen=True)
class Argument:
    """A parameter, or a field of a class, as the source states it.

    Attributes
    ----------
    type, default
        Python source; empty where there is none.
    """

    name: str
    type: str = ""
    default: str = ""


@dataclass(frozen=True)
class Entry:
    """A function, class, method or property.

    Attributes
    ----------
    name
        As seen from the module: `Study.ensure`.
    kind
        `function`, `class`, `method` or `property`.
    returns
        Python source of the return type.
    arguments
        Parameters; of a class, its fields or those of `__init__`.
    doc
        Docstring; empty if there is none.
    members
        Methods and properties of a class.
    inherits
        Base classes; a method of a class with a foreign base may be one
        whose meaning stands there.
    """

    name: str
    kind: str
    arguments: tuple[Argument, ...]
    returns: str = ""
    doc: str = ""
    inherits: tuple[str, ...] = ()
    members: tuple["Entry", ...] = field(default=())

    @cached_property
    def sections(self) -> dict[str, str]:
        """Section title -> its text; the opening has no title."""
        return sections(self.doc)

    @cached_property
    def meanings(self) -> dict[str, str]:
        """Parameter or field -> what the docstring says of it."""
        return meanings(self.doc)

    def meaning(self, name: str) -> str:
        """What a parameter means: in the docstring, or everywhere."""
        return self.meanings.get(name) or TERMS.get(name, "")

    def walk(self) -> Iterator["Entry"]:
        """This entry and its members."""
        yield self
        for member in self.members:
            yield from member.walk()


@dataclass(frozen=True)
class Module:
    """One module's public part.

    Attributes
    ----------
    doc
        The module's docstring.
    entries
        Functions and classes, in the order of the source.
    """

    name: str
    doc: str
    entries: tuple[Entry, ...]

    @property
    def summary(self) -> str:
        """First line of its docstring."""
        return self.doc.split("\n", 1)[0]


def modules() -> dict[str, Module]:
    """Module name -> what it offers, in alphabetical order."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        name = name.removesuffix("__init__").rstrip(".")
        if name and not name.startswith("__"):
            found[name] = read(path.read_text(encoding="utf-8"), name)
    return dict(sorted(found.items()))


def read(source: str, name: str) -> Module:
    """What a module's source offers: names without a leading underscore.

    Examples
    --------
    >>> module = read("def half(x: float) -> float:\\n    '''Half of `x`.'''", "maths")
    >>> [(entry.name, entry.returns) for entry in module.entries]
    [('half', 'float')]
    """
    tree = ast.parse(source)
    return Module(name, ast.get_docstring(tree) or "", tuple(_entries(tree.body)))


def _entries(body: list[ast.stmt], inside: str = "", bases: tuple = ()) -> Iterator[Entry]:
    for node in body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            kind = "method" if inside else "function"
            marks = [ast.unparse(mark) for mark in node.decorator_list]
            if any(mark.split(".")[-1] in ("property", "cached_property") for mark in marks):
                kind = "property"
            returns = ast.unparse(node.returns) if node.returns else ""
            arguments = tuple(_arguments(node.args))
            doc = ast.get_docstring(node) or ""
            yield Entry(inside + node.name, kind, arguments, returns, doc, bases)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield _class(node)


def _class(node: ast.ClassDef) -> Entry:
    bases = tuple(ast.unparse(base) for base in node.bases)
    fields = [
        Argument(s.target.id, ast.unparse(s.annotation), ast.unparse(s.value) if s.value else "")
        for s in node.body
        if isinstance(s, ast.AnnAssign)
        and isinstance(s.target, ast.Name)
        and not s.target.id.startswith("_")
    ]
    made = [s for s in node.body if isinstance(s, ast.FunctionDef) and s.name == "__init__"]
    arguments = tuple(_arguments(made[0].args)) if made else tuple(fields)
    members = tuple(_entries(node.body, f"{node.name}.", bases))
    return Entry(node.name, "class", arguments, "", ast.get_docstring(node) or "", bases, members)


def _arguments(given: ast.arguments) -> Iterator[Argument]:
    plain = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(plain) - len(given.defaults)) + list(given.defaults)
    pairs = list(zip(plain, defaults, strict=True))
    pairs += zip(given.kwonlyargs, given.kw_defaults, strict=True)
    pairs += [(one, None) for one in (given.vararg, given.kwarg) if one]
    for one, default in pairs:
        if one.arg not in ("self", "cls") and not one.arg.startswith("_"):
            kind = ast.unparse(one.annotation) if one.annotation else ""
            yield Argument(one.arg, kind, ast.unparse(default) if default else "")


def sections(doc: str) -> dict[str, str]:
    """A numpydoc docstring, cut at its underlined titles.

    Examples
    --------
    >>> sections("Add.\\n\\nReturns\\n-------\\nThe sum.")
    {'': 'Add.', 'Returns': 'The sum.'}
    """
    parts = re.split(rf"^({'|'.join(SECTIONS)})\n-+$", doc, flags=re.M)
    found = {"": parts[0].strip()}
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        found[title] = text.strip("\n")
    return found


def meanings(doc: str) -> dict[str, str]:
    """Parameter or field -> what a docstring says of it."""
    found = sections(doc)
    return {
        name.strip(" *`"): body
        for title in ("Parameters", "Attributes")
        for names, body in definitions(found.get(title, ""))
        for name in names.split(",")
    }


def definitions(text: str) -> list[tuple[str, str]]:
    """Names and what is said of them, from a section.

    Examples
    --------
    >>> definitions("a, b\\n    Two numbers.\\nc")
    [('a, b', 'Two numbers.'), ('c', '')]
    """
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line and not line.startswith(" "):
            found.append((line, []))
        elif found:
            found[-1][1].append(line.removeprefix("    "))
    return [(names, "\n".join(lines).strip()) for names, lines in found]


def prose(text: str, known: dict[str, str] | None = None) -> str:
    """A docstring's text as HTML: paragraphs, lists, code and links.

    Parameters
    ----------
    known
        Name such as `study.Study` -> address of its page.
    """
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        lines = block.splitlines()
        if lines and (lines[0].startswith(">>>") or all(x.startswith("    ") for x in lines)):
            blocks.append(f"<pre>{escape(block)}</pre>")
        elif lines and all(re.match(r"- |  ", line) for line in lines):
            items = re.split(r"^- ", block, flags=re.M)[1:]
            blocks.append(f"<ul>{''.join(f'<li>{_inline(i, known)}</li>' for i in items)}</ul>")
        elif lines:
            blocks.append(f"<p>{_inline(block, known)}</p>")
    return "\n".join(blocks)


def _inline(text: str, known: dict[str, str] | None) -> str:
    def code(match: re.Match) -> str:
        word = f"<code>{match[1]}</code>"
        where = (known or {}).get(match[1].removeprefix("flanlib."))
        return f'<a href="{where}">{word}</a>' if where else word

    marked = re.sub(r"(?<!\w)\*(\w[^*\n]*)\*(?!\w)", r"<em>\1</em>", escape(text, quote=False))
    return re.sub(r"`([^`]+)`", code, marked)


def addresses(found: dict[str, Module]) -> dict[str, str]:
    """Name such as `study` or `study.Study.ensure` -> address among the pages.

    What stands in a module is also known without the package, as prose
    calls it, where no two modules share the name.
    """
    known = {}
    short = Counter(name.rpartition(".")[2] for name in found)
    for name, module in found.items():
        known[name] = f"{name}.html"
        last = name.rpartition(".")[2]
        for called in dict.fromkeys((name, last) if short[last] == 1 else (name,)):
            for entry in module.entries:
                for one in entry.walk():
                    known[f"{called}.{one.name}"] = f"{name}.html#{one.name}"
    return known


def packages(found: Mapping[str, Module]) -> dict[str, list[str]]:
    """Package -> names of its modules, itself first."""
    gathered: dict[str, list[str]] = {}
    for name in sorted(found):
        gathered.setdefault(name.partition(".")[0], []).append(name)
    return gathered


def write(out: Path, environment: "jinja2.Environment") -> Path:
    """Write one page per module, and an index of them.

    Parameters
    ----------
    environment
        Jinja2 environment that has `api.html` and `module.html`.

    Returns
    -------
    The index.
    """
    found = modules()
    known = addresses(found)
    environment.filters["prose"] = lambda text: prose(text, known)
    environment.filters["definitions"] = definitions
    for name, module in found.items():
        page = environment.get_template("module.html").render(module=module, title=name)
        storage.write(out / f"{name}.html", page)
    index = out / "index.html"
    page = environment.get_template("api.html").render(
        modules=found, packages=packages(found), title="API reference"
    )
    storage.write(index, page)
    return index
