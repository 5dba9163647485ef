"""Row adapters: one source row -> the fields templates may name.

A task's `adapter` names a layout (see `layouts`), which makes its rows flat; its
`columns` say which column is which. A row that is no example (a hidden label, an
undecided answer) is skipped with a reason; a malformed one is an error.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from hashlib import blake2b

from flanlib.core import naming
from flanlib.core.errors import DataError
from flanlib.data.catalogue import Task
from flanlib.data.cells import kind_of, label_of, listed, plain, text_of, whole
from flanlib.data.cleaners import visible
from flanlib.data.columns import Getter, Plan, plan_of
from flanlib.data.layouts import LAYOUTS, Row, SkipRow

MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""What a row may raise whose cells are not what a layout or a setting takes them for."""


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
    """An `answer` as one text: its spans, each once, with commas between.

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

    Raises
    ------
    DataError
        Naming task, row and column when the row is malformed.
    """
    plan, examples = plan_of(task), []
    skipped = Counter() if skipped is None else skipped
    try:
        flat = LAYOUTS[task.adapter](row, task.columns)
        for i, one in enumerate(flat):
            own_id = f"{row_id}.{i}" if len(flat) > 1 else row_id
            try:
                examples.append(_example(one, task, plan, own_id))
            except SkipRow as reason:
                skipped[str(reason)] += 1
    except SkipRow as reason:  # the whole of it
        skipped[str(reason)] += 1
    except (DataError, *MALFORMED) as error:
        what = str(error) if isinstance(error, DataError) else _malformed(error, row)
        raise DataError(f"task {task.key}, row {row_id}: {what}") from None
    return examples


def cut_key(example: Example) -> str:
    """What a cut between splits never separates; empty for no group."""
    return example.group.partition("/")[0]


def gold_index(label: object, options: tuple[str, ...], task: Task) -> int:
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
    settings, given = task.columns, plain(label)
    names, first = settings.get("names", ()), settings.get("first", 0)
    label = label_of(label)
    if label is None:
        raise SkipRow("no label")
    if isinstance(label, bool):
        label = str(label) if str(label) in names else "yes" if label else "no"
    if isinstance(label, str) and label in names:
        return names.index(label)
    number = whole(label)
    if isinstance(label, str) and label in options and ("first" not in settings or number is None):
        return options.index(label)
    if number is None or not 0 <= number - first < len(options):
        column = f"; mend column {settings['label']!r}" if "label" in settings else ""
        raise DataError(
            f"label {naming.shown(given)} is none of the {len(options)} options"
            f" ({naming.few(map(_brief, options), 8, ', ')}){column}"
        )
    return number - first


def _brief(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}..."


def _example(row: Row, task: Task, plan: Plan, row_id: str) -> Example:
    fields = {name: _field(row, name, get, plan) for name, get in plan.fields}
    for name in task.columns.get("ask", ()):
        if not fields[name].endswith(("?", "!", ".")):
            fields[name] += "?"
    setting = "group"
    try:
        group = "/".join(_short(get(row)) for get in plan.group)
        setting = "more"
        more = _answers(plan.more(row), plan) if plan.more else ()
        setting = "answer"
        found = _answers(plan.answer(row), plan) if task.kind == "generate" else ()
        setting = "options"
        options = task.options
        if task.kind == "rank" and not options:
            options = tuple(_clean(option, plan) for option in plan.options(row))
    except TypeError as error:
        raise TypeError(f"{setting} (column {task.columns[setting]}): {error}") from None
    if task.kind == "generate":
        answers = (*found, *more)
        if not answers:
            raise SkipRow("empty answer")
        if not task.columns.get("repeats"):
            answers = tuple(dict.fromkeys(answers))
        fields["answer"] = answer_text(answers[0])
        return Example(task.key, row_id, fields, (), None, answers, group)
    options, gold = _choice(row, options, task, plan)
    answers = tuple(dict.fromkeys((options[gold], *more)))
    return Example(
        task.key, row_id, {**fields, "answer": answers[0]}, options, gold, answers, group
    )


