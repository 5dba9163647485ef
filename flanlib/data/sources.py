"""Rows and examples of one task and split, whatever source they come from.

A local folder holds `<folder>/<task>/{train,validation,test}` as JSON lines
or Parquet in the hub's columns; what `hub.fetch` downloads has the same
layout, so one path reads both. Cuts are made here: every row draws a number
from the seed, rows are ordered by it, and train, dev and eval take disjoint
stretches. At most the rows that are kept are held. Rows that are cut already
(those of the micro world, or given as train, dev and eval) keep their order.

Source
------
Wei et al. 2022, section 2.2: at most 30 000 train and 200 dev rows a task.
"""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b
from itertools import chain, islice
from operator import attrgetter
from typing import Any, Literal

from flanlib.core.errors import DataError, MissingResultError, ParameterError
from flanlib.data import classes, reading
from flanlib.data.adapters import Example, cut_key
from flanlib.data.catalogue import DEV_ROWS, TRAIN_CAP, Catalogue, Task
from flanlib.data.source import (
    CUT,
    FolderRows,
    Rows,
    RowSource,
    numbered,
    place_of,
    remedy,
    source_of,
)
from flanlib.data.splits import Stretch, Unit, cut, lowest, stretches

Split = Literal["train", "dev", "eval", "all"]
NEARLY_ALL = 0.9


def examples(
    catalogue: Catalogue,
    task: Task | str,
    split: Split,
    *,
    rows: Rows = None,
    limit: int | None = None,
    cap: int = TRAIN_CAP,
    skipped: Counter[str] | None = None,
) -> Iterator[Example]:
    """Examples of one split, in seeded order.

    Parameters
    ----------
    split
        `train` (at most `cap`), `dev` (at most 200), `eval`, or `all`: every
        row of every file, uncut and in file order.
    rows
        A source or a folder; None takes the collection's own source.
    limit
        At most so many examples; a smaller limit gives a prefix.
    cap
        Most examples of the whole train split, of which `limit` takes a part.
    skipped
        Counts rows that hold no example, by reason.

    Raises
    ------
    MissingResultError
        If the rows are not there; says how to get them.
    DataError
        If a file or row is malformed.
    """
    task = catalogue.task(task) if isinstance(task, str) else task
    source = _here(catalogue, task, split, rows)
    most = {"train": cap, "dev": DEV_ROWS}.get(split)
    if split == "all":
        every = (_adapted(source, task, base, skipped) for base in source.splits(task))
        return islice(chain.from_iterable(every), limit)
    if _is_cut(task, source):
        found = _adapted(source, task, split, skipped)
        found = _merged(found) if task.columns.get("merge") and split == "eval" else found
        caps = (n for n in (most, limit) if n is not None)
        return islice(found, min(caps, default=None))
    stretch = locate(task, source, split)
    return islice(_taken(task, source, split, stretch, limit, most, skipped), limit)


