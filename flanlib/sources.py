"""Rows and examples of one task and split, from files or the micro world.

A local folder holds `<folder>/<task>/{train,validation,test}` as JSON lines
or Parquet in the hub's columns; what `hub.fetch` downloads has the same
layout, so one path reads both. Cuts are made here: every row draws a number
from the seed, rows are ordered by it, and train, dev and eval take disjoint
stretches. At most the rows that are kept are held.

Source
------
Wei et al. 2022, section 2.2: at most 30 000 train and 200 dev rows a task.
"""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from flanlib import naming, paths
from flanlib.catalogue import DEV_ROWS, TRAIN_CAP, Catalogue, Task
from flanlib.errors import DataError, MissingResultError, ParameterError
from flanlib.rows import classes, files, reading
from flanlib.rows.adapters import Example, adapt_all, cut_key
from flanlib.rows.cuts import Stretch, Unit, canonical, cut, lowest, stretches

Split = Literal["train", "dev", "eval", "all"]
NEARLY_ALL = 0.9


def examples(
    catalogue: Catalogue,
    task: Task | str,
    split: Split,
    *,
    rows: Path | str | None = None,
    seed: int = 0,
    limit: int | None = None,
    skipped: Counter[str] | None = None,
) -> Iterator[Example]:
    """Examples of one split, in seeded order.

    Parameters
    ----------
    split
        `train` (at most 30 000), `dev` (at most 200), `eval`, or `all`: every
        row of every file, uncut and in file order.
    rows
        Folder with the rows; None reads what was fetched.
    seed
        Of the order, and with it of the cuts. The micro world's rows come in
        one order, drawn already.
    limit
        At most so many examples; a smaller limit gives a prefix.
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
    _check(split)
    if task.source.route == "micro":
        return _micro(task, split, limit, skipped)
    if split == "all":
        return islice(_every(catalogue, task, rows, skipped), limit)
    stretch = locate(catalogue, task, split, rows)
    return islice(_taken(task, split, stretch, seed, limit, skipped), limit)


def rows_of(
    catalogue: Catalogue, task: Task | str, split: Split, *, rows: Path | str | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Raw rows, with their ids, of the files a split is taken from."""
    task = catalogue.task(task) if isinstance(task, str) else task
    _check(split)
    if task.source.route == "micro":
        return _micro_rows(task, split)
    found = _files(catalogue, task, rows) if split == "all" else {}
    if split != "all":
        stretch = locate(catalogue, task, split, rows)
        found = {stretch.base: stretch.path}
    every = chain.from_iterable(reading.numbered(task, path, base) for base, path in found.items())
    return ((row_id, row) for row_id, _, row in every)


def faults(catalogue: Catalogue, task: Task, *, rows: Path | str | None = None) -> Iterator[str]:
    """What is wrong with the rows of every file that is there, each in a line.

    Parameters
    ----------
    rows
        Folder with the rows; None reads what was fetched.
    """
    if task.source.route == "micro":
        return
    try:
        for base, path in _files(catalogue, task, rows).items():
            yield from reading.faults(task, path, base)
    except DataError as error:
        yield str(error)


def notes(catalogue: Catalogue, task: Task, *, rows: Path | str | None = None) -> list[str]:
    """What is taken on trust about the rows of every file that is there, each in a line.

    Parameters
    ----------
    rows
        Folder with the rows; None reads what was fetched.

    Raises
    ------
    DataError
        If a file's metadata are damaged.
    """
    if task.source.route == "micro":
        return []
    try:
        paths = _files(catalogue, task, rows).values()
    except MissingResultError:
        return []
    return [note for path in paths if (note := classes.of_file(task, path).note)]


def available(
    catalogue: Catalogue, rows: Path | str | None = None, split: Split = "eval"
) -> dict[str, str | None]:
    """Task key -> why it has no such rows here; None where it has."""
    found: dict[str, str | None] = {}
    for task in catalogue.tasks.values():
        found[task.key] = None
        if task.source.route == "micro":
            continue
        try:
            if split == "all":
                folder(catalogue, task, rows)
            else:
                locate(catalogue, task, split, rows)
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


def cache_folder(catalogue: Catalogue, task: Task) -> Path:
    """Where a task's fetched rows are kept."""
    return paths.CACHE / "rows" / paths.label(catalogue.root) / task.key


def folder(catalogue: Catalogue, task: Task, rows: Path | str | None) -> Path:
    """The folder with a task's files.

    Raises
    ------
    MissingResultError
        In one line: what to obtain, from whom, where to put it.
    """
    if rows is None:
        tried = [cache_folder(catalogue, task)]
    else:
        if not Path(rows).is_dir():
            raise MissingResultError(f"{rows}: no such folder of rows")
        tried = [Path(rows) / name for name in (task.source.folder, task.key) if name]
    for one in tried:
        if one.is_dir() and files.splits(one):
            return one
    raise MissingResultError(
        f"task {task.key}: no rows in {tried[0]}{_instead(tried)}; {remedy(task, tried[0])}"
    )