def _field(row: Row, name: str, get: Getter, plan: Plan) -> str:
    try:
        text = _clean(get(row), plan)
    except KeyError:
        if name not in plan.optional:
            raise
        text = ""
    except TypeError as error:
        raise TypeError(f"field {name!r}: {error}") from None
    if not text and name not in plan.optional:
        raise SkipRow(f"empty {name}")
    return text


def _choice(
    row: Row, options: tuple[str, ...], task: Task, plan: Plan
) -> tuple[tuple[str, ...], int]:
    """Distinct options, and the index of the right one."""
    settings, label = task.columns, plan.label(row)
    if "n_options" in settings and len(options) != settings["n_options"]:
        raise SkipRow(f"{len(options)} options, not {settings['n_options']}")
    if "map" in settings:
        label = _mapped(label, settings["map"], task)
    if plan.keys:
        label = _keyed(label, listed(plan.keys(row)), options, task)
    gold = gold_index(label, options, task)
    if task.options:
        return options, gold
    if not all(options):
        raise SkipRow("empty option")
    distinct = tuple(dict.fromkeys(options))
    if len(distinct) < 2:
        raise SkipRow("options repeat" if len(options) > 1 else "fewer than two options")
    return distinct, distinct.index(options[gold])


def _keyed(label: object, keys: list[object], options: tuple[str, ...], task: Task) -> int | None:
    """Index of the option whose letter the label is; None for no label."""
    letters = [text_of(key) for key in keys]
    if len(letters) != len(options):
        raise ValueError(f"{len(letters)} answer keys for {len(options)} options")
    if not (letter := text_of(label)):
        return None
    if letter not in letters:
        known = naming.few(map(_brief, letters), 8, ", ")
        raise DataError(f"answer key {naming.shown(letter)} is none of {known}")
    return letters.index(letter) + task.columns.get("first", 0)


def _mapped(label: object, table: Mapping[str, object], task: Task) -> object:
    label = label_of(label)
    if label is None or (isinstance(label, str) and label in task.options):
        return label
    if str(label) not in table:
        known = naming.few(table, 8, ", ")
        raise DataError(f"label {naming.shown(label)} is none of {known}")
    if table[str(label)] is None:
        raise SkipRow(f"label {label} is left out")
    return table[str(label)]


def _answers(value: object, plan: Plan) -> tuple[str | tuple[str, ...], ...]:
    """Answers that are there; a tuple (a layout's) holds the spans of one."""
    values = value if isinstance(value, list | tuple) else (value,)
    found: list[str | tuple[str, ...]] = []
    for one in values:
        spans = one if isinstance(one, tuple) else (one,)
        cleaned = tuple(t for t in (_clean(s, plan) for s in spans) if t and t != "<unk>")
        if cleaned:
            found.append(cleaned if len(cleaned) > 1 else cleaned[0])
    return tuple(found)


def _clean(value: object, plan: Plan) -> str:
    text = visible(text_of(value))
    for clean in plan.clean:
        text = clean(text)
    return text


def _short(value: object) -> str:
    """A group as text; a date or a boolean names one as well as a word does."""
    named = isinstance(value, bool | date | time | timedelta)
    text = (str(value) if named else text_of(value)).replace("/", " ")
    if len(text) <= 24:
        return text
    return blake2b(text.encode(errors="replace"), digest_size=6).hexdigest()


def _malformed(error: Exception, row: Row) -> str:
    """What a row lacks, or holds in the wrong place."""
    if isinstance(error, KeyError):
        what = f"no column {naming.shown(error.args[0])}; found {_columns(row)}"
        for name, value in row.items():
            if isinstance(value, Mapping):
                what += f"; in {name}: {_columns(value)}"
    else:
        what = f"malformed: {error}"
        kinds: dict[str, list[str]] = {}
        for name, value in row.items():
            if not isinstance(value, str | int | float) or isinstance(value, bool):
                kinds.setdefault(kind_of(value), []).append(_brief(str(name)))
        for kind, names in kinds.items():
            what += f"; {kind}: {naming.few(sorted(names), 8, ', ')}"
    return naming.shortened(" ".join(what.split()))


def _columns(row: Row) -> str:
    return naming.few(map(_brief, sorted(map(str, row))), 12, ", ")
