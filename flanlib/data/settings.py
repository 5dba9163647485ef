"""A task's column settings: which there are, and what each may say."""

from collections.abc import Callable, Mapping
from typing import Any

from flanlib.core import naming
from flanlib.data.cleaners import CLEANERS
from flanlib.data.layouts import LAYOUTS, REMOVED


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _column(value: object) -> bool:
    """A column's name, a path such as `a.b`, or several with `|` between."""
    return _text(value) and all(part for way in value.split("|") for part in way.split("."))


def _each(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and bool(value) and all(map(fits, value))


def _either(*ways: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: any(fits(value) for fits in ways)


def _count(least: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and value >= least


def _fields(value: object) -> bool:
    names, columns = value, ()
    if isinstance(value, Mapping):
        names, columns = list(value), value.values()
    named = _each(lambda name: _text(name) and name.isidentifier() and name != "answer")
    return named(names) and len(set(names)) == len(names) and all(map(COLUMNS, columns))


def _table(value: object) -> bool:
    texts = (*value, *value.values()) if isinstance(value, Mapping) else ()
    return bool(texts) and all(text is None or _text(text) for text in texts)


_names = _each(_text)
COLUMNS = _either(_column, _each(_column))
_ONE = (_column, "the name of a column")
_ONE_OR_MORE = (COLUMNS, "the name of a column, or a list of names")
_WORDS = (_names, "a list of names")

KNOWN: dict[str, tuple[Callable[[Any], bool], str]] = {
    "fields": (_fields, "a list of names, each once and none of them 'answer', or name: column"),
    "optional": _WORDS,
    "ask": _WORDS,
    "clean": _WORDS,
    "label": _ONE,
    "names": (_names, "a list of class names"),
    "first": (_count(0), "a whole number from 0"),
    "map": (_table, "label: option, both as text; null skips the row"),
    "keys": _ONE,
    "options": _ONE_OR_MORE,
    "n_options": (_count(2), "a whole number from 2"),
    "answer": _ONE,
    "more": _ONE,
    "repeats": (lambda value: isinstance(value, bool), "true or false"),
    "group": _ONE_OR_MORE,
    "merge": (lambda value: isinstance(value, bool), "true or false"),
    # Of layouts
    "unanswerable": (_text, "a text"),
    "source": _ONE,
    "target": _ONE,
    "languages": (lambda value: _names(value) and len(value) == 2, "two names"),
    "remove": (lambda value: value in list(REMOVED), f"one of {', '.join(REMOVED)}"),
    "items": _ONE,
    "n_items": (_count(1), "a whole number from 1"),
}
"""Setting -> whether a value fits it, and what is wanted, in words."""


def problem(adapter: str, columns: Mapping[str, Any], kind: str, options: tuple[str, ...]) -> str:
    """What is wrong with a task's adapter or column settings; empty when nothing is.

    A task without any settings is taken for one whose rows are not read yet.

    Parameters
    ----------
    adapter, columns, kind, options
        As in the catalogue's entry of the task.

    Returns
    -------
    str
        The field, what was found, and what is wanted.
    """
    if adapter not in LAYOUTS:
        return f"adapter: no adapter {adapter!r}{naming.alternatives(adapter, sorted(LAYOUTS))}"
    for name, value in columns.items():
        if name not in KNOWN:
            known = naming.alternatives(name, sorted(KNOWN))
            return f"columns.{name}: unknown column setting {naming.shown(name)}{known}"
        fits, wanted = KNOWN[name]
        if not fits(value):
            return f"columns.{name}: found {naming.shown(value)}; wanted is {wanted}"
    if not columns:
        return ""
    return lacking(columns, kind, options) or _contrary(columns, options)


def lacking(columns: Mapping[str, Any], kind: str, options: tuple[str, ...]) -> str:
    """Which setting is not there without which no row is read; empty when none.

    Parameters
    ----------
    columns, kind, options
        As in the catalogue's entry of the task.
    """
    needed = ["fields", "answer" if kind == "generate" else "label"]
    if kind == "rank" and not options:
        needed.append("options")
    missing = [name for name in needed if name not in columns]
    return f"columns lack {missing[0]!r}" if missing else ""


def _contrary(columns: Mapping[str, Any], options: tuple[str, ...]) -> str:
    """What settings say against each other."""
    for setting, known in (
        ("clean", list(CLEANERS)),
        ("optional", list(columns["fields"])),
        ("ask", list(columns["fields"])),
    ):
        for name in columns.get(setting, ()):
            if name not in known:
                there = naming.alternatives(name, known)
                return f"columns.{setting}: found {naming.shown(name)}{there}"
    names = columns.get("names", ())
    own = columns["options"] if isinstance(columns.get("options"), list) else ()
    if names and (len(set(names)) < len(names) or len(names) != len(options or own or names)):
        return f"columns.names: found {naming.shown(names)}; one for each option is wanted"
    for label, option in columns.get("map", {}).items():
        if options and option is not None and option not in options:
            there = naming.alternatives(option, options)
            return f"columns.map.{label}: found {naming.shown(option)}{there}"
    return ""