def _instead(tried: Iterable[Path]) -> str:
    """Files that may be meant for rows, in names that are not read."""
    names = [p.name for folder in tried if folder.is_dir() for p in sorted(folder.iterdir())]
    if not (names := [name for name in names if not name.startswith(".")]):
        return ""
    kinds = ", ".join(files.SUFFIXES)
    return f", which has {naming.few(names, 3, ', ')} but no train, validation or test of {kinds}"


def remedy(task: Task, where: Path) -> str:
    """How a user gets a task's rows.

    Parameters
    ----------
    where
        Folder that the rows are to be put in.
    """
    if task.source.route == "manual":
        return f"{task.source.obtain}; put them in {where}"
    fallback = f"; if that fails, {task.source.obtain}" if task.source.obtain else ""
    names = dict.fromkeys(canonical(text.partition("[")[0]) for text in task.source.splits.values())
    wanted = " and ".join(f"{name}.jsonl" for name in names)
    return (
        f"run `flanlib fetch --task {task.key}`, or put {wanted} with the hub's columns"
        f" there{fallback}"
    )


def locate(
    catalogue: Catalogue, task: Task, split: Split, rows: Path | str | None = None
) -> Stretch:
    """Which rows of which file a split takes.

    Raises
    ------
    MissingResultError
        If the task has no such split, or no file here can serve it.
    """
    where = folder(catalogue, task, rows)
    if split not in task.source.splits:
        raise MissingResultError(
            f"task {task.key}: has no {split} split, only {', '.join(task.source.splits)}"
        )
    found = files.splits(where)
    cuts = stretches(task, found)
    if split not in cuts:
        raise MissingResultError(
            f"task {task.key}: no rows for {split} in {where}, which has {', '.join(found)};"
            f" {remedy(task, where)}"
        )
    return cuts[split]


def _check(split: str) -> None:
    if split not in ("train", "dev", "eval", "all"):
        raise ParameterError(f"no split {split!r}; there are train, dev, eval and all")


def _taken(
    task: Task,
    split: str,
    stretch: Stretch,
    seed: int,
    limit: int | None,
    skipped: Counter[str] | None,
) -> Iterator[Example]:
    merge = bool(task.columns.get("merge")) and split == "eval"
    cap = {"train": TRAIN_CAP, "dev": DEV_ROWS}.get(split)
    keep = stretch.size or cap
    if split == "eval" and stretch.size is None and not merge:
        keep = limit
    if keep is not None:
        keep += sum(stretch.before) + 1  # one more shows where a group ends
    skipped = Counter() if skipped is None else skipped
    before = skipped.copy()
    n, units = lowest(_units(task, stretch, seed, skipped), keep)
    if not n:
        why = ", ".join(f"{k} {reason}" for reason, k in (skipped - before).items())
        raise MissingResultError(
            f"task {task.key}: no example in {stretch.path}: {why or 'too few rows'}; it needs"
            " rows with a label and an answer"
        )
    units = cut(units, stretch, n, full=n >= NEARLY_ALL * (task.n_train or float("inf")))
    units.sort(key=attrgetter("own", "index"))
    found = chain.from_iterable(unit.examples for unit in units)
    yield from islice(_merged(found) if merge else found, cap)


def _units(task: Task, stretch: Stretch, seed: int, skipped: Counter[str] | None) -> Iterator[Unit]:
    """Rows with examples, each with the numbers that order it."""
    salt = f"{seed}/{task.source.folder or task.key}"
    draw = random.Random(salt).random
    for index, (row_id, place, row) in enumerate(
        reading.numbered(task, stretch.path, stretch.base)
    ):
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


def _files(catalogue: Catalogue, task: Task, rows: Path | str | None) -> dict[str, Path]:
    return files.splits(folder(catalogue, task, rows))


def _every(
    catalogue: Catalogue, task: Task, rows: Path | str | None, skipped: Counter[str] | None
) -> Iterator[Example]:
    for base, path in _files(catalogue, task, rows).items():
        for row_id, place, row in reading.numbered(task, path, base):
            yield from reading.adapted(task, row_id, place, row, skipped)


def _micro_rows(task: Task, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of the world whose seed is the source's `config`."""
    from flanlib.micro import tasks

    if task.key not in tasks.TASKS:
        known = naming.alternatives(task.key, list(tasks.TASKS))
        raise DataError(f"task {task.key}: route micro has no task of that key{known}")
    if not task.source.config.isdecimal():
        found = naming.shown(task.source.config)
        raise DataError(f"task {task.key}: source.config: {found} is no seed of a world")
    for part in ("train", "dev", "eval") if split == "all" else (split,):
        for index, row in enumerate(tasks.rows(task.key, part, int(task.source.config))):
            yield f"{part}-{index}", row


def _micro(
    task: Task, split: str, limit: int | None, skipped: Counter[str] | None
) -> Iterator[Example]:
    cap = {"train": TRAIN_CAP, "dev": DEV_ROWS}.get(split)
    found = (
        example
        for row_id, row in _micro_rows(task, split)
        for example in adapt_all(row, task, row_id, skipped)
    )
    return islice(found, min((n for n in (cap, limit) if n is not None), default=None))


def _number(text: str) -> float:
    """A number in [0, 1) that the text decides."""
    return int.from_bytes(blake2b(text.encode(errors="replace"), digest_size=6).digest()) / 2**48
