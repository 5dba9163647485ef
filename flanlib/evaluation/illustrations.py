"""Examples written for illustration, in the columns of the datasets they stand for.

Rows of real datasets are not part of the repository, and records of them hold
no text. What figures show in words is therefore `examples.jsonl` of the
collection: `{"task": ..., "row": {...}}` a line, written for the purpose and
taken from no dataset. They are never scored for a result, nor tuned on.
"""

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from flanlib.core import config, storage
from flanlib.core.errors import DataError, MissingResultError
from flanlib.data.adapters import Example, adapt_all
from flanlib.data.catalogue import Catalogue, Task
from flanlib.evaluation import requests
from flanlib.prompts import templates
from flanlib.prompts.prompt import Prompt

FILE = "examples.jsonl"
WRITTEN = "written for illustration"


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Line:
    """One line of the file: a row in the columns of a task's source."""

    task: str
    row: dict[str, Any]


_LINE = TypeAdapter(Line)


def of_task(catalogue: Catalogue, task: Task) -> list[Example]:
    """Examples written for a task, in file order; none is an empty list.

    Raises
    ------
    DataError
        Naming file, line and what is wrong with it, or the task that is unknown.
    """
    path = catalogue.root / FILE
    return [
        example
        for number, line in (_read(path) if path.is_file() else ())
        if _known(catalogue, path, number, line).key == task.key
        for example in adapt_all(line.row, task, f"written-{number}")
    ]


def prompt_of(catalogue: Catalogue, task: Task) -> Prompt:
    """The first example written for a task that has one, in its first template."""
    return _in_first_template(catalogue, task, of_task(catalogue, task)[0])


def prompt(catalogue: Catalogue, task: Task, rows: str) -> str:
    """A question as a model reads it, and the answer; a written one where rows are missing.

    Raises
    ------
    MissingResultError
        If rows are not at hand and no example was written.
    """
    try:
        example, note = requests.first_example(catalogue, task, "eval", rows), ""
    except MissingResultError:
        if not (written := of_task(catalogue, task)):
            raise
        example, note = written[0], f"({WRITTEN}; the dataset's rows are not at hand)\n"
    found = _in_first_template(catalogue, task, example)
    return f"{note}{found.input}\n--> {found.target}"


def _in_first_template(catalogue: Catalogue, task: Task, example: Example) -> Prompt:
    wording = requests.templates_for(catalogue, task, config.Scoring())
    return templates.render(example, wording[0])


@cache
def _read(path: Path) -> list[tuple[int, Line]]:
    return list(storage.read_lines(path, _LINE, "mend the line, or restore the file with git"))


def _known(catalogue: Catalogue, path: Path, number: int, line: Line) -> Task:
    if line.task not in catalogue.tasks:
        raise DataError(f"{path}, line {number}: task {line.task!r} is not in the catalogue")
    return catalogue.tasks[line.task]
