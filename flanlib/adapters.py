"""Row adapters: one source row -> the fields templates may name.

An adapter is a function `(row, task) -> Example`; it raises `SkipRow` for a
row that is no example (a hidden label, an undecided answer) and `DataError`
for one that is malformed. A catalogue names the adapter of each task.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flanlib.catalogue import Task
from flanlib.errors import DataError

Row = Mapping[str, Any]


class SkipRow(Exception):
    """A row that is not an example; the message says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Example:
    """One question with its answer, before it is phrased.

    Attributes
    ----------
    fields
        Text by name; `answer` is always there and equals `answers[0]`.
    options
        Possible answers; empty for tasks that generate.
    gold
        Index of the right option; None for tasks that generate.
    answers
        Acceptable targets; the first is the one trained on.
    group
        Passage or entity shared with other examples; for intervals.
    """

    task: str
    id: str
    fields: Mapping[str, str]
    options: tuple[str, ...]
    gold: int | None
    answers: tuple[str, ...]
    group: str = ""


Adapter = Callable[[Row, Task, str], Example]
ADAPTERS: dict[str, Adapter] = {}


def adapter(function: Adapter) -> Adapter:
    """Register a row adapter under its function's name."""
    ADAPTERS[function.__name__] = function
    return function


def adapt(row: Row, task: Task, row_id: str) -> Example:
    """The example in a source row.

    Raises
    ------
    SkipRow
        If the row holds no example.
    DataError
        Naming task, row and column when the row is malformed.
    """
    try:
        return ADAPTERS[task.adapter](row, task, row_id)
    except KeyError as error:
        if task.adapter not in ADAPTERS:
            raise DataError(
                f"task {task.key}: no adapter {task.adapter!r}; there are {sorted(ADAPTERS)}"
            ) from None
        raise DataError(
            f"task {task.key}, row {row_id}: no column {error}; found {sorted(row)}"
        ) from None


@adapter
def columns(row: Row, task: Task, row_id: str) -> Example:
    """Plain columns, as `task.columns` says.

    Settings
    --------
    fields
        Field name -> column name; a list of names means field = column.
    label
        Column with the option's index or text (rank).
    options
        Columns with this row's options, where the task has none of its own.
    answer
        Column with the target (generate): text, or a list of texts.
    group
        Column shared by rows that are not independent.
    """
    settings = task.columns
    wanted = settings["fields"]
    pairs = wanted.items() if isinstance(wanted, Mapping) else ((f, f) for f in wanted)
    fields = {name: _text(row[column]) for name, column in pairs}
    group = str(row[settings["group"]]) if "group" in settings else ""
    if task.kind == "generate":
        value = row[settings["answer"]]
        answers = tuple(_text(v) for v in (value if isinstance(value, list) else [value]))
        if not answers or not answers[0]:
            raise SkipRow("empty answer")
        return Example(task.key, row_id, {**fields, "answer": answers[0]}, (), None, answers, group)
    options = task.options or tuple(_text(row[column]) for column in settings["options"])
    gold = gold_index(row[settings["label"]], options, task, row_id)
    answer = options[gold]
    return Example(task.key, row_id, {**fields, "answer": answer}, options, gold, (answer,), group)


def gold_index(label: Any, options: tuple[str, ...], task: Task, row_id: str) -> int:
    """Index of the right option from a label column's value."""
    if label in (-1, "-1", "", None):
        raise SkipRow("no label")
    if isinstance(label, str) and label in options:
        return options.index(label)
    try:
        index = int(label)
    except (TypeError, ValueError):
        index = -1
    if not 0 <= index < len(options):
        raise DataError(
            f"task {task.key}, row {row_id}: label {label!r} is none of 0..{len(options) - 1}"
            f" ({', '.join(options)})"
        )
    return index


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else str(value)
