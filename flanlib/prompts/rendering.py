"""Rows to prompts: as JSON lines, and as a check of every row and template."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

from flanlib.core import naming
from flanlib.core.bounds import PositiveInt, checked
from flanlib.core.config import Form
from flanlib.core.errors import DataError, MissingResultError, TemplateError
from flanlib.data import sources
from flanlib.data.adapters import Example, answer_text
from flanlib.data.catalogue import Catalogue, Task
from flanlib.data.source import Rows
from flanlib.prompts import templates
from flanlib.prompts.audit import columns
from flanlib.prompts.prompt import Prompt
from flanlib.prompts.template import FORMS, Template, separator_of

SHOWN = 5
NULLS = ("None", "nan", "NaN")
RECORDED = """
task example template inverted input separator target options gold references
""".split()

_MARK = re.compile(r"\b(?:None|nan|NaN)\b|\{\{|\}\}|\{%|%\}")
_encode = json.JSONEncoder(ensure_ascii=False).encode
_loosely = json.JSONEncoder(ensure_ascii=False, default=str).encode


def record(prompt: Prompt) -> dict[str, Any]:
    """A prompt as plain data."""
    return {name: getattr(prompt, name) for name in RECORDED}


def write(prompts: Iterable[Prompt], out: TextIO) -> int:
    """Write prompts as JSON lines; return how many."""
    n = 0
    for prompt in prompts:
        out.write(_encode(record(prompt)) + "\n")
        n += 1
    return n


@checked
def render(
    catalogue: Catalogue,
    *,
    tasks: Sequence[str] = (),
    split: Literal["train", "dev", "eval"] = "eval",
    form: Form = "instruction",
    template: str = "",
    rows: Rows = None,
    limit: PositiveInt | None = None,
) -> Iterator[Prompt]:
    """Every example of a split under every template.

    Parameters
    ----------
    tasks
        Task keys; empty means all whose rows are there.
    split
        `train`, `dev` or `eval`.
    template
        Id of the one template wanted; empty means all of the form.
    limit
        Most examples per task; without it, all of them.

    Raises
    ------
    MissingResultError
        If rows of a named task are not there.
    TemplateError
        If no task has a template of that id.
    """
    chosen = [catalogue.task(key) for key in tasks] or list(catalogue.tasks.values())
    found, absent = False, []
    for task in chosen:
        wanted = [t for t in templates.of_task(catalogue, task, form) if template in ("", t.id)]
        found = found or bool(wanted)
        if not wanted:
            continue
        try:
            for example in sources.examples(catalogue, task, split, rows=rows, limit=limit):
                yield from (phrase(example, t, form) for t in wanted if t.applies(example))
        except MissingResultError as error:
            if tasks:
                raise
            absent.append(error)
    if absent and len(absent) == len(chosen):
        raise absent[0]
    if not found:
        known = [t.id for task in chosen for t in templates.of_task(catalogue, task, form)]
        files = dict.fromkeys(f"{task.template_set}.yaml" for task in chosen)
        raise TemplateError(
            f"{catalogue.root / 'templates'}: {naming.few(files, between=', ')}: no template"
            + (f" {naming.shown(template)}" if template else "")
            + f" of form {form}{naming.alternatives(template, dict.fromkeys(known))}"
        )


def phrase(example: Example, template: Template, form: str) -> Prompt:
    """A prompt with the separator of its form."""
    return templates.render(example, template, separator=separator_of(form))


@dataclass(kw_only=True)
class TaskCheck:
    """What became of one task's rows.

    Attributes
    ----------
    n_rows, n_templates, n_prompts
        Examples of all files; templates of all forms; prompts rendered.
    skipped
        Why rows are no examples -> how many.
    not_asked
        Template id -> rows in which the field it asks for is empty.
    problems
        What is wrong, the first few; `n_problems` counts all.
    missing
        Why there are no rows; empty when there are.
    notes
        What is taken on trust, such as the order of a file's classes.
    """

    task: str
    dataset: str
    cluster: str
    n_rows: int = 0
    n_templates: int = 0
    n_prompts: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    not_asked: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    n_problems: int = 0
    missing: str = ""
    notes: list[str] = field(default_factory=list)

    def report(self, problem: str) -> None:
        """Count a `problem`, told in one line, and keep the first few."""
        self.n_problems += 1
        if len(self.problems) < SHOWN:
            self.problems.append(problem)


@dataclass(frozen=True, kw_only=True)
class Check:
    """What became of a collection's rows."""

    collection: str
    tasks: tuple[TaskCheck, ...]

    @property
    def n_problems(self) -> int:
        """Problems over all tasks; 0 is a pass."""
        return sum(task.n_problems for task in self.tasks)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        tasks = [
            {k: dict(v) if isinstance(v, Counter) else v for k, v in vars(task).items()}
            for task in self.tasks
        ]
        return {"collection": self.collection, "n_problems": self.n_problems, "tasks": tasks}

    def table(self) -> str:
        """One line per task, then every kept problem."""
        head = ["task", "cluster", "rows", "templates", "prompts", "problems", "skipped or missing"]
        rows = [
            (t.task, t.cluster, t.n_rows, t.n_templates, t.n_prompts, t.n_problems, _why(t))
            for t in self.tasks
        ]
        total = (
            f"{sum(t.n_prompts for t in self.tasks)} prompts from"
            f" {sum(t.n_rows for t in self.tasks)} rows of"
            f" {sum(t.n_rows > 0 for t in self.tasks)} of {len(self.tasks)} tasks;"
            f" {sum(t.skipped.total() for t in self.tasks)} rows skipped;"
            f" {self.n_problems} problems"
        )
        if notes := [note for task in self.tasks for note in task.notes]:
            total += f"; {len(notes)} taken on trust"
        problems = [p for t in self.tasks for p in t.problems]
        return "\n\n".join([columns(head, rows), *problems, *notes, total])


