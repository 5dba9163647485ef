"""What a task is scored on: its examples, in which templates, as prompts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from flanlib.core import naming
from flanlib.core.config import Scoring
from flanlib.core.errors import MissingResultError, TemplateError
from flanlib.core.progress import say
from flanlib.data import sources
from flanlib.data.adapters import Example
from flanlib.data.catalogue import Catalogue, Task
from flanlib.data.source import Rows
from flanlib.prompts import template, templates
from flanlib.prompts.prompt import Prompt
from flanlib.prompts.template import Template


def with_rows(
    found: Catalogue, keys: Sequence[str], rows: Rows, split: sources.Split
) -> list[Task]:
    """Tasks whose rows are here; how many are left out is told.

    Parameters
    ----------
    found
        The collection.
    keys
        Of tasks, all of which have to have rows; without them, all tasks.
    rows
        A source of rows, or a folder; None takes the collection's own source.
    split
        Which rows are wanted.

    Raises
    ------
    MissingResultError
        If a task that is named has no rows, or none has any.
    """
    chosen = {key: found.task(key) for key in keys or found.tasks}
    why = sources.available(replace(found, tasks=chosen), rows, split)
    absent = [reason for reason in why.values() if reason]
    if absent and keys:
        raise MissingResultError(naming.few(absent, 1))
    if len(absent) == len(chosen):
        raise MissingResultError(f"{found.name}: no task to score: {naming.few(absent, 1)}")
    if absent:
        say(f"{len(absent)} of {len(why)} tasks left out: {naming.few(absent, 1)}")
    return [task for key, task in chosen.items() if not why[key]]


def examples_of(found: Catalogue, task: Task, scoring: Scoring, rows: Rows = None) -> list[Example]:
    """The examples a task is scored on.

    Raises
    ------
    MissingResultError
        If the source has none.
    """
    examples = sources.examples(found, task, scoring.split, rows=rows)
    chosen = list(islice(examples, scoring.max_examples or None))
    if not chosen:
        raise MissingResultError(f"task {task.key}: its source has no {scoring.split} rows")
    return chosen


def check(found: Catalogue, pairs: Iterable[tuple[Scoring, str]], rows: Rows = None) -> None:
    """Refuse, before anything is tuned or scored, answers that a metric cannot count.

    Parameters
    ----------
    pairs
        Pairs of scoring and key of a task; a task's last one counts.

    Raises
    ------
    MissingResultError
        If a task has no rows.
    DataError
        If a reference is nothing that the metric can compare with.
    ParameterError
        If the metric needs packages that are not installed.
    """
    from flanlib.evaluation import metrics

    for key, scoring in {key: scoring for scoring, key in pairs}.items():
        task = found.task(key)
        metrics.check(task, examples_of(found, task, scoring, rows))


def first_example(found: Catalogue, task: Task, split: str, rows: Rows = None) -> Example:
    """The first example of a task's split.

    Raises
    ------
    MissingResultError
        If there are no rows of the split.
    """
    example = next(iter(sources.examples(found, task, split, rows=rows)), None)
    if example is None:
        raise MissingResultError(f"task {task.key}: its source has no {split} rows")
    return example


def templates_for(found: Catalogue, task: Task, scoring: Scoring) -> tuple[Template, ...]:
    """The templates a task is scored with.

    Raises
    ------
    TemplateError
        If the form has none that can be scored.
    """
    chosen = templates.of_task(found, task, scoring.form)
    if task.kind == "rank":
        chosen = templates.rankable(chosen)
    chosen = tuple(t for t in chosen if not t.inverted)
    if not chosen:
        raise TemplateError(
            f"task {task.key}: no template of form {scoring.form!r} can be scored; add one to"
            f" {found.root / 'templates' / (task.template_set + '.yaml')}"
        )
    return chosen


def prompts_of(
    examples: Sequence[Example], asked: Sequence[Template], scoring: Scoring
) -> Iterator[Prompt]:
    """Every example in every template, or in some of them in turn; examples outermost."""
    separator = template.separator_of(scoring.form)
    n = min(scoring.templates_per_example or len(asked), len(asked))
    for number, example in enumerate(examples):
        for k in range(n):
            prompt = templates.render(
                example,
                asked[(number * n + k) % len(asked)],
                show_options=scoring.show_options,
                reversed_options=scoring.reversed_options,
                separator=separator,
            )
            yield replace(prompt, chat=True) if scoring.chat else prompt