def rows_of(
    catalogue: Catalogue, task: Task | str, split: Split, *, rows: Rows = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Raw rows, with their ids, of what a split is taken from."""
    task = catalogue.task(task) if isinstance(task, str) else task
    source = _here(catalogue, task, split, rows)
    bases = source.splits(task) if split == "all" else [split]
    if split != "all" and not _is_cut(task, source):
        bases = [locate(task, source, split).base]
    return ((row_id, row) for base in bases for row_id, _, row in numbered(source, task, base))


def faults(catalogue: Catalogue, task: Task, *, rows: Rows = None) -> Iterator[str]:
    """What is wrong with the rows of every file that is there, each in a line."""
    source = source_of(catalogue, task, rows)
    if not isinstance(source, FolderRows):
        return
    try:
        for base, path in source.files(task).items():
            yield from reading.faults(task, path, base)
    except DataError as error:
        yield str(error)


def notes(catalogue: Catalogue, task: Task, *, rows: Rows = None) -> list[str]:
    """What is taken on trust about the rows of every file that is there, each in a line.

    Raises
    ------
    DataError
        If a file's metadata are damaged.
    """
    source = source_of(catalogue, task, rows)
    if not isinstance(source, FolderRows):
        return []
    try:
        paths = source.files(task).values()
    except MissingResultError:
        return []
    return [note for path in paths if (note := classes.of_file(task, path).note)]


def available(
    catalogue: Catalogue, rows: Rows = None, split: Split = "eval"
) -> dict[str, str | None]:
    """Task key -> why it has no such rows here; None where it has."""
    found: dict[str, str | None] = {}
    for task in catalogue.tasks.values():
        try:
            source = _here(catalogue, task, split, rows)
            if split != "all" and not _is_cut(task, source):
                locate(task, source, split)
            found[task.key] = None
        except MissingResultError as error:
            found[task.key] = str(error)
    return found


def digest(found: Iterable[Example]) -> str:
    """Twelve hex digits over the content of examples, in order."""
    total = hashlib.sha256()
    for example in found:
        content = [example.id, dict(example.fields), example.options, example.gold, example.answers]
        total.update(json.dumps(content, ensure_ascii=False).encode(errors="surrogatepass"))
    return total.hexdigest()[:12]


def _here(catalogue: Catalogue, task: Task, split: str, rows: Rows) -> RowSource:
    """A task's source, if it has rows from which a split can be taken."""
    if split not in (*CUT, "all"):
        raise ParameterError(f"no split {split!r}; there are train, dev, eval and all")
    source = source_of(catalogue, task, rows)
    there = source.splits(task)
    if split not in there and split != "all" and _is_cut(task, source):
        raise _missing(task, source, split, there)
    return source


def _is_cut(task: Task, source: RowSource) -> bool:
    """Whether a source has train, dev and evaluation rows of its own."""
    there = set(source.splits(task))
    if there & {"dev", "eval"} and there & {"validation", "test"}:
        raise DataError(
            f"task {task.key}: {place_of(source, task)} has {', '.join(sorted(there))}; keep dev and"
            " eval, or validation and test"
        )
    return bool(there & {"dev", "eval"})


def _missing(
    task: Task, source: RowSource, split: str, there: Collection[str]
) -> MissingResultError:
    where = source.folder(task) if isinstance(source, FolderRows) else None
    return MissingResultError(
        f"task {task.key}: no rows for {split} in {place_of(source, task)}, which has"
        f" {', '.join(there)}; {remedy(task, where)}"
    )


def locate(task: Task, source: RowSource, split: Split) -> Stretch:
    """Which rows of which file a split takes, of a source that is not cut yet.

    Raises
    ------
    MissingResultError
        If the task has no such split, or nothing here can serve it.
    """
    there = source.splits(task)
    if split not in task.source.splits:
        raise MissingResultError(
            f"task {task.key}: has no {split} split, only {', '.join(task.source.splits)}"
        )
    found = stretches(task, there)
    if split not in found:
        raise _missing(task, source, split, there)
    return found[split]


def _taken(
    task: Task,
    source: RowSource,
    split: str,
    stretch: Stretch,
    limit: int | None,
    cap: int | None,
    skipped: Counter[str] | None,
) -> Iterator[Example]:
    merge = bool(task.columns.get("merge")) and split == "eval"
    keep = stretch.size or cap
    if split == "eval" and stretch.size is None and not merge:
        keep = limit
    if keep is not None:
        keep += sum(stretch.before) + 1  # one more shows where a group ends
    skipped = Counter() if skipped is None else skipped
    before = skipped.copy()
    n, units = lowest(_units(task, source, stretch, skipped), keep)
    if not n:
        why = ", ".join(f"{k} {reason}" for reason, k in (skipped - before).items())
        raise MissingResultError(
            f"task {task.key}: no example in {place_of(source, task, stretch.base)}:"
            f" {why or 'too few rows'}; it needs"
            " rows with a label and an answer"
        )
    units = cut(units, stretch, n, full=n >= NEARLY_ALL * (task.n_train or float("inf")))
    units.sort(key=attrgetter("own", "index"))
    found = chain.from_iterable(unit.examples for unit in units)
    yield from islice(_merged(found) if merge else found, cap)


def _units(
    task: Task, source: RowSource, stretch: Stretch, skipped: Counter[str] | None
) -> Iterator[Unit]:
    """Rows with examples, each with the numbers that order it."""
    salt = f"0/{task.source.folder or task.key}"  # another number makes other cuts
    draw = random.Random(salt).random
    for index, (row_id, place, row) in enumerate(numbered(source, task, stretch.base)):
        own = draw()
        if not (found := reading.adapted(task, row_id, place, row, skipped)):
            continue
        shared = cut_key(found[0]) if stretch.shared else ""
        if found[0].group != cut_key(found[0]):
            own = _number(f"{salt}/{found[0].group}")
        yield Unit(_number(f"{salt}/{shared}") if shared else own, own, index, found)


def _merged(found: Iterable[Example]) -> Iterator[Example]:
    """One example per question, with the answers of all that ask it."""
    first: dict[tuple[str, ...], Example] = {}
    for example in found:
        asked = tuple(text for name, text in example.fields.items() if name != "answer")
        known = first.setdefault(asked, example)
        if known is not example:
            answers = tuple(dict.fromkeys((*known.answers, *example.answers)))
            first[asked] = replace(known, answers=answers)
    yield from first.values()


def _adapted(
    source: RowSource, task: Task, base: str, skipped: Counter[str] | None
) -> Iterator[Example]:
    """The examples of all rows of a split of the source, in order."""
    for row_id, place, row in numbered(source, task, base):
        yield from reading.adapted(task, row_id, place, row, skipped)


def _number(text: str) -> float:
    """A number in [0, 1) that the text decides."""
    return int.from_bytes(blake2b(text.encode(errors="replace"), digest_size=6).digest()) / 2**48