def _why(task: TaskCheck) -> str:
    parts = [f"{n} {why}" for why, n in task.skipped.most_common()]
    parts += [f"{n} not asked {name}: empty" for name, n in task.not_asked.most_common()]
    return "; ".join([*parts, task.missing] if task.missing else parts)


@checked
def check(
    catalogue: Catalogue,
    rows: Rows = None,
    tasks: Sequence[str] = (),
    limit: PositiveInt | None = None,
) -> Check:
    """Render every row under every template and say what is wrong.

    Rows are those of all files that are there, uncut; at most `limit` per task.

    Wrong is: a file, row or template that cannot be read; an empty input or target; a `None`, `nan` or brace that the row
    does not have; equal options; a right answer that is no option.

    Raises
    ------
    MissingResultError
        If the folder of rows is not there.
    """
    if rows is not None and not Path(rows).is_dir():
        raise MissingResultError(f"{rows}: no such folder of rows")
    chosen = [catalogue.task(key) for key in tasks] or catalogue.tasks.values()
    return Check(
        collection=catalogue.name,
        tasks=tuple(_check_task(catalogue, task, rows, limit) for task in chosen),
    )


def _check_task(catalogue: Catalogue, task: Task, rows: Rows, limit: int | None) -> TaskCheck:
    found = TaskCheck(task=task.key, dataset=task.dataset, cluster=task.cluster)
    try:
        forms = [(form, t) for form in FORMS for t in templates.of_task(catalogue, task, form)]
    except TemplateError as error:
        found.report(str(error))
        return found
    own = {t.id: frozenset(re.findall(r"None|nan|NaN", t.input + t.target)) for _, t in forms}
    found.n_templates = len(forms)
    natural = _natural(catalogue, task, rows)
    try:
        for example in sources.examples(
            catalogue, task, "all", rows=rows, limit=limit, skipped=found.skipped
        ):
            found.n_rows += 1
            for problem in _example_problems(task, example, natural):
                found.report(problem)
            answers = map(answer_text, example.answers)
            given = _marks(*example.fields.values(), *example.options, *answers)
            for form, template in forms:
                _check_prompt(found, example, template, form, given | own[template.id])
        found.notes += sources.notes(catalogue, task, rows=rows)
    except MissingResultError as error:
        found.missing = str(error)
    except DataError as error:
        before = found.n_problems
        for fault in sources.faults(catalogue, task, rows=rows):
            found.report(fault)
        if found.n_problems == before:
            found.report(str(error))
    return found


def _check_prompt(
    found: TaskCheck, example: Example, template: Template, form: str, given: frozenset[str]
) -> None:
    where = f"{example.task}, row {example.id}, template {template.id}"
    if not template.applies(example):
        found.not_asked[template.id] += 1
        return
    try:
        prompt = phrase(example, template, form)
    except TemplateError as error:
        found.report(str(error))
        return
    found.n_prompts += 1
    if new := _marks(prompt.input, prompt.target, *prompt.options) - given:
        found.report(f"{where}: {', '.join(sorted(new))} is not in the row")
    if prompt.options:
        if len(set(prompt.options)) < max(2, len(prompt.options)):
            found.report(f"{where}: options {prompt.options} are not distinct")
        if prompt.gold is None or not 0 <= prompt.gold < len(prompt.options):
            found.report(f"{where}: gold {prompt.gold} is no option")
        elif prompt.options[prompt.gold] != prompt.target:
            found.report(f"{where}: target {prompt.target!r} is not the gold option")


def _example_problems(
    task: Task, example: Example, natural: Callable[[str, str], bool]
) -> Iterator[str]:
    where = f"{example.task}, row {example.id}"
    for name, value in example.fields.items():
        if not isinstance(value, str):
            yield f"{where}: field {name} is {type(value).__name__}, not text"
        elif value in NULLS and not natural(example.id, value):
            yield f"{where}: field {name} is {value!r}"
    if task.kind == "rank" and not example.options:
        yield f"{where}: a task that ranks has no options"


def _natural(catalogue: Catalogue, task: Task, rows: Rows) -> Callable[[str, str], bool]:
    """Whether a row really says "None" (people do), found out when first asked."""
    told: dict[str, set[str]] = {}

    def natural(example_id: str, value: str) -> bool:
        if not told:
            told.update({null: set() for null in NULLS})
            for row_id, row in sources.rows_of(catalogue, task, "all", rows=rows):
                text = _loosely(row)
                for null in NULLS:
                    if re.search(rf'"\s*{null}\s*"', text):
                        told[null].add(row_id)
        return example_id.partition(".")[0] in told[value]

    return natural


def _marks(*texts: str) -> frozenset[str]:
    return frozenset(_MARK.findall("\n".join(texts)))
