"""A task's column settings, checked and made ready to read rows with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flanlib.core.errors import DataError
from flanlib.data.catalogue import Task
from flanlib.data.cells import listed, text_of
from flanlib.data.cleaners import CLEANERS
from flanlib.data.layouts import Row
from flanlib.data.settings import lacking, problem

Getter = Callable[[Row], Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """A task's column settings, made ready once.

    Settings
    --------
    fields
        Field name -> column; a list of names means field = column. A list of
        columns is joined by spaces. A column may be a path, `a.b`, or several
        layouts' columns, `a|b`.
    optional
        Fields that may be empty or absent; any other empty field skips the row.
    ask
        Fields that end in a question mark, added where it is missing.
    clean
        Names in `cleaners.CLEANERS`, applied in order.
    label
        Column with the option's index, class name or text (rank).
    names
        Class names in option order, for labels that are names.
    first
        Index of the first option: 1 where labels count from 1.
    map
        Label as text -> option; null skips the row.
    keys
        Column with the options' letters, where labels are letters.
    options
        Columns with this row's options, or one column with a list of them.
    n_options
        Rows with another number of options are skipped.
    answer, more
        Column with the target (generate): text or list of texts; further
        acceptable answers.
    repeats
        Whether an answer that several annotators gave is kept as often as it
        was given, for metrics that leave one annotator out in turn.
    group
        Column shared by rows that are not independent. Of a list, the first
        is what a cut never splits.
    merge
        Evaluation examples that ask the same become one with all answers.

    Attributes
    ----------
    fields, label, options, keys, answer, more, group
        The setting of that name, as what reads it from a flat row; None, or no
        readers, where it is not set.
    optional, clean
        The setting of that name; cleaners as functions of a text.
    """

    fields: tuple[tuple[str, Getter], ...]
    optional: frozenset[str]
    clean: tuple[Callable[[str], str], ...]
    label: Getter | None
    options: Getter | None
    keys: Getter | None
    answer: Getter | None
    more: Getter | None
    group: tuple[Getter, ...]


@lru_cache(maxsize=1_024)
def plan_of(task: Task) -> Plan:
    """The task's settings, checked and made ready; kept for every task.

    Raises
    ------
    DataError
        If there is no such adapter, or a setting is unknown, lacking, or of
        the wrong type.
    """
    settings = task.columns
    if found := problem(task.adapter, settings, task.kind, task.options) or lacking(
        settings, task.kind, task.options
    ):
        raise DataError(f"task {task.key}: {found}")
    wanted = settings["fields"]
    pairs = wanted.items() if isinstance(wanted, Mapping) else ((name, name) for name in wanted)
    group = settings.get("group", ())
    return Plan(
        fields=tuple((name, _joined(column)) for name, column in pairs),
        optional=frozenset(settings.get("optional", ())),
        clean=tuple(CLEANERS[name] for name in settings.get("clean", ())),
        answer=_getter(settings.get("answer")),
        label=_getter(settings.get("label")),
        keys=_getter(settings.get("keys")),
        more=_optional(settings.get("more")),
        options=_options(settings.get("options")),
        group=tuple(_getter(c) for c in ([group] if isinstance(group, str) else group)),
    )


def _getter(path: str | None) -> Getter | None:
    """Reads a column, a path into it, or the first of several that is there."""
    if path is None:
        return None
    if "." not in path and "|" not in path:
        return lambda row: row[path]
    ways = [way.split(".") for way in path.split("|")]

    def get(row: Row) -> object:
        found: object = KeyError
        for way in ways:
            value: object = row
            for name in way:
                value = _member(value, name)
            if value not in (KeyError, None, ""):
                return value
            found = value if found is KeyError else found
        if found is KeyError:
            raise KeyError(path)
        return found

    return get


def _member(value: object, name: str) -> object:
    """A record's member, or that of every record in a list; else KeyError."""
    if isinstance(value, Mapping):
        return value.get(name, KeyError)
    if isinstance(value, list) and all(isinstance(one, Mapping) and name in one for one in value):
        return [one[name] for one in value]
    return KeyError


def _joined(column: str | list[str]) -> Getter:
    if isinstance(column, str):
        return _getter(column)
    members = [_getter(one) for one in column]
    return lambda row: " ".join(text for get in members if (text := text_of(get(row))))


def _optional(path: str | None) -> Getter | None:
    if path is None:
        return None
    get = _getter(path)

    def optional(row: Row) -> object:
        try:
            return get(row)
        except KeyError:
            return ()

    return optional


def _options(columns: str | list[str] | None) -> Getter | None:
    if columns is None:
        return None
    if isinstance(columns, str):
        get = _getter(columns)
        return lambda row: listed(get(row))
    members = [_getter(one) for one in columns]
    return lambda row: [get(row) for get in members]
