"""Row adapters: one source row -> the fields templates may name.

A task names a shape (see `shapes`), which makes its rows flat, and settings
that say which column is which. A row that is no example (a hidden label, an
undecided answer) is skipped with a reason; a malformed one is an error.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from flanlib.catalogue import Task
from flanlib.errors import DataError
from flanlib.rows.cleaners import visible
from flanlib.rows.columns import Plan, plan_of, text_of
from flanlib.rows.shapes import SHAPES, Row, SkipRow

__all__ = [
    "Example",
    "Row",
    "SkipRow",
    "adapt",
    "adapt_all",
    "answer_text",
    "cut_key",
    "gold_index",
]


@dataclass(frozen=True, slots=True)
class Example:
    """One question with its answer, before it is phrased.

    Attributes
    ----------
    id
        Of its row in the file; `row.k` for the k-th of a row that holds several.
    fields
        Text by name; `answer` is always there and is `answers[0]` as text.
    options
        Possible answers; empty for tasks that generate.
    gold
        Index of the right option; None for tasks that generate.
    answers
        What annotators answered; the first is the one trained on. An answer
        of several spans is the tuple of them.
    group
        Passage or entity shared with other examples; for intervals.
    """

    task: str
    id: str
    fields: Mapping[str, str]
    options: tuple[str, ...]
    gold: int | None
    answers: tuple[str | tuple[str, ...], ...]
    group: str = ""


def answer_text(answer: str | tuple[str, ...]) -> str:
    """An answer as one text: its spans, each once, with commas between.

    Parameters
    ----------
    answer
        A text, or the tuple of its spans.

    Examples
    --------
    >>> answer_text("Ann"), answer_text(("Ann", "Bo"))
    ('Ann', 'Ann, Bo')
    """
    return answer if isinstance(answer, str) else ", ".join(dict.fromkeys(answer))


def adapt_all(
    row: Row, task: Task, row_id: str, skipped: Counter[str] | None = None
) -> list[Example]:
    """The examples in a source row: mostly one, a dialogue has several.

    Parameters
    ----------
    skipped
        Counts the examples left out, by reason.

    Raises
    ------
    DataError
        Naming task, row and column when the row is malformed.
    """
    plan = plan_of(task)
    try:
        flat = SHAPES[task.adapter](row, task.columns)
        if len(flat) == 1:
            return [_example(flat[0], task, plan, row_id)]
    except SkipRow as reason:
        if skipped is not None:
            skipped[str(reason)] += 1
        return []
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise _malformed(error, row, task, row_id) from None
    examples = []
    for i, one in enumerate(flat):
        try:
            examples.append(_example(one, task, plan, f"{row_id}.{i}"))
        except SkipRow as reason:
            if skipped is not None:
                skipped[str(reason)] += 1
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise _malformed(error, row, task, row_id) from None
    return examples


def adapt(row: Row, task: Task, row_id: str) -> Example:
    """The first example in a source row.

    Raises
    ------
    SkipRow
        If the row holds no example.
    DataError
        Naming task, row and column when the row is malformed.
    """
    skipped: Counter[str] = Counter()
    examples = adapt_all(row, task, row_id, skipped)
    if not examples:
        raise SkipRow(next(iter(skipped), "empty"))
    return examples[0]


def cut_key(example: Example) -> str:
    """What a cut between splits never separates; empty for no group."""
    return example.group.partition("/")[0]


def gold_index(label: Any, options: tuple[str, ...], task: Task, row_id: str) -> int:
    """Index of the right option from a label column's value.

    Parameters
    ----------
    label
        Index from `first` of the settings, class name, text of an option, or a boolean;
        -1, empty and NaN are no label.

    Raises
    ------
    SkipRow
        If there is no label.
    DataError
        If the label is none of the options.
    """
    settings = task.columns
    names = settings.get("names", ())
    if isinstance(label, bool):
        label = str(label) if str(label) in names else "yes" if label else "no"
    if isinstance(label, str):
        label = label.strip()
    if label in (-1, "-1", "", None) or label != label:
        raise SkipRow("no label")
    if isinstance(label, str):
        if label in names:
            return names.index(label)
        if label in options and "first" not in settings:
            return options.index(label)
    try:
        index = int(label) - settings.get("first", 0)
    except (TypeError, ValueError):
        index = -1
    if isinstance(label, float) and not label.is_integer():
        index = -1
    if not 0 <= index < len(options):
        raise DataError(
            f"task {task.key}, row {row_id}: label {label!r} is none of the {len(options)} options"
            f" ({', '.join(options)})"
        )
    return index


def _example(row: Row, task: Task, plan: Plan, row_id: str) -> Example:
    fields = {}
    for name, get in plan.fields:
        try:
            text = _clean(get(row), plan)
        except KeyError:
            if name not in plan.optional:
                raise
            text = ""
        if not text and name not in plan.optional:
            raise SkipRow(f"empty {name}")
        fields[name] = text
    for name in task.columns.get("ask", ()):
        if not fields[name].endswith(("?", "!", ".")):
            fields[name] += "?"
    group = "/".join(_short(get(row)) for get in plan.group)
    more = _answers(plan.more(row), plan) if plan.more else ()
    if task.kind == "generate":
        answers = (*_answers(plan.answer(row), plan), *more)
        if not answers:
            raise SkipRow("empty answer")
        if not task.columns.get("repeats"):
            answers = tuple(dict.fromkeys(answers))
        fields["answer"] = answer_text(answers[0])
        return Example(task.key, row_id, fields, (), None, answers, group)
    options = task.options or tuple(_clean(option, plan) for option in plan.options(row))
    options, gold = _choice(row, options, task, plan, row_id)
    answers = tuple(dict.fromkeys((options[gold], *more)))
    return Example(
        task.key, row_id, {**fields, "answer": answers[0]}, options, gold, answers, group
    )


def _choice(
    row: Row, options: tuple[str, ...], task: Task, plan: Plan, row_id: str
) -> tuple[tuple[str, ...], int]:
    """Distinct options, and the index of the right one."""
    settings, label = task.columns, plan.label(row)
    if "n_options" in settings and len(options) != settings["n_options"]:
        raise SkipRow(f"{len(options)} options, not {settings['n_options']}")
    if "map" in settings:
        label = _mapped(label, settings["map"], task, row_id)
    if plan.keys:
        keys = [str(key).strip() for key in plan.keys(row)]
        label = str(label).strip() if label is not None else ""
        if label and label not in keys:
            raise DataError(
                f"task {task.key}, row {row_id}: answer key {label!r} is none of {', '.join(keys)}"
            )
        label = keys.index(label) if label else ""
    gold = gold_index(label, options, task, row_id)
    if task.options:
        return options, gold
    if not all(options):
        raise SkipRow("empty option")
    distinct = tuple(dict.fromkeys(options))
    if len(distinct) < 2:
        raise SkipRow("options repeat" if len(options) > 1 else "fewer than two options")
    return distinct, distinct.index(options[gold])


def _mapped(label: Any, table: Mapping[str, Any], task: Task, row_id: str) -> Any:
    if label in (-1, "", None):
        return label
    if str(label) not in table:
        raise DataError(
            f"task {task.key}, row {row_id}: label {label!r} is none of {', '.join(table)}"
        )
    if table[str(label)] is None:
        raise SkipRow(f"label {label} is left out")
    return table[str(label)]


def _answers(value: Any, plan: Plan) -> tuple[str | tuple[str, ...], ...]:
    """Answers that are there; a tuple (a shape's) holds the spans of one."""
    values = value if isinstance(value, list | tuple) else (value,)
    found: list[str | tuple[str, ...]] = []
    for one in values:
        spans = one if isinstance(one, tuple) else (one,)
        cleaned = tuple(t for t in (_clean(s, plan) for s in spans) if t and t != "<unk>")
        if cleaned:
            found.append(cleaned if len(cleaned) > 1 else cleaned[0])
    return tuple(found)


def _clean(value: Any, plan: Plan) -> str:
    text = visible(text_of(value))
    for clean in plan.clean:
        text = clean(text)
    return text


def _short(value: Any) -> str:
    text = text_of(value).replace("/", " ")
    if len(text) <= 24:
        return text
    return blake2b(text.encode(errors="replace"), digest_size=6).hexdigest()


def _malformed(error: Exception, row: Row, task: Task, row_id: str) -> DataError:
    if isinstance(error, KeyError):
        what = f"no column {error}; found {', '.join(sorted(map(str, row)))}"
        for name, value in row.items():
            if isinstance(value, Mapping):
                what += f"; in {name}: {', '.join(sorted(map(str, value)))}"
    else:
        what = f"malformed: {error}"
        if empty := sorted(name for name, value in row.items() if value is None):
            what += f"; null: {', '.join(empty)}"
    return DataError(f"task {task.key}, row {row_id}: {what}")
