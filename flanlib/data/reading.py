"""Rows of one file as a task sees them: of its part, with labels by name, in their places."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from flanlib.core.errors import DataError
from flanlib.core.progress import say
from flanlib.data import classes, files
from flanlib.data.adapters import Example, adapt_all
from flanlib.data.catalogue import Task

Row = dict[str, Any]
Found = Row | DataError
_SAID: set[str] = set()


def numbered(task: Task, path: Path, base: str) -> Iterator[tuple[str, str, Row]]:
    """Rows with their ids and places; the first that cannot be read is raised.

    Yields
    ------
    tuple
        `train-11` for the split `base`, `train.jsonl:12`, and the row.

    Raises
    ------
    DataError
        Naming file, row and field.
    """
    for row_id, place, row in _each(task, path, base):
        if isinstance(row, DataError):
            raise row
        yield row_id, place, row


def adapted(
    task: Task, row_id: str, place: str, row: Row, skipped: Counter[str] | None
) -> list[Example]:
    """The examples in a row, as `adapt_all` gives them; errors name its `place` as well.

    Raises
    ------
    DataError
        Naming file, row and field when the row is malformed.
    """
    try:
        return adapt_all(row, task, row_id, skipped)
    except DataError as error:
        raise DataError(f"{place}: {error}") from None


def faults(task: Task, path: Path, base: str) -> Iterator[str]:
    """Each fault of the file of a split, `base`, and of its rows, in a line."""
    try:
        for row_id, place, row in _each(task, path, base):
            if isinstance(row, DataError):
                yield str(row)
                continue
            try:
                adapted(task, row_id, place, row, None)
            except DataError as error:
                yield str(error)
    except DataError as error:
        yield str(error)


def _each(task: Task, path: Path, base: str) -> Iterator[tuple[str, str, Found]]:
    known = classes.of_file(task, path)
    if known.note and known.note not in _SAID:
        _SAID.add(known.note)
        say(known.note)
    for row_id, place, row in of_part(task, files.numbered(path), base):
        if known.column and not isinstance(row, DataError):
            try:
                known.put(row)
            except DataError as error:
                row = DataError(f"{place}: {error}")
        yield row_id, place, row


def of_part(
    task: Task, rows: Iterable[tuple[str, Found]], base: str
) -> Iterator[tuple[str, str, Found]]:
    """The rows of a task's part of the dataset, with their ids.

    Parameters
    ----------
    rows
        All rows of a split, in order, with their places.
    base
        The split's name, with which the ids begin.
    """
    which, parts = (int(n) for n in (task.source.part or "1/1").split("/"))
    for index, (place, row) in enumerate(rows):
        if index % parts == which - 1:
            yield f"{base}-{index}", place, row
